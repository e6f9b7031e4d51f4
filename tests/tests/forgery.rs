//! Forged NVGRE from the underlay: counted on the uplink, delivered to nobody.

use anyhow::Result;
use dataplane_tests::{
    net::{
        Link, PacketSocket, Site, proof,
        watch::{Sin, bad, good, good_comes_first, nothing_came, sin, watch},
    },
    packet::{patch, patch_ip, received, tagged},
};

const A: [u8; 4] = [10, 0, 0, 5];
const B: [u8; 4] = [10, 0, 0, 7];
const PEER: [u8; 4] = [192, 0, 2, 2];
const BLUE: u32 = 6001;
const RED: u32 = 7001;

/// A record that blue has and red has not.
const MORE: &str = "
---
apiVersion: nve/v1
kind: LookupRecord
metadata: {vmNetwork: blue}
spec: {virtualSubnetId: 6001, customerAddress: 10.0.0.9, macAddress: 02:00:00:00:00:09, providerAddress: 192.0.2.2}
";

/// What may come over the underlay and must not be believed. All of it could be meant for a VM.
fn forgeries() -> Vec<Sin> {
    let inner = bad(B, A);
    let whole = received(BLUE, PEER, 0, &inner);
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
            patch(&whole, 34, &[0x30]),
            "DECAP_BAD_GRE",
        ),
        (
            "an outer fragment",
            patch_ip(&whole, 20, &[0x20, 0]),
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
    let to = Link::named(site.host(0), "eth0")?.bytes()?;
    let stranger = PacketSocket::open(site.host(1), "eth0")?;
    let near = PacketSocket::open(site.vm("blue-vm1"), "eth0")?;
    let others = watch([site.vm("red-vm1"), site.vm("red-vm2"), site.vm("blue-vm2")])?;
    for (what, frame, reason) in forgeries() {
        let forgery = (what, patch(&frame, 0, &to), reason);
        sin(site, "uplink", &stranger, &forgery)?;
    }
    let frame = received(BLUE, PEER, 0, &good(B, A));
    stranger.send(&patch(&frame, 0, &to))?;
    good_comes_first(&near)?;
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
        let frame = patch(&frame, 0, &Link::named(site.host(0), "eth0")?.bytes()?);
        let stranger = PacketSocket::open(site.host(1), "eth0")?;
        let wrong = (
            "a wrong checksum",
            patch(&frame, 24, &[0, 0]),
            "OUTER_CHECKSUM",
        );
        sin(site, "uplink", &stranger, &wrong)
    });
}
