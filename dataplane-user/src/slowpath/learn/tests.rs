use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{ArpEthIpv4Packet, PacketBuilder};

use super::*;
use crate::slowpath::testing::{discovery, never_panics, udp};

const MAC: Mac = Mac([2, 0, 0, 0, 0, 5]);
const OTHER: &str = "fd00::9";
const OURS: &str = "fd00::5";

fn arp(operation: ArpOperation, sender: [u8; 4], sender_mac: [u8; 6]) -> Vec<u8> {
    let packet = ArpEthIpv4Packet {
        operation,
        sender_mac,
        sender_ipv4: sender,
        target_mac: [0; 6],
        target_ipv4: [10, 0, 0, 9],
    };
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(MAC.0, [0xFF; 6])
        .arp(packet.into())
        .write(&mut frame)
        .unwrap();
    frame
}

/// Flags, target, and a link-layer option.
fn about(flags: u8, target: &str, option: [u8; 8]) -> Vec<u8> {
    let target: Ipv6Addr = target.parse().unwrap();
    [&[flags, 0, 0, 0], &target.octets()[..], &option].concat()
}

fn claims(frame: &[u8], address: &str) {
    assert_eq!(claimed(frame), Some((MAC, address.parse().unwrap())));
}

#[test]
fn arp_claims_the_senders_address() {
    for operation in [ArpOperation::REQUEST, ArpOperation::REPLY] {
        claims(&arp(operation, [10, 0, 0, 5], MAC.0), "10.0.0.5");
        let forged = arp(operation, [10, 0, 0, 5], [2, 0, 0, 0, 0, 6]);
        assert_eq!(claimed(&forged), None, "of another MAC");
        for nobody in [
            "0.0.0.0",
            "169.254.3.4",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            let sender: Ipv4Addr = nobody.parse().unwrap();
            assert_eq!(claimed(&arp(operation, sender.octets(), MAC.0)), None);
        }
    }
    let reverse = arp(ArpOperation(3), [10, 0, 0, 5], MAC.0);
    assert_eq!(claimed(&reverse), None);
    // Hardware type, protocol type, lengths.
    for at in [15, 17, 18, 19] {
        let mut other = arp(ArpOperation::REQUEST, [10, 0, 0, 5], MAC.0);
        other[at] ^= 1;
        assert_eq!(claimed(&other), None, "{at}");
    }
}

#[test]
fn neighbour_discovery_claims_source_or_target() {
    let group = "ff02::1:ff00:9";
    let (of_source, of_target) = ([1, 1, 2, 0, 0, 0, 0, 5], [2, 1, 2, 0, 0, 0, 0, 5]);
    claims(
        &discovery(OURS, group, 135, &about(0, OTHER, of_source)),
        OURS,
    );
    // Solicited, and unsolicited to all.
    claims(
        &discovery("fe80::5", OTHER, 136, &about(0x60, OURS, of_target)),
        OURS,
    );
    claims(
        &discovery("fe80::5", "ff02::1", 136, &about(0x20, OURS, of_target)),
        OURS,
    );
    claims(&discovery(OURS, "ff02::2", 133, &[0; 4]), OURS);
    let (source_mac, target_mac) = ([1, 1, 2, 0, 0, 0, 0, 6], [2, 1, 2, 0, 0, 0, 0, 6]);
    let nothing = [
        (
            "another's MAC",
            discovery(OURS, group, 135, &about(0, OTHER, source_mac)),
        ),
        (
            "another's MAC",
            discovery(OURS, OTHER, 136, &about(0x60, OURS, target_mac)),
        ),
        (
            "solicited by all",
            discovery(OURS, "ff02::1", 136, &about(0x60, OURS, of_target)),
        ),
        (
            "link-local",
            discovery("fe80::5", group, 135, &about(0, OTHER, of_source)),
        ),
        (
            "link-local",
            discovery(OURS, OTHER, 136, &about(0x60, "fe80::5", of_target)),
        ),
        (
            "group",
            discovery(OURS, OTHER, 136, &about(0x60, "ff02::5", of_target)),
        ),
        (
            "from nobody",
            discovery("::", "ff02::1", 136, &about(0x20, OURS, of_target)),
        ),
        ("no address yet", discovery("::", "ff02::2", 133, &[0; 4])),
        ("probe", {
            let target: Ipv6Addr = OURS.parse().unwrap();
            let body = [&[0; 4], &target.octets()[..]].concat();
            discovery("::", "ff02::1:ff00:5", 135, &body)
        }),
    ];
    for (why, frame) in nothing {
        assert_eq!(claimed(&frame), None, "{why}");
    }
    let mut damaged = discovery(OURS, group, 135, &about(0, OTHER, of_source));
    damaged[56] ^= 1;
    assert_eq!(claimed(&damaged), None);
    damaged[56] ^= 1;
    damaged[21] = 64;
    assert_eq!(claimed(&damaged), None, "from behind a router");
}

#[test]
fn other_packets_claim_their_source() {
    claims(&udp("10.0.0.5", "10.0.0.9", 9), "10.0.0.5");
    claims(&udp(OURS, "ff02::fb", 9), OURS);
    // An echo request, which a router may have passed on.
    claims(&discovery(OURS, OTHER, 128, &[0; 4]), OURS);
    for (from, to) in [
        ("0.0.0.0", "255.255.255.255"),
        ("169.254.1.1", "10.0.0.9"),
        ("224.0.0.1", "10.0.0.9"),
        ("::", "ff02::16"),
        ("fe80::5", "ff02::16"),
        ("::ffff:10.0.0.5", OTHER),
    ] {
        assert_eq!(claimed(&udp(from, to, 9)), None, "{from}");
    }
    let mut group = udp("10.0.0.5", "10.0.0.9", 9);
    group[6] |= 1;
    assert_eq!(claimed(&group), None, "from a group MAC");
}

#[test]
fn whatever_comes_is_survived() {
    for frame in [
        arp(ArpOperation::REPLY, [10, 0, 0, 5], MAC.0),
        udp(OURS, OTHER, 9),
        discovery(
            OURS,
            OTHER,
            136,
            &about(0x60, OURS, [2, 1, 2, 0, 0, 0, 0, 5]),
        ),
    ] {
        never_panics(&frame, |frame| {
            let _ = claimed(frame);
        });
    }
}
