//! What a tenant or a stranger on the underlay must not get through, counted where it ends.

use std::net::Ipv6Addr;

use anyhow::ensure;
use dataplane_common::id::Mac;
use dataplane_tests::{
    net::{
        PacketSocket, Site, proof,
        watch::{Sin, bad, good, good_comes_first, nothing_came, sin, watch},
    },
    packet::{arp, patch, tagged, who_has},
    policy::{ca6, vm},
};

const A: [u8; 4] = [10, 0, 0, 5];
const B: [u8; 4] = [10, 0, 0, 7];

/// What tenants must not send, and the reason that it is counted under.
fn sins() -> Vec<Sin> {
    let to_nobody = bad(A, [10, 0, 0, 99]);
    let stolen = arp(1, Mac::BROADCAST, (vm(5), B), (Mac([0; 6]), [10, 0, 0, 9]));
    let tag = [0x81, 0, 0, 7];
    let link_local = Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, 0, 5);
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
        ("IPv6 of nobody", bad(ca6(0, 5), ca6(0, 7)), "SPOOF_CA"),
        (
            "link-local IPv6 beyond its link",
            bad(link_local, ca6(0, 7)),
            "NO_ROUTE",
        ),
        (
            "IPv6 to all",
            patch(&bad(link_local, ca6(0, 7)), 0, &[0x33, 0x33, 0, 0, 0, 1]),
            "BCAST_DISABLED",
        ),
        (
            "IPv4 as IPv6",
            patch(&bad(A, B), 12, &[0x86, 0xDD]),
            "IP_MALFORMED",
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

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_a_tenant_must_not_send_is_counted_and_arrives_nowhere() {
    proof(Site::up("istenant", "tc"), |site| {
        let sender = PacketSocket::open(site.vm("blue-vm1"), "eth0")?;
        let far = PacketSocket::open(site.vm("blue-vm2"), "eth0")?;
        let others = watch([site.host(1), site.vm("red-vm1"), site.vm("red-vm2")])?;
        for each in sins() {
            sin(site, "blue/blue-vm1", &sender, &each)?;
        }
        // Behind all of them comes one that arrives, so the others would have by now.
        sender.send(&good(A, B))?;
        good_comes_first(&far)?;
        good_comes_first(&others[0])?;
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
        let frame = tagged(&good(A, B), &[[0x81, 0, 0, 7]]);
        let far = PacketSocket::open(site.vm("blue-vm2"), "eth0")?;
        PacketSocket::open(site.vm("blue-vm1"), "eth0")?.send(&frame)?;
        let came = good_comes_first(&far)?;
        ensure!(came[12..14] == [8, 0], "it still bears a tag: {came:x?}");
        let red = PacketSocket::open(site.vm("red-vm1"), "eth0")?;
        let tag = (
            "a tag",
            tagged(&bad(A, B), &[[0x81, 0, 0, 7]]),
            "INNER_VLAN",
        );
        sin(site, "red/red-vm1", &red, &tag)
    });
}
