//! Builder of packets, independent of the code under test: etherparse for what
//! it knows, literal bytes for NVGRE.

use std::net::IpAddr;

use dataplane_common::id::Mac;
use etherparse::{
    EtherType, Ethernet2Header, IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder,
    PacketBuilderStep,
};

use crate::policy::{GATEWAY_MAC, HOP_MAC, OUR_MAC, PEER, PEER6, US, US6, vm};

pub mod icmp;
pub mod upper;

pub use icmp::ping;

/// An IPv4 address.
pub type Ca = [u8; 4];

/// A UDP frame between two VMs, MACs by the last CA byte.
pub fn udp(src: impl Into<IpAddr>, dst: impl Into<IpAddr>, payload: usize) -> Vec<u8> {
    udp_ports(src, dst, 4000, 5000, payload)
}

/// A UDP frame with ports.
pub fn udp_ports(
    src: impl Into<IpAddr>,
    dst: impl Into<IpAddr>,
    sport: u16,
    dport: u16,
    payload: usize,
) -> Vec<u8> {
    let builder = ip(src.into(), dst.into()).udp(sport, dport);
    let payload = vec![0xA5; payload];
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder
        .write(&mut frame, &payload)
        .expect("a vector takes it");
    frame
}

/// A TCP frame between two VMs.
pub fn tcp(src: impl Into<IpAddr>, dst: impl Into<IpAddr>, payload: usize) -> Vec<u8> {
    let builder = ip(src.into(), dst.into()).tcp(40_000, 80, 1, 65_000);
    let payload = vec![0x5A; payload];
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder
        .write(&mut frame, &payload)
        .expect("a vector takes it");
    frame
}

/// The first segment of a TCP connection with these options, whole words of them.
pub fn syn(src: impl Into<IpAddr>, dst: impl Into<IpAddr>, options: &[u8]) -> Vec<u8> {
    let builder = ip(src.into(), dst.into()).tcp(40_000, 80, 1, 65_000).syn();
    let builder = builder.options_raw(options).expect("40 bytes at most");
    let mut frame = Vec::with_capacity(builder.size(0));
    builder.write(&mut frame, &[]).expect("a vector takes it");
    frame
}

/// The last byte of an address: the last of the VM's MAC.
pub fn last(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    }
}

/// Ethernet and IP from VM to VM, TTL 64.
pub(crate) fn ip(src: IpAddr, dst: IpAddr) -> PacketBuilderStep<IpHeaders> {
    let eth = PacketBuilder::ethernet2(vm(last(src)).0, vm(last(dst)).0);
    eth.ip(ip_headers(src, dst, 64))
}

/// The IP header of a packet, its length not filled in.
pub(crate) fn ip_headers(src: IpAddr, dst: IpAddr, ttl: u8) -> IpHeaders {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let header = Ipv4Header::new(0, ttl, IpNumber::UDP, src.octets(), dst.octets());
            IpHeaders::Ipv4(
                header.expect("short"),
                etherparse::Ipv4Extensions::default(),
            )
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let header = Ipv6Header {
                hop_limit: ttl,
                source: source.octets(),
                destination: destination.octets(),
                ..Ipv6Header::default()
            };
            IpHeaders::Ipv6(header, etherparse::Ipv6Extensions::default())
        }
        _ => panic!("from {src} to {dst}, of the other family"),
    }
}

/// An ARP packet: operation 1 asks, 2 answers.
pub fn arp(op: u16, eth_dst: Mac, sender: (Mac, Ca), target: (Mac, Ca)) -> Vec<u8> {
    let mut frame = eth(eth_dst, sender.0, 0x0806);
    frame.extend([0, 1, 8, 0, 6, 4]);
    frame.extend(op.to_be_bytes());
    frame.extend(sender.0.0);
    frame.extend(sender.1);
    frame.extend(target.0.0);
    frame.extend(target.1);
    frame
}

/// A broadcast request "who has `target`", from the VM with CA `sender`.
pub fn who_has(sender: Ca, target: Ca) -> Vec<u8> {
    arp(
        1,
        Mac::BROADCAST,
        (vm(sender[3]), sender),
        (Mac([0; 6]), target),
    )
}

/// An Ethernet header and nothing else.
pub fn eth(dst: Mac, src: Mac, ethertype: u16) -> Vec<u8> {
    let header = Ethernet2Header {
        source: src.0,
        destination: dst.0,
        ether_type: EtherType(ethertype),
    };
    header.to_bytes().to_vec()
}

/// `inner` as the sending NVE puts it on the wire: from us to 192.0.2.2.
pub fn sent(vsid: u32, tos: u8, inner: &[u8]) -> Vec<u8> {
    sent_to(PEER, vsid, tos, inner)
}

/// The same to any PA.
pub fn sent_to(pa: impl Into<IpAddr>, vsid: u32, tos: u8, inner: &[u8]) -> Vec<u8> {
    let pa = pa.into();
    nvgre(HOP_MAC, OUR_MAC, (ours(pa), pa), (vsid, 0), tos, inner)
}

/// `inner` as it comes from the NVE with PA `from`, `FlowID` 0x42.
pub fn received(vsid: u32, from: impl Into<IpAddr>, tos: u8, inner: &[u8]) -> Vec<u8> {
    let from = from.into();
    nvgre(
        OUR_MAC,
        HOP_MAC,
        (from, ours(from)),
        (vsid, 0x42),
        tos,
        inner,
    )
}

/// Bytes in front of an inner frame from or to this PA.
pub fn outer_len(pa: impl Into<IpAddr>) -> usize {
    if pa.into().is_ipv4() { 42 } else { 62 }
}

/// The other host's PA, of this family.
pub fn peer(v6: bool) -> IpAddr {
    if v6 { PEER6.into() } else { PEER.into() }
}

fn ours(pa: IpAddr) -> IpAddr {
    if pa.is_ipv4() { US.into() } else { US6.into() }
}

fn nvgre(
    dst: Mac,
    src: Mac,
    (from, to): (IpAddr, IpAddr),
    (vsid, flow): (u32, u8),
    tos: u8,
    inner: &[u8],
) -> Vec<u8> {
    let v4 = from.is_ipv4();
    let mut frame = eth(dst, src, if v4 { 0x0800 } else { 0x86DD });
    let len = u16::try_from(inner.len() + 8).expect("fits");
    match ip_headers(from, to, 64) {
        IpHeaders::Ipv4(mut ip, _) => {
            ip.protocol = IpNumber::GRE;
            ip.dscp = (tos >> 2).try_into().expect("6 bits");
            ip.ecn = (tos & 3).try_into().expect("2 bits");
            ip.set_payload_len(usize::from(len)).expect("fits");
            ip.header_checksum = ip.calc_header_checksum();
            ip.write(&mut frame).expect("a vector takes it");
        }
        IpHeaders::Ipv6(mut ip, _) => {
            ip.next_header = IpNumber::GRE;
            ip.traffic_class = tos;
            ip.flow_label = u32::from(flow).try_into().expect("20 bits");
            ip.payload_length = len;
            ip.write(&mut frame).expect("a vector takes it");
        }
    }
    frame.extend([0x20, 0x00, 0x65, 0x58]);
    frame.extend(&vsid.to_be_bytes()[1..]);
    frame.push(flow);
    frame.extend(inner);
    frame
}

/// The frame with bytes at `at` replaced.
pub fn patch(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// [`patch`], and the IPv4 header checksum at offset 14 made right.
pub fn patch_ip(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = patch(&patch(frame, at, bytes), 24, &[0, 0]);
    let checksum = !sum(&frame[14..34]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// Ones-complement sum of 16-bit words.
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2);
    let sum: u32 = words
        .map(|w| u32::from(u16::from_be_bytes([w[0], w.get(1).copied().unwrap_or(0)])))
        .sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    let folded = (folded & 0xFFFF) + (folded >> 16);
    u16::try_from(folded).expect("folded")
}

/// The frame as the router of its subnet sends it on: to the MAC of the next station, one hop less.
pub fn routed(frame: &[u8], to: Mac) -> Vec<u8> {
    let frame = patch(&patch(frame, 0, &to.0), 6, &GATEWAY_MAC.0);
    with_ttl(&frame, ttl(&frame) - 1)
}

/// TTL or hop limit.
fn ttl(frame: &[u8]) -> u8 {
    frame[if frame[12..14] == [8, 0] { 22 } else { 21 }]
}

/// The frame with another TTL or hop limit.
pub fn with_ttl(frame: &[u8], ttl: u8) -> Vec<u8> {
    if frame[12..14] == [8, 0] {
        patch_ip(frame, 22, &[ttl])
    } else {
        patch(frame, 21, &[ttl])
    }
}

/// The frame with VLAN tags behind the MACs.
pub fn tagged(frame: &[u8], tags: &[[u8; 4]]) -> Vec<u8> {
    let mut out = frame[..12].to_vec();
    out.extend(tags.concat());
    out.extend(&frame[12..]);
    out
}

/// A frame to the gateway's MAC.
pub fn via_gateway(frame: &[u8]) -> Vec<u8> {
    patch(frame, 0, &GATEWAY_MAC.0)
}
