mod neighbours;

use super::*;
use crate::forward::testing::{
    Bytes, address, advertisement, arp_request, ca4, ca6, icmpv4, icmpv6, ipv4, ipv6 as packet6,
    link_layer, mac, neighbour_with, probe, set, solicitation, tcp, tcp_ports, tcp6,
};

fn parsed(frame: &[u8]) -> Headers {
    headers(&Bytes::new(frame), 0).expect("valid")
}

fn refused(frame: &[u8]) -> DropReason {
    headers(&Bytes::new(frame), 0).expect_err("refused")
}

/// A TCP segment between the stations 5 and 7 behind these extension headers, each with its number and
/// the bytes behind the "next header" field.
fn behind(extensions: &[(u8, &[u8])], next: u8, last: &[u8]) -> Vec<u8> {
    let mut numbers: Vec<u8> = extensions.iter().map(|(number, _)| *number).collect();
    numbers.push(next);
    let mut payload = Vec::new();
    for ((_, rest), next) in extensions.iter().zip(&numbers[1..]) {
        payload.push(*next);
        payload.extend(*rest);
    }
    payload.extend(last);
    packet6(ca6(5), ca6(7), (numbers[0], 255), &payload)
}

/// The first bytes of TCP: ports 0x0102 and 0x0304.
const TCP: [u8; 20] = [
    1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0,
];
const OPTIONS_8: &[u8] = &[0, 1, 4, 0, 0, 0, 0];
const OPTIONS_16: &[u8] = &[1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Length 4 in words of four bytes, without two: 24 bytes.
const AUTH_24: &[u8] = &[
    4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
];
const fn fragment(offset: u16) -> [u8; 7] {
    let [high, low] = offset.to_be_bytes();
    [0, high, low, 0, 0, 0, 1]
}

#[test]
fn every_truncation_is_refused_and_none_panics() {
    for whole in [
        tcp([10, 0, 0, 5], [10, 0, 0, 7]),
        arp_request([10, 0, 0, 5], [10, 0, 0, 7]),
        tcp6(5, 7),
        solicitation(5, 7),
        probe(mac(5), ca6(7)),
        behind(&[(60, OPTIONS_16), (51, AUTH_24)], 6, &TCP),
    ] {
        assert!(headers(&Bytes::new(&whole), 0).is_ok());
        for len in 0..whole.len() {
            let cut = whole.get(..len).expect("shorter");
            assert_eq!(refused(cut), DropReason::Truncated, "{len}");
        }
    }
}

#[test]
fn header_lengths_are_not_trusted() {
    let good = tcp([10, 0, 0, 5], [10, 0, 0, 7]);
    for version_ihl in 0..=255_u8 {
        let frame = set(&good, 14, &[version_ihl]);
        if version_ihl >> 4 != 4 || version_ihl & 0xF < 5 {
            assert_eq!(refused(&frame), DropReason::IpMalformed, "{version_ihl:#x}");
        }
    }
    let shorter_than_its_header = set(&good, 16, &[0, 19]);
    assert_eq!(refused(&shorter_than_its_header), DropReason::IpMalformed);
    for version in (0..16).filter(|version| *version != 6) {
        let frame = set(&tcp6(5, 7), 14, &[version << 4]);
        assert_eq!(refused(&frame), DropReason::IpMalformed, "{version}");
    }
    let longer = set(&tcp6(5, 7), 18, &[0xFF, 0xFF]);
    assert_eq!(refused(&longer), DropReason::Truncated);
}

#[test]
fn a_super_packet_is_as_large_as_its_segments() {
    let frame = tcp([10, 0, 0, 5], [10, 0, 0, 7]);
    let parsed = |frame: &[u8]| headers(&Bytes::gso(frame, 1400), 0).expect("valid");
    assert_eq!(parsed(&frame).segment, 20 + 20 + 1400);
    assert_eq!(parsed(&tcp6(5, 7)).segment, 40 + 20 + 1400);
    let options = behind(&[(60, OPTIONS_16)], 6, &TCP);
    assert_eq!(parsed(&options).segment, 40 + 16 + 20 + 1400);
    let udp = set(&frame, 23, &[17]);
    assert_eq!(parsed(&udp).segment, 20 + 8 + 1400);
    assert_eq!(headers(&Bytes::new(&frame), 0).expect("valid").segment, 40);
}

#[test]
fn both_families_say_the_same() {
    let v4 = parsed(&set(&tcp([10, 0, 0, 5], [10, 0, 0, 7]), 15, &[0xB9]));
    let v6 = parsed(&set(&tcp6(5, 7), 14, &[0x6B, 0x90]));
    for (parsed, kind, l4) in [(v4, Kind::Ipv4, 34), (v6, Kind::Ipv6, 54)] {
        assert_eq!((parsed.kind, parsed.l4), (kind, l4));
        assert_eq!((parsed.protocol, parsed.ttl, parsed.tos), (6, 64, 0xB9));
        assert_eq!(parsed.ports, [0x9C, 0x40, 0, 80]);
        assert!(!parsed.fragment);
    }
    assert_eq!((v4.src, v4.dst), (ca4(5).into(), ca4(7).into()));
    assert_eq!((v6.src, v6.dst), (ca6(5), ca6(7)));
    let options = [&[0x46][..], &[0; 23], &TCP].concat();
    let mut options = ipv4(ca4(5), ca4(7), 6, &options[20..]);
    options[14] = 0x46;
    assert_eq!(
        (parsed(&options).l4, parsed(&options).ports),
        (38, [1, 2, 3, 4])
    );
}

#[test]
fn up_to_four_extension_headers_are_read() {
    let first = fragment(1);
    for (number, rest) in [
        (0, OPTIONS_8),
        (43, OPTIONS_8),
        (60, OPTIONS_16),
        (51, AUTH_24),
    ] {
        for count in 0..=4 {
            let got = parsed(&behind(&vec![(number, rest); count], 6, &TCP));
            assert_eq!((got.protocol, got.ports), (6, [1, 2, 3, 4]), "{count}");
            assert_eq!(got.l4 as usize, 54 + count * (rest.len() + 1), "{count}");
        }
        let five = behind(&[(number, rest); 5], 6, &TCP);
        assert_eq!(refused(&five), DropReason::ExtensionHeaders, "{number}");
    }
    for count in 1..=4 {
        let got = parsed(&behind(&vec![(44, &first[..]); count], 6, &TCP));
        assert_eq!((got.protocol, got.ports, got.fragment), (6, [0; 4], true));
    }
    assert_eq!(
        refused(&behind(&[(44, &first[..]); 5], 6, &TCP)),
        DropReason::ExtensionHeaders
    );
}

#[test]
fn fragments_have_no_ports() {
    let whole = tcp_ports([10, 0, 0, 5], [10, 0, 0, 7], 1, 2);
    for (offset, fragment) in [([0x20, 0], true), ([0, 1], true), ([0x40, 0], false)] {
        let got = parsed(&set(&whole, 20, &offset));
        assert_eq!((got.fragment, got.ports == [0; 4]), (fragment, fragment));
    }
    let echo = set(&icmpv4(ca4(5), ca4(1), 8), 20, &[0x20, 0]);
    assert_eq!(
        (parsed(&echo).icmp, parsed(&echo).is_echo_request()),
        (0, false)
    );
    for offset in [0, 1, 8, 0xFFF8] {
        let header = fragment(offset);
        let got = parsed(&behind(&[(44, &header[..])], 6, &TCP));
        assert_eq!((got.fragment, got.ports, got.protocol), (true, [0; 4], 6));
    }
}

#[test]
fn a_later_fragment_is_not_looked_into() {
    // What stands there looks like a chain of extension headers, or a neighbour message.
    let later = fragment(8);
    for next in [0, 43, 44, 51, 60, 58] {
        let got = parsed(&behind(&[(44, &later[..])], next, &[135, 0]));
        assert_eq!((got.kind, got.protocol, got.l4), (Kind::Ipv6, next, 62));
        assert_eq!(got.icmp, 0);
    }
}

#[test]
fn mapped_addresses_do_not_stand_in_packets() {
    for at in [22, 38] {
        let frame = set(&tcp6(5, 7), at, &address("10.0.0.5").to_bytes());
        assert_eq!(refused(&frame), DropReason::IpMalformed);
    }
    let target = set(&solicitation(5, 7), 62, &address("10.0.0.7").to_bytes());
    assert_eq!(refused(&target), DropReason::NeighbourMalformed);
}

#[test]
fn kinds_are_told_apart() {
    let told = advertisement(ca6(5), ca6(7), ca6(5), mac(5));
    for (frame, kind) in [
        (arp_request(ca4(5), ca4(7)), Kind::ArpRequest),
        (
            set(&arp_request(ca4(5), ca4(7)), 20, &[0, 2]),
            Kind::ArpReply,
        ),
        (solicitation(5, 7), Kind::Solicitation),
        (told, Kind::Advertisement),
        (icmpv6(ca6(5), ca6(7), 137), Kind::Ipv6),
        (set(&tcp6(5, 7), 12, &[0x88, 0xCC]), Kind::NonIp),
    ] {
        assert_eq!(parsed(&frame).kind, kind);
    }
    assert_eq!(
        refused(&set(&tcp6(5, 7), 12, &[0x81, 0])),
        DropReason::InnerVlan
    );
    assert!(parsed(&icmpv6(ca6(5), ca6(7), 133)).is_router_solicitation());
    assert!(parsed(&icmpv6(ca6(5), ca6(7), 128)).is_echo_request());
    assert!(parsed(&icmpv4(ca4(5), ca4(7), 8)).is_echo_request());
    // Each family has its own protocol and its own numbers.
    assert!(!parsed(&icmpv4(ca4(5), ca4(7), 128)).is_echo_request());
    assert!(!parsed(&set(&icmpv4(ca4(5), ca4(7), 128), 23, &[58])).is_echo_request());
}
