use etherparse::SlicedPacket;
use ipnet::Ipv6Net;

use super::*;
use crate::slowpath::testing::{discovery, never_panics};

const ASKER: &str = "2001:db8::5";
const TARGET: &str = "2001:db8::7";
const GROUP: &str = "ff02::1:ff00:7";
const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);
const SOURCE_OPTION: [u8; 8] = [1, 1, 2, 0, 0, 0, 0, 5];

fn address(text: &str) -> [u8; 16] {
    text.parse::<Ipv6Addr>().unwrap().octets()
}

/// Reserved bytes, target, options.
fn about(target: &str, options: &[u8]) -> Vec<u8> {
    [&[0; 4], &address(target)[..], options].concat()
}

fn solicitation(from: &str, to: &str, options: &[u8]) -> Vec<u8> {
    discovery(from, to, 135, &about(TARGET, options))
}

/// Checks length and checksum with a decoder that is not ours, and returns the message.
fn message(answer: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(&answer[12..14], &[0x86, 0xDD]);
    assert_eq!(answer[14 + 7], 255);
    assert_eq!(&answer[22..38], &address(from));
    assert_eq!(&answer[38..54], &address(to));
    let sliced = SlicedPacket::from_ethernet(answer).unwrap();
    let Some(etherparse::TransportSlice::Icmpv6(icmp)) = sliced.transport else {
        panic!("no ICMPv6")
    };
    assert!(icmp.is_checksum_valid(address(from), address(to)));
    assert_eq!(icmp.slice(), &answer[54..]);
    answer[54..].to_vec()
}

#[test]
fn the_answer_is_laid_out_as_rfc_4861_section_4_4_has_it() {
    let asked_by = solicitation(ASKER, GROUP, &SOURCE_OPTION);
    assert_eq!(asked(&asked_by), Some(TARGET.parse().unwrap()));
    for (router, flags) in [(false, 0x60), (true, 0xE0)] {
        let answer = neighbour_advertisement(&asked_by, MAC, router).unwrap();
        assert_eq!(&answer[..12], &[2, 0, 0, 0, 0, 5, 2, 0, 0, 0, 0, 7]);
        let icmp = message(&answer, TARGET, ASKER);
        let option = [2, 1, 2, 0, 0, 0, 0, 7];
        let body = [&[flags, 0, 0, 0], &address(TARGET)[..], &option].concat();
        assert_eq!((&icmp[..2], &icmp[4..]), (&[136, 0][..], &body[..]));
    }
}

#[test]
fn all_nodes_hear_that_an_address_is_taken() {
    let probe = solicitation("::", GROUP, &[]);
    let answer = neighbour_advertisement(&probe, MAC, false).unwrap();
    assert_eq!(&answer[..6], &[0x33, 0x33, 0, 0, 0, 1]);
    assert_eq!(message(&answer, TARGET, "ff02::1")[4], 0x20);
}

#[test]
fn a_unicast_probe_of_a_known_neighbour_is_answered() {
    let answer = neighbour_advertisement(&solicitation(ASKER, TARGET, &[]), MAC, false);
    assert_eq!(message(&answer.unwrap(), TARGET, ASKER)[4], 0x60);
}

#[test]
fn what_is_not_valid_is_not_answered() {
    let valid = solicitation(ASKER, GROUP, &SOURCE_OPTION);
    let changed = |at: usize, byte: u8| {
        let mut frame = valid.clone();
        frame[at] = byte;
        frame
    };
    let cases = [
        ("hop limit", changed(21, 254)),
        ("checksum", changed(56, valid[56] ^ 1)),
        ("code", discovery_with_code(1)),
        (
            "target",
            discovery(ASKER, GROUP, 135, &about("ff02::1", &[])),
        ),
        (
            "short",
            discovery(ASKER, GROUP, 135, &about(TARGET, &[])[..19]),
        ),
        (
            "option of no length",
            solicitation(ASKER, GROUP, &[1, 0, 2, 0, 0, 0, 0, 5]),
        ),
        (
            "option cut off",
            solicitation(ASKER, GROUP, &[1, 2, 2, 0, 0, 0, 0, 5]),
        ),
        ("from a group", solicitation("ff02::5", GROUP, &[])),
        ("probe with MAC", solicitation("::", GROUP, &SOURCE_OPTION)),
        ("probe to one", solicitation("::", TARGET, &[])),
        ("sender's group MAC", changed(6, 3)),
        (
            "an answer",
            discovery(ASKER, TARGET, 136, &about(TARGET, &[])),
        ),
        ("of a router", discovery(ASKER, "ff02::2", 133, &[0; 4])),
    ];
    for (what, frame) in cases {
        assert_eq!(neighbour_advertisement(&frame, MAC, false), None, "{what}");
        assert_eq!(
            router_advertisement(&frame, MAC, &[], 1500).is_some(),
            what == "of a router"
        );
    }
}

/// A solicitation with a code, whose checksum is right.
fn discovery_with_code(code: u8) -> Vec<u8> {
    let mut frame = solicitation(ASKER, GROUP, &[]);
    frame[55] = code;
    let sum = u16::from_be_bytes([frame[56], frame[57]]);
    frame[56..58].copy_from_slice(&(sum - u16::from(code)).to_be_bytes());
    frame
}

#[test]
fn a_code_alone_makes_it_invalid() {
    let frame = discovery_with_code(1);
    let icmp = etherparse::Icmpv6Slice::from_slice(&frame[54..]).unwrap();
    assert!(icmp.is_checksum_valid(address(ASKER), address(GROUP)));
}

#[test]
fn a_router_is_told_of_as_rfc_4861_section_4_2_has_it() {
    let gateway = Mac([0x02, 0xEE, 0, 0, 0x12, 0x34]);
    let prefixes: [Ipv6Net; 2] = ["2001:db8::9/64", "fd00:0:0:1::/80"].map(|p| p.parse().unwrap());
    for (from, to, link) in [
        (ASKER, ASKER, [2, 0, 0, 0, 0, 5]),
        ("::", "ff02::1", ALL_NODES_MAC.0),
    ] {
        let asked = discovery(from, "ff02::2", 133, &[0; 4]);
        let answer = router_advertisement(&asked, gateway, &prefixes, 1438).unwrap();
        assert_eq!((&answer[..6], &answer[6..12]), (&link[..], &gateway.0[..]));
        let icmp = message(&answer, "fe80::ee:ff:fe00:1234", to);
        // Hop limit 64, neither M nor O, 9000 seconds, both timers unspecified.
        let header = [64, 0, 0x23, 0x28, 0, 0, 0, 0, 0, 0, 0, 0];
        let options = [
            1, 1, 2, 0xEE, 0, 0, 0x12, 0x34, 5, 1, 0, 0, 0, 0, 0x05, 0x9E,
        ];
        let first = [
            &[3, 4, 64, 0x80],
            &[0xFF; 8][..],
            &[0; 4],
            &address("2001:db8::"),
        ];
        let second = [
            &[3, 4, 80, 0x80],
            &[0xFF; 8][..],
            &[0; 4],
            &address("fd00:0:0:1::"),
        ];
        let body = [&header[..], &options, &first.concat(), &second.concat()].concat();
        assert_eq!((&icmp[..2], &icmp[4..]), (&[134, 0][..], &body[..]));
        // Who has no address yet hears what all hear unasked.
        let unasked = unsolicited_router_advertisement(gateway, &prefixes, 1438);
        assert_eq!(unasked.unwrap() == answer, to == "ff02::1");
    }
}

#[test]
fn an_advertisement_fits_every_link() {
    let asked = discovery(
        ASKER,
        "ff02::2",
        133,
        &[&[0; 4], &SOURCE_OPTION[..]].concat(),
    );
    let prefixes = ["2001:db8::/64".parse().unwrap(); 100];
    let answer = router_advertisement(&asked, MAC, &prefixes, 1279).unwrap();
    assert!(answer.len() <= 14 + 1280);
    assert_eq!(
        answer[54 + 16..][..2],
        [1, 1],
        "then no MTU, which none would heed"
    );
    assert_eq!(answer[54 + 24..][..2], [3, 4]);
    let nameless = discovery(
        "::",
        "ff02::2",
        133,
        &[&[0; 4], &SOURCE_OPTION[..]].concat(),
    );
    assert_eq!(router_advertisement(&nameless, MAC, &prefixes, 1500), None);
}

#[test]
fn whatever_comes_is_survived() {
    for frame in [
        solicitation(ASKER, GROUP, &SOURCE_OPTION),
        discovery(ASKER, "ff02::2", 133, &[0; 4]),
    ] {
        never_panics(&frame, |frame| {
            let _ = neighbour_advertisement(frame, MAC, true);
            let _ = router_advertisement(frame, MAC, &[], 1500);
        });
        for len in 0..frame.len() {
            assert_eq!(neighbour_advertisement(&frame[..len], MAC, true), None);
            assert_eq!(router_advertisement(&frame[..len], MAC, &[], 1500), None);
        }
    }
}
