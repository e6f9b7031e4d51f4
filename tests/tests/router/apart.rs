//! Routing domains that never meet.

use crate::{DATA_B, WEB_A, WEB_B, plan};
use anyhow::{Result, ensure};
use dataplane_tests::net::{
    PacketSocket, Site,
    documents::subnet,
    fabric::Family,
    hear::mark,
    inside,
    outer::carries,
    path::{answers, hops, neighbour},
    ping,
    plan::{A, B, Plan},
    proof,
};
use std::net::UdpSocket;

/// Red has the same prefixes and addresses as blue, and one VM more.
fn two_domains() -> Plan {
    let subnets = [
        subnet(7001, &["10.0.0.0/24", "fd00:6001::/64"], ""),
        subnet(7002, &["10.0.1.0/24", "fd00:6002::/64"], ""),
    ];
    plan(Family::V4, "tc")
        .network("red", 0xC1, "", &subnets)
        .vm(("red-a", "red"), A, 7001, &WEB_A)
        .vm(("red-b", "red"), B, 7002, &DATA_B)
        .vm(
            ("red-only", "red"),
            B,
            7001,
            &["10.0.0.99", "fd00:6001::99"],
        )
}

/// Where a datagram with a mark came.
fn arrives(ears: &[(&'static str, PacketSocket)], mark: &[u8]) -> Result<Vec<&'static str>> {
    let mut at = Vec::new();
    for (name, ear) in ears {
        if ear.drain()?.iter().any(|frame| carries(frame, mark)) {
            at.push(*name);
        }
    }
    Ok(at)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn two_routing_domains_with_the_same_prefixes_never_meet() {
    proof(Site::of("rtapart", &two_domains()), |site| {
        let ears: Result<Vec<_>> = ["data-b", "red-b", "web-b", "red-only"]
            .into_iter()
            .map(|vm| Ok((vm, PacketSocket::open(site.vm(vm), "eth0")?)))
            .collect();
        let ears = ears?;
        for (from, to, receiver) in [
            ("web-a", DATA_B[0], "data-b"),
            ("red-a", DATA_B[0], "red-b"),
            ("web-a", WEB_B[0], "web-b"),
            ("red-a", "10.0.0.99", "red-only"),
        ] {
            let mark = mark();
            let socket = inside(site.vm(from), || Ok(UdpSocket::bind("0.0.0.0:0")?))?;
            socket.send_to(&mark, (to, 9))?;
            // Behind the mark comes what waits for it: the answer to a ping.
            ping(site.vm(from), to, 56)?;
            let at = arrives(&ears, &mark)?;
            ensure!(at == [receiver], "{from} to {to} came to {at:?}");
        }
        site.conserved()
    });
}

/// An address of the other domain is nobody's, as neighbour and behind the gateway.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_address_of_another_routing_domain_is_nobodys() {
    proof(Site::of("rtnobody", &two_domains()), |site| {
        for family in Family::ALL {
            let only = family.of(["10.0.0.99", "fd00:6001::99"]);
            for (from, reachable) in [("web-a", false), ("data-a", false), ("red-a", true)] {
                let answered = answers(site.vm(from), only)?;
                ensure!(answered == reachable, "{from} to {only}: {answered}");
            }
            let known = neighbour(site.vm("web-a"), only)?;
            ensure!(!known.contains("lladdr"), "{known}");
            let found = hops(site.vm("red-a"), family.of(DATA_B))?;
            ensure!(found.len() == 1, "{found:?}");
        }
        site.conserved()
    });
}
