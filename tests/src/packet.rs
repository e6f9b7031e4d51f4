//! Builder of packets, independent of the code under test: etherparse for what
//! it knows, literal bytes for NVGRE.

use dataplane_common::id::Mac;
use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, PacketBuilder};

use crate::policy::{GATEWAY_MAC, HOP_MAC, OUR_MAC, vm};

/// An IPv4 address.
pub type Ca = [u8; 4];

/// A UDP frame between two VMs, MACs by the last CA byte.
pub fn udp(src: Ca, dst: Ca, payload: usize) -> Vec<u8> {
    udp_ports(src, dst, 4000, 5000, payload)
}

/// A UDP frame with ports.
pub fn udp_ports(src: Ca, dst: Ca, sport: u16, dport: u16, payload: usize) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(vm(src[3]).0, vm(dst[3]).0)
        .ipv4(src, dst, 64)
        .udp(sport, dport);
    let payload = vec![0xA5; payload];
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder
        .write(&mut frame, &payload)
        .expect("a vector takes it");
    frame
}

/// A TCP frame between two VMs.
pub fn tcp(src: Ca, dst: Ca, payload: usize) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(vm(src[3]).0, vm(dst[3]).0)
        .ipv4(src, dst, 64)
        .tcp(40_000, 80, 1, 65_000);
    let payload = vec![0x5A; payload];
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder
        .write(&mut frame, &payload)
        .expect("a vector takes it");
    frame
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
    nvgre(
        HOP_MAC,
        OUR_MAC,
        ([192, 0, 2, 1], [192, 0, 2, 2]),
        vsid,
        tos,
        inner,
    )
}

/// `inner` as it comes from the NVE with PA `from`, `FlowID` 0x42.
pub fn received(vsid: u32, from: Ca, tos: u8, inner: &[u8]) -> Vec<u8> {
    let mut frame = nvgre(OUR_MAC, HOP_MAC, (from, [192, 0, 2, 1]), vsid, tos, inner);
    frame[41] = 0x42;
    frame
}

fn nvgre(dst: Mac, src: Mac, pas: (Ca, Ca), vsid: u32, tos: u8, inner: &[u8]) -> Vec<u8> {
    let mut frame = eth(dst, src, 0x0800);
    let len = u16::try_from(inner.len() + 8).expect("fits");
    let mut ip = Ipv4Header::new(len, 64, IpNumber::GRE, pas.0, pas.1).expect("valid");
    ip.dscp = (tos >> 2).try_into().expect("6 bits");
    ip.ecn = (tos & 3).try_into().expect("2 bits");
    ip.header_checksum = ip.calc_header_checksum();
    ip.write(&mut frame).expect("a vector takes it");
    frame.extend([0x20, 0x00, 0x65, 0x58]);
    frame.extend(&vsid.to_be_bytes()[1..]);
    frame.push(0);
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
    let sum: u32 = frame[14..34]
        .chunks(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
        .sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    let folded = (folded & 0xFFFF) + (folded >> 16);
    let checksum = !u16::try_from(folded).expect("folded");
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    frame
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
