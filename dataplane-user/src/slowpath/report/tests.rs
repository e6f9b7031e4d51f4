use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, PacketBuilder};

use super::*;
use crate::slowpath::testing::{error, headers, never_panics, udp};

/// A router, the PAs of sender and receiver, their CAs.
const FAMILIES: [[&str; 5]; 2] = [
    [
        "192.0.2.9",
        "198.51.100.5",
        "198.51.100.7",
        "10.0.0.5",
        "10.9.8.7",
    ],
    [
        "2001:db8::9",
        "2001:db8:f::5",
        "2001:db8:f::7",
        "fd00:a::5",
        "fd00:b::7",
    ],
];
const EXCEEDED: [[u8; 2]; 2] = [[11, 0], [3, 0]];

fn address(text: &str) -> Address {
    text.parse::<IpAddr>().unwrap().into()
}

/// TCP, or a ping, from one to another.
fn packet(from: &str, to: &str, protocol: IpNumber) -> Vec<u8> {
    let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 5], [2, 0, 0, 0, 0, 7]);
    let ip = link.ip(headers(from, to, protocol, 61));
    let mut frame = Vec::new();
    let written = match protocol {
        IpNumber::TCP => ip.tcp(1000, 2000, 7, 9).write(&mut frame, &[5; 60]),
        IpNumber::ICMP => ip.icmpv4_echo_request(1, 2).write(&mut frame, &[5; 61]),
        IpNumber::IPV6_ICMP => ip.icmpv6_echo_request(1, 2).write(&mut frame, &[5; 61]),
        _ => return udp(from, to, 33)[14..].to_vec(),
    };
    written.unwrap();
    frame[14..].to_vec()
}

fn protocols(v6: bool) -> [IpNumber; 3] {
    let ping = if v6 {
        IpNumber::IPV6_ICMP
    } else {
        IpNumber::ICMP
    };
    [IpNumber::TCP, IpNumber::UDP, ping]
}

/// The quote in CAs of a report about `packet`.
fn translated(index: usize, packet: &[u8]) -> Option<Vec<u8>> {
    let [router, own, _, ca, far_ca] = FAMILIES[index];
    let frame = error(router, own, (EXCEEDED[index], 0), packet);
    read(&frame)?.quote(address(ca), address(far_ca))
}

#[test]
fn what_is_quoted_is_what_its_sender_sent() {
    for (index, [_, own, far, ca, far_ca]) in FAMILIES.into_iter().enumerate() {
        for protocol in protocols(index == 1) {
            let (wire, sent) = (packet(own, far, protocol), packet(ca, far_ca, protocol));
            for len in [wire.len(), wire.len() - 1, if index == 1 { 48 } else { 28 }] {
                let quote = translated(index, &wire[..len]);
                assert_eq!(quote.as_deref(), Some(&sent[..len]), "{protocol:?} {len}");
            }
        }
    }
}

#[test]
fn who_reports_what_of_whom_is_read() {
    for (index, [router, own, far, ..]) in FAMILIES.into_iter().enumerate() {
        let quoted = packet(own, far, IpNumber::UDP);
        let kinds = if index == 0 {
            [([3, 4], 1400), ([11, 1], 0), ([12, 0], 0x0900_0000)]
        } else {
            [([2, 0], 1400), ([1, 4], 0), ([4, 1], 40)]
        };
        for (kind, rest) in kinds {
            let frame = error(router, own, (kind, rest), &quoted);
            let report = read(&frame).unwrap();
            let addresses = [report.router, report.own, report.far];
            assert_eq!(
                addresses,
                [router, own, far].map(|text| text.parse::<IpAddr>().unwrap())
            );
            assert_eq!((report.kind, report.rest), (kind, rest.to_be_bytes()));
        }
    }
}

#[test]
fn a_redirect_and_what_is_no_error_is_not_read() {
    for (index, [router, own, far, ..]) in FAMILIES.into_iter().enumerate() {
        let quoted = packet(own, far, IpNumber::UDP);
        let kinds = if index == 0 {
            [0, 4, 5, 8, 13]
        } else {
            [128, 129, 135, 136, 137]
        };
        for kind in kinds {
            assert_eq!(
                read(&error(router, own, ([kind, 0], 0), &quoted)),
                None,
                "{kind}"
            );
        }
        // Over one family, a message of the other.
        let mut other = error(router, own, (EXCEEDED[index], 0), &quoted);
        other[if index == 0 { 23 } else { 20 }] = if index == 0 { 58 } else { 1 };
        assert_eq!(read(&other), None);
    }
}

#[test]
fn a_quote_of_another_or_of_too_little_is_not_read() {
    for (index, [router, own, far, ..]) in FAMILIES.into_iter().enumerate() {
        let kind = (EXCEEDED[index], 0);
        let quoted = packet(own, far, IpNumber::TCP);
        let least = if index == 0 { 28 } else { 48 };
        for len in 0..least {
            assert_eq!(
                read(&error(router, own, kind, &quoted[..len])),
                None,
                "{len}"
            );
        }
        assert!(read(&error(router, own, kind, &quoted[..least])).is_some());
        let reply = packet(far, own, IpNumber::TCP);
        assert_eq!(read(&error(router, own, kind, &reply)), None);
    }
}

#[test]
fn options_do_not_hide_the_upper_layer() {
    let [_, own, far, ca, far_ca] = FAMILIES[0];
    let optioned = |from: &str, to: &str| {
        let bytes = packet(from, to, IpNumber::TCP);
        let (mut header, _) = Ipv4Header::from_slice(&bytes).unwrap();
        header.options = Ipv4Options::from([0x94, 4, 0, 0, 1, 1, 1, 0]);
        header.set_payload_len(bytes.len() - 20).unwrap();
        header.header_checksum = header.calc_header_checksum();
        [&header.to_bytes()[..], &bytes[20..]].concat()
    };
    let quote = translated(0, &optioned(own, far));
    assert_eq!(quote, Some(optioned(ca, far_ca)));
    // Cut within the options, and within the upper layer.
    for len in [20, 24, 27, 28, 35] {
        assert_eq!(translated(0, &optioned(own, far)[..len]), None, "{len}");
    }
    let [_, own, far, ca, far_ca] = FAMILIES[1];
    let extended = |from: &str, to: &str| {
        let mut bytes = packet(from, to, IpNumber::TCP);
        bytes[5] += 8;
        bytes[6] = 0;
        bytes.splice(40..40, [6, 0, 1, 4, 0, 0, 0, 0]);
        bytes
    };
    let quote = translated(1, &extended(own, far));
    assert_eq!(quote, Some(extended(ca, far_ca)));
}

#[test]
fn a_later_fragment_has_no_checksum_of_its_own() {
    let [_, own, far, ca, far_ca] = FAMILIES[0];
    let later = |from: &str, to: &str| {
        let mut bytes = packet(from, to, IpNumber::TCP);
        let (mut header, _) = Ipv4Header::from_slice(&bytes).unwrap();
        header.dont_fragment = false;
        header.fragment_offset = IpFragOffset::try_new(9).unwrap();
        header.header_checksum = header.calc_header_checksum();
        bytes[..20].copy_from_slice(&header.to_bytes());
        bytes[20..].fill(3);
        bytes
    };
    assert_eq!(translated(0, &later(own, far)), Some(later(ca, far_ca)));
}

#[test]
fn udp_without_a_checksum_stays_without() {
    let [_, own, far, ca, far_ca] = FAMILIES[0];
    let bare = |from: &str, to: &str| {
        let mut bytes = packet(from, to, IpNumber::UDP);
        bytes[26..28].fill(0);
        bytes
    };
    assert_eq!(translated(0, &bare(own, far)), Some(bare(ca, far_ca)));
}

#[test]
fn what_a_router_says_of_itself_is_not_told() {
    for (index, [router, own, far, ca, far_ca]) in FAMILIES.into_iter().enumerate() {
        let long = packet(own, far, IpNumber::TCP);
        let padded = [
            &long[..],
            &vec![0; 128 - long.len()],
            &[0x20, 0, 0, 0, 1, 2, 3, 4],
        ]
        .concat();
        // 128 bytes: 32 words over IPv4, 16 over IPv6.
        let rest = if index == 0 { 0x0020_0578 } else { 0x1000_0000 };
        let kind = if index == 0 { [3, 4] } else { [1, 0] };
        let frame = error(router, own, (kind, rest), &padded);
        let report = read(&frame).unwrap();
        let left = if index == 0 { 0x0578_u32 } else { 0 };
        assert_eq!(report.rest, left.to_be_bytes());
        let quote = report.quote(address(ca), address(far_ca));
        assert_eq!(quote, Some(packet(ca, far_ca, IpNumber::TCP)));
    }
    // The MTU of "packet too big" has no length in it.
    let [router, own, far, ..] = FAMILIES[1];
    let quoted = packet(own, far, IpNumber::TCP);
    let frame = error(router, own, ([2, 0], 0x0100_0000), &quoted);
    assert_eq!(read(&frame).unwrap().rest, [1, 0, 0, 0]);
}

#[test]
fn damage_and_fragments_are_seen() {
    for (index, [router, own, far, ..]) in FAMILIES.into_iter().enumerate() {
        let frame = error(
            router,
            own,
            (EXCEEDED[index], 0),
            &packet(own, far, IpNumber::TCP),
        );
        assert!(read(&frame).is_some());
        for at in 14..frame.len() {
            let mut damaged = frame.clone();
            damaged[at] ^= 4;
            // IPv6 has no checksum over traffic class, flow label and hop limit.
            let unsummed = index == 1 && matches!(at - 14, 0..4 | 7);
            assert!(read(&damaged).is_none() || unsummed, "{at}");
            assert_eq!(read(&frame[..at]), None, "cut at {at}");
        }
    }
    let [router, own, far, ..] = FAMILIES[0];
    let mut frame = error(
        router,
        own,
        (EXCEEDED[0], 0),
        &packet(own, far, IpNumber::TCP),
    );
    let (mut header, _) = Ipv4Header::from_slice(&frame[14..]).unwrap();
    (header.dont_fragment, header.more_fragments) = (false, true);
    header.header_checksum = header.calc_header_checksum();
    frame[14..34].copy_from_slice(&header.to_bytes());
    assert_eq!(read(&frame), None, "a fragment");
}

#[test]
fn cas_of_the_other_family_are_refused() {
    let [router, own, far, ..] = FAMILIES[0];
    let frame = error(
        router,
        own,
        (EXCEEDED[0], 0),
        &packet(own, far, IpNumber::TCP),
    );
    let [v4, v6] = [FAMILIES[0][3], FAMILIES[1][3]].map(address);
    let report = read(&frame).unwrap();
    assert!(report.quote(v4, v4).is_some());
    assert!(report.quote(v6, v4).is_none() && report.quote(v4, v6).is_none());
}

#[test]
fn whatever_comes_is_survived() {
    for (index, [router, own, far, ca, far_ca]) in FAMILIES.into_iter().enumerate() {
        for protocol in protocols(index == 1) {
            let quoted = packet(own, far, protocol);
            let survive = |quoted: &[u8]| {
                let frame = error(router, own, (EXCEEDED[index], 0), quoted);
                if let Some(report) = read(&frame) {
                    let _ = report.quote(address(ca), address(far_ca));
                }
            };
            never_panics(&quoted, survive);
        }
    }
}
