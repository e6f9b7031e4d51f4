//! What a tenant or a stranger on the underlay must not get through, counted where it ends.

use anyhow::{Context, Result, ensure};
use dataplane_common::id::Mac;
use dataplane_tests::{
    net::{Frame, PacketSocket, Site, proof},
    packet::{arp, patch, patch_ip, received, tagged, udp_ports, who_has},
    policy::vm,
};
use xtask::lab::Netns;

const A: [u8; 4] = [10, 0, 0, 5];
const B: [u8; 4] = [10, 0, 0, 7];
const PEER: [u8; 4] = [192, 0, 2, 2];
const BLUE: u32 = 6001;
const RED: u32 = 7001;

/// Destination port of packets that must arrive nowhere, and of the one that must.
const BAD: u16 = 0xBAD0;
const GOOD: u16 = 0x600D;

/// Each case is sent so often.
const TIMES: u64 = 3;

/// Records of which blue knows one more than red.
const MORE: &str = "
---
apiVersion: nve/v1
kind: LookupRecord
metadata: {vmNetwork: blue}
spec: {virtualSubnetId: 6001, customerAddress: 10.0.0.9, macAddress: 02:00:00:00:00:09, providerAddress: 192.0.2.2}
";

fn bad(from: [u8; 4], to: [u8; 4]) -> Frame {
    udp_ports(from, to, 4000, BAD, 64)
}

/// Whether a frame bears the port, in whatever it is wrapped.
fn bears(frame: &[u8], port: u16) -> bool {
    let ports = [4000_u16.to_be_bytes(), port.to_be_bytes()].concat();
    frame.windows(4).any(|bytes| bytes == ports)
}

/// What tenants must not send, and the reason that it is counted under.
fn sins() -> Vec<(&'static str, Frame, &'static str)> {
    let to_nobody = bad(A, [10, 0, 0, 99]);
    let stolen = arp(1, Mac::BROADCAST, (vm(5), B), (Mac([0; 6]), [10, 0, 0, 9]));
    let tag = [0x81, 0, 0, 7];
    vec![
        (
            "a source MAC of another VM",
            patch(&bad(A, B), 11, &[7]),
            "SPOOF_MAC",
        ),
        (
            "a CA of nobody",
            patch(&bad([10, 0, 0, 66], B), 11, &[5]),
            "SPOOF_CA",
        ),
        (
            "the CA of another VM",
            patch(&bad([10, 0, 0, 9], B), 11, &[5]),
            "SPOOF_CA",
        ),
        ("ARP in the name of another VM", stolen, "SPOOF_CA"),
        (
            "ARP for nobody",
            who_has(A, [10, 0, 0, 99]),
            "ARP_NO_RECORD",
        ),
        ("a packet to nobody", to_nobody, "NO_LOOKUP_RECORD"),
        ("a packet to itself", bad(A, A), "HAIRPIN"),
        (
            "a packet to the gateway",
            bad(A, [10, 0, 0, 1]),
            "GATEWAY_BOUND",
        ),
        (
            "a broadcast",
            patch(&bad(A, B), 0, &[0xFF; 6]),
            "BCAST_DISABLED",
        ),
        (
            "a multicast",
            patch(&bad(A, B), 0, &[1, 0, 0x5E, 0, 0, 1]),
            "BCAST_DISABLED",
        ),
        (
            "IPv6",
            patch(&bad(A, B), 12, &[0x86, 0xDD]),
            "IPV6_UNSUPPORTED",
        ),
        ("LLDP", patch(&bad(A, B), 12, &[0x88, 0xCC]), "NON_IP"),
        (
            "three VLAN tags",
            tagged(&bad(A, B), &[tag, tag, tag]),
            "INNER_VLAN",
        ),
        (
            "a header of 16 bytes",
            patch(&bad(A, B), 14, &[0x44]),
            "IP_MALFORMED",
        ),
        (
            "a length beyond the frame",
            patch(&bad(A, B), 16, &[9, 9]),
            "TRUNCATED",
        ),
    ]
}

/// Sockets at every place where nothing may arrive.
fn watch<'s>(places: impl IntoIterator<Item = &'s Netns>) -> Result<Vec<PacketSocket>> {
    places
        .into_iter()
        .map(|place| PacketSocket::open(place, "eth0"))
        .collect()
}

fn nothing_came(watchers: &[PacketSocket]) -> Result<()> {
    for watcher in watchers {
        let seen = watcher.drain()?.into_iter().find(|frame| bears(frame, BAD));
        ensure!(seen.is_none(), "this arrived: {seen:x?}");
    }
    Ok(())
}

fn sends(
    site: &Site,
    port: &str,
    sender: &PacketSocket,
    (what, frame, reason): &(&str, Frame, &str),
) -> Result<()> {
    let before = site.dropped(0, port, reason)?;
    for _ in 0..TIMES {
        sender.send(frame)?;
    }
    let counted = site.drops_reach(0, port, reason, before + TIMES);
    counted.with_context(|| format!("sent: {what}"))
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_a_tenant_must_not_send_is_counted_and_arrives_nowhere() {
    proof(Site::up("istenant", "tc"), |site| {
        let sender = PacketSocket::open(site.vm("blue-vm1"), "eth0")?;
        let far = PacketSocket::open(site.vm("blue-vm2"), "eth0")?;
        let others = watch([site.host(1), site.vm("red-vm1"), site.vm("red-vm2")])?;
        for sin in sins() {
            sends(site, "blue/blue-vm1", &sender, &sin)?;
        }
        // Behind all of them comes one that arrives, so the others would have by now.
        sender.send(&udp_ports(A, B, 4000, GOOD, 64))?;
        let before = far.find("a good packet", |frame| {
            bears(frame, GOOD) || bears(frame, BAD)
        })?;
        ensure!(bears(&before, GOOD), "this arrived first: {before:x?}");
        others[0].find("the good packet on the wire", |frame| bears(frame, GOOD))?;
        nothing_came(&others)?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_vlan_tag_is_stripped_or_dropped_as_the_subnet_says() {
    proof(Site::up("isvlan", "tc"), |site| {
        let strict = "virtualSubnetId: 7001\n    prefixes: [10.0.0.0/24]";
        let text = site
            .demo()
            .replace(strict, &format!("{strict}\n    innerVlan: drop"));
        site.apply(0, &text)?;
        let frame = tagged(&udp_ports(A, B, 4000, GOOD, 64), &[[0x81, 0, 0, 7]]);
        let far = PacketSocket::open(site.vm("blue-vm2"), "eth0")?;
        PacketSocket::open(site.vm("blue-vm1"), "eth0")?.send(&frame)?;
        let came = far.find("the packet without its tag", |frame| bears(frame, GOOD))?;
        ensure!(came[12..14] == [8, 0], "it still bears a tag: {came:x?}");
        let red = PacketSocket::open(site.vm("red-vm1"), "eth0")?;
        let sin = (
            "a tag",
            tagged(&bad(A, B), &[[0x81, 0, 0, 7]]),
            "INNER_VLAN",
        );
        sends(site, "red/red-vm1", &red, &sin)
    });
}

fn hardware_address(netns: &Netns) -> Result<[u8; 6]> {
    let text = netns.exec(&["cat", "/sys/class/net/eth0/address"])?.stdout;
    let bytes: Result<Vec<_>, _> = text
        .trim()
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect();
    bytes?
        .try_into()
        .map_err(|_| anyhow::anyhow!("not a MAC: {text}"))
}

/// What may come over the underlay and must not be believed. All of it could be meant for a VM.
fn forgeries() -> Vec<(&'static str, Frame, &'static str)> {
    let inner = bad(B, A);
    let good = received(BLUE, PEER, 0, &inner);
    let from = |ca: [u8; 4]| patch(&bad(ca, A), 11, &[7]);
    let short = received(BLUE, PEER, 0, &inner[..10]);
    vec![
        (
            "a PA of nobody",
            received(BLUE, [192, 0, 2, 99], 0, &inner),
            "PA_MISMATCH",
        ),
        (
            "a CA of this host",
            received(BLUE, PEER, 0, &from(A)),
            "PA_MISMATCH",
        ),
        (
            "a CA of nobody",
            received(BLUE, PEER, 0, &from([10, 0, 0, 77])),
            "SRC_UNKNOWN",
        ),
        (
            "blue's VM with red's key",
            received(RED, PEER, 0, &from([10, 0, 0, 9])),
            "SRC_UNKNOWN",
        ),
        (
            "a VSID of nobody",
            received(9999, PEER, 0, &inner),
            "VSID_UNKNOWN",
        ),
        (
            "a reserved VSID",
            received(4095, PEER, 0, &inner),
            "VSID_RESERVED",
        ),
        (
            "the vendor's VSID",
            received(0x00FF_FFFF, PEER, 0, &inner),
            "VSID_VENDOR",
        ),
        (
            "a MAC of nobody",
            received(BLUE, PEER, 0, &patch(&inner, 5, &[9])),
            "NO_LOCAL_PORT",
        ),
        (
            "a CA that the port lacks",
            received(BLUE, PEER, 0, &patch(&bad(B, [10, 0, 0, 8]), 5, &[5])),
            "CA_PORT_MISMATCH",
        ),
        (
            "an inner tag",
            received(BLUE, PEER, 0, &tagged(&inner, &[[0x81, 0, 0, 7]])),
            "INNER_VLAN",
        ),
        (
            "an inner broadcast",
            received(BLUE, PEER, 0, &patch(&inner, 0, &[0xFF; 6])),
            "BCAST_DISABLED",
        ),
        ("no inner header", short, "INNER_SHORT"),
        (
            "a sequence number bit",
            patch(&good, 34, &[0x30]),
            "DECAP_BAD_GRE",
        ),
        (
            "an outer fragment",
            patch_ip(&good, 20, &[0x20, 0]),
            "OUTER_FRAG",
        ),
        (
            "a CE mark that the inner cannot bear",
            received(BLUE, PEER, 3, &inner),
            "ECN_INVALID",
        ),
    ]
}

fn a_stranger_gets_nothing_through(site: &Site) -> Result<()> {
    site.apply(0, &(site.demo() + MORE))?;
    let to = hardware_address(site.host(0))?;
    let stranger = PacketSocket::open(site.host(1), "eth0")?;
    let near = PacketSocket::open(site.vm("blue-vm1"), "eth0")?;
    let others = watch([site.vm("red-vm1"), site.vm("red-vm2"), site.vm("blue-vm2")])?;
    for (what, frame, reason) in forgeries() {
        let forgery = (what, patch(&frame, 0, &to), reason);
        sends(site, "uplink", &stranger, &forgery)?;
    }
    let good = received(BLUE, PEER, 0, &udp_ports(B, A, 4000, GOOD, 64));
    stranger.send(&patch(&good, 0, &to))?;
    let first = near.find("a good packet", |frame| {
        bears(frame, GOOD) || bears(frame, BAD)
    })?;
    ensure!(bears(&first, GOOD), "this arrived first: {first:x?}");
    nothing_came(&others)?;
    site.conserved()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn forged_nvgre_is_counted_and_not_delivered_by_tc() {
    proof(Site::up("isftc", "tc"), |site| {
        a_stranger_gets_nothing_through(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn forged_nvgre_is_counted_and_not_delivered_by_xdp() {
    proof(Site::up("isfxdp", "xdp"), |site| {
        a_stranger_gets_nothing_through(site)?;
        let frame = received(BLUE, PEER, 0, &bad(B, A));
        let frame = patch(&frame, 0, &hardware_address(site.host(0))?);
        let stranger = PacketSocket::open(site.host(1), "eth0")?;
        let wrong = (
            "a wrong checksum",
            patch(&frame, 24, &[0, 0]),
            "OUTER_CHECKSUM",
        );
        sends(site, "uplink", &stranger, &wrong)
    });
}
