//! Frames, and bytes that are none, for the tests of the slow path.

use std::net::IpAddr;

use etherparse::{IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};

/// The headers of a packet between two addresses of one family.
pub(crate) fn headers(from: &str, to: &str, protocol: IpNumber, hop_limit: u8) -> IpHeaders {
    match (from.parse().unwrap(), to.parse().unwrap()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let (from, to) = (from.octets(), to.octets());
            let header = Ipv4Header::new(0, hop_limit, protocol, from, to);
            IpHeaders::Ipv4(header.unwrap(), etherparse::Ipv4Extensions::default())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let header = Ipv6Header {
                hop_limit,
                next_header: protocol,
                source: from.octets(),
                destination: to.octets(),
                ..Ipv6Header::default()
            };
            IpHeaders::Ipv6(header, etherparse::Ipv6Extensions::default())
        }
        mixed => panic!("{mixed:?}"),
    }
}

/// A UDP packet from 02:00:00:00:00:05 to 02:00:00:00:00:07.
pub(crate) fn udp(from: &str, to: &str, payload: usize) -> Vec<u8> {
    ported(from, to, (1000, 2000), &vec![7; payload])
}

/// The same, with ports and a payload of its own.
pub(crate) fn ported(from: &str, to: &str, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 5], [2, 0, 0, 0, 0, 7])
        .ip(headers(from, to, IpNumber::UDP, 64))
        .udp(ports.0, ports.1);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

/// Reads all beginnings of `valid`, `valid` with some bytes changed, and random bytes.
pub(crate) fn never_panics(valid: &[u8], read: impl Fn(&[u8])) {
    for len in 0..=valid.len() {
        read(&valid[..len]);
    }
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    let garbage = vec(any::<u8>(), 0..200);
    let mut runner = TestRunner::deterministic();
    let ran = runner.run(&(changes, garbage), |(changes, garbage)| {
        let mut frame = valid.to_vec();
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        read(&frame);
        read(&garbage);
        // Behind an Ethernet header that announces IP, for what would stop there.
        for ethertype in [[8, 0], [0x86, 0xDD], [8, 6]] {
            read(&[&[2; 12], &ethertype[..], &garbage].concat());
        }
        Ok(())
    });
    ran.unwrap();
}

/// A message of neighbour discovery from 02:00:00:00:00:05, code 0; `body` follows the checksum.
pub(crate) fn discovery(from: &str, to: &str, kind: u8, body: &[u8]) -> Vec<u8> {
    let (flags, payload) = body.split_first_chunk::<4>().unwrap();
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 5], [0x33, 0x33, 0, 0, 0, 2])
        .ip(headers(from, to, IpNumber::IPV6_ICMP, 255))
        .icmpv6_raw(kind, 0, *flags);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

/// An NVGRE packet from one PA to another, of one family.
pub(crate) fn nvgre((from, to): (&str, &str), vsid: u32, inner: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = vsid.to_be_bytes();
    let payload = [&[0x20, 0, 0x65, 0x58, a, b, c, 0x42], inner].concat();
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 1, 2], [2, 0, 0, 0, 1, 1]);
    let mut frame = Vec::new();
    let built = builder.ip(headers(from, to, IpNumber::GRE, 64));
    built.write(&mut frame, IpNumber::GRE, &payload).unwrap();
    frame
}

/// A router's message that `mtu` bytes are the most on the way of an NVGRE packet.
pub(crate) fn too_big(router: &str, (from, to): (&str, &str), vsid: u32, mtu: u16) -> Vec<u8> {
    let quoted = nvgre((from, to), vsid, &[]);
    let kind = if from.contains(':') { [2, 0] } else { [3, 4] };
    error(router, from, (kind, mtu.into()), &quoted[14..])
}

/// An ICMP error of a router to whoever sent the packet `quote`; `kind` and `rest` as they stand.
pub(crate) fn error(router: &str, to: &str, (kind, rest): ([u8; 2], u32), quote: &[u8]) -> Vec<u8> {
    let link = PacketBuilder::ethernet2([2, 0, 0, 0, 1, 2], [2, 0, 0, 0, 1, 1]);
    let (mut frame, [kind, code], rest) = (Vec::new(), kind, rest.to_be_bytes());
    if to.contains(':') {
        let ip = link.ip(headers(router, to, IpNumber::IPV6_ICMP, 60));
        let built = ip.icmpv6_raw(kind, code, rest);
        built.write(&mut frame, quote).unwrap();
    } else {
        let ip = link.ip(headers(router, to, IpNumber::ICMP, 60));
        let built = ip.icmpv4_raw(kind, code, rest);
        built.write(&mut frame, quote).unwrap();
    }
    frame
}

/// The frame, to all in the subnet.
pub(crate) fn broadcast(mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].fill(0xFF);
    frame
}
