use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::*;
use crate::slowpath::testing::{headers, never_panics, udp};

const FAMILIES: [(&str, &str, &str); 2] = [
    ("10.0.0.1", "10.0.0.5", "10.0.0.7"),
    ("2001:db8::1", "2001:db8::5", "2001:db8::7"),
];

fn gateway(ca: &str) -> Gateway {
    Gateway {
        mac: Mac([2, 0xEE, 0, 0, 0, 1]),
        ca: ca.parse().unwrap(),
    }
}

/// What an answer says: type, code, bytes five to eight, and the quoted packet; its addresses and
/// checksums are checked.
fn read<'a>(answer: &'a [u8], from: &str, to: &str) -> ([u8; 2], u32, &'a [u8]) {
    let sliced = SlicedPacket::from_ethernet(answer).unwrap();
    assert_eq!(&answer[..12], &[2, 0, 0, 0, 0, 5, 2, 0xEE, 0, 0, 0, 1]);
    let ip = sliced.net.as_ref().unwrap();
    let (source, destination): (IpAddr, IpAddr) = match ip {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!((header.dscp.value(), header.dont_fragment), (48, false));
            (header.source.into(), header.destination.into())
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header().to_header();
            assert_eq!((header.traffic_class, header.hop_limit), (0xC0, 64));
            (header.source.into(), header.destination.into())
        }
        NetSlice::Arp(_) => panic!("ARP"),
    };
    assert_eq!(
        (source, destination),
        (from.parse().unwrap(), to.parse().unwrap())
    );
    match (sliced.transport.unwrap(), source, destination) {
        (TransportSlice::Icmpv4(icmp), ..) => {
            let sum = icmp.icmp_type().calc_checksum(icmp.payload());
            assert_eq!(icmp.checksum(), sum);
            let rest = u32::from_be_bytes(icmp.bytes5to8());
            ([icmp.type_u8(), icmp.code_u8()], rest, icmp.payload())
        }
        (TransportSlice::Icmpv6(icmp), IpAddr::V6(source), IpAddr::V6(destination)) => {
            assert!(icmp.is_checksum_valid(source.octets(), destination.octets()));
            let rest = u32::from_be_bytes(icmp.bytes5to8());
            ([icmp.type_u8(), icmp.code_u8()], rest, icmp.payload())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_independent_decoder_reads_every_answer() {
    let cases = [
        (Told::TooBig(1358), [3, 4], [2, 0], 1358),
        (Told::TimeExceeded, [11, 0], [3, 0], 0),
        (Told::PortUnreachable, [3, 3], [1, 4], 0),
    ];
    for (told, v4, v6, rest) in cases {
        for (ca, from, to) in FAMILIES {
            let (codes, total) = if ca.contains(':') {
                (v6, 1280)
            } else {
                (v4, 576)
            };
            let frame = udp(from, to, 1400);
            let bytes = answer(&frame, &gateway(ca), told).unwrap();
            assert_eq!(bytes.len(), 14 + total);
            let (codes_read, rest_read, quoted) = read(&bytes, ca, from);
            assert_eq!((codes_read, rest_read), (codes, rest));
            assert_eq!(quoted, &frame[14..14 + quoted.len()]);
        }
    }
}

#[test]
fn padding_is_not_quoted() {
    for (ca, from, to) in FAMILIES {
        let mut frame = udp(from, to, 1);
        let packet = frame[14..].to_vec();
        frame.extend([0xAA; 30]);
        let bytes = answer(&frame, &gateway(ca), Told::TimeExceeded).unwrap();
        assert_eq!(read(&bytes, ca, from).2, packet);
    }
}

#[test]
fn no_ipv6_host_is_told_less_than_a_link_must_carry() {
    let (ca, from, to) = FAMILIES[1];
    let bytes = answer(&udp(from, to, 1400), &gateway(ca), Told::TooBig(900)).unwrap();
    assert_eq!(read(&bytes, ca, from).1, 1280);
}

#[test]
fn nobody_and_groups_are_not_answered() {
    let v4 = ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"];
    let v6 = ["::", "::1", "ff02::1", "::ffff:10.0.0.5"];
    for ((ca, from, to), others) in FAMILIES.into_iter().zip([v4, v6]) {
        for other in others {
            for frame in [udp(other, to, 9), udp(from, other, 9)] {
                assert_eq!(answer(&frame, &gateway(ca), Told::TooBig(1358)), None);
            }
        }
        for (at, byte) in [(0, 0xFF), (6, 1)] {
            let mut frame = udp(from, to, 9);
            frame[at] = byte;
            assert_eq!(answer(&frame, &gateway(ca), Told::TooBig(1358)), None);
        }
    }
}

/// A message of ICMP of the family.
fn icmp(from: &str, to: &str, kind: u8) -> Vec<u8> {
    let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 5], [2, 0, 0, 0, 0, 7]);
    let mut frame = Vec::new();
    let written = if from.contains(':') {
        let ip = link.ip(headers(from, to, IpNumber::IPV6_ICMP, 64));
        ip.icmpv6_raw(kind, 0, [0; 4]).write(&mut frame, &[0; 40])
    } else {
        let ip = link.ip(headers(from, to, IpNumber::ICMP, 64));
        ip.icmpv4_raw(kind, 0, [0; 4]).write(&mut frame, &[0; 40])
    };
    written.unwrap();
    frame
}

#[test]
fn errors_are_not_answered_and_queries_are() {
    let errors: [&[u8]; 2] = [&[3, 4, 5, 11, 12], &[1, 2, 3, 4, 100, 127, 137]];
    let queries: [&[u8]; 2] = [&[0, 8, 13], &[128, 129, 135]];
    for (family, (ca, from, to)) in FAMILIES.into_iter().enumerate() {
        let told = |kind: u8| answer(&icmp(from, to, kind), &gateway(ca), Told::TimeExceeded);
        assert!(errors[family].iter().all(|kind| told(*kind).is_none()));
        assert!(queries[family].iter().all(|kind| told(*kind).is_some()));
    }
}

#[test]
fn later_fragments_are_answered_over_ipv6_if_they_are_no_icmp() {
    let (ca, from, to) = FAMILIES[0];
    let mut frame = udp(from, to, 100);
    frame[21] = 1;
    assert_eq!(answer(&frame, &gateway(ca), Told::TooBig(1358)), None);
    let (ca, from, to) = FAMILIES[1];
    let mut frame = udp(from, to, 100);
    frame[20] = 44;
    for (protocol, answered) in [(17, true), (58, false)] {
        frame[54..62].copy_from_slice(&[protocol, 0, 0, 8, 0, 0, 0, 7]);
        let told = answer(&frame, &gateway(ca), Told::TooBig(1358));
        assert_eq!(told.is_some(), answered);
    }
}

#[test]
fn each_family_has_its_gateway() {
    let [(v4, from4, to4), (v6, from6, to6)] = FAMILIES;
    let (frame4, frame6) = (udp(from4, to4, 9), udp(from6, to6, 9));
    assert_eq!(answer(&frame4, &gateway(v6), Told::TimeExceeded), None);
    assert_eq!(answer(&frame6, &gateway(v4), Told::TimeExceeded), None);
}

#[test]
fn whatever_comes_is_survived() {
    for (ca, from, to) in FAMILIES {
        for frame in [udp(from, to, 60), icmp(from, to, 128)] {
            never_panics(&frame, |frame| {
                for told in [Told::TooBig(0), Told::TimeExceeded, Told::PortUnreachable] {
                    let _ = answer(frame, &gateway(ca), told);
                }
            });
        }
    }
}
