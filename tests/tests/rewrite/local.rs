//! Ports of one host, and the distributed router.

use crate::subnets::{ENC_A, GATEWAYS, MIX_A, MIX_B, WEB_A, WEB_B, everywhere};
use anyhow::ensure;
use dataplane_tests::net::{
    Frame, PacketSocket,
    path::{hops, reply_ttl},
    ping,
    plan::A,
    tcp, udp,
};

/// Two VMs of one host need no PA, whatever their rules are.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn vms_of_one_host_never_use_the_uplink() {
    everywhere("rwlocal", |site, _, family| {
        let uplink = PacketSocket::open(site.host(A), "eth0")?;
        for (from, to, address) in [
            ("web-a", "mix-a", MIX_A),
            ("mix-a", "enc-a", ENC_A),
            ("enc-a", "web-a", WEB_A),
        ] {
            let (from, to, address) = (site.vm(from), site.vm(to), family.of(address));
            // An encapsulated VM takes smaller packets than the others send.
            ping(from, address, 1200)?;
            tcp(from, to, address, 1_000_000)?;
            udp(from, to, address, 1200)?;
        }
        let ip = |frame: &&Frame| frame.len() > 200;
        let sent = uplink.drain()?;
        let sent = sent.iter().find(ip);
        ensure!(sent.is_none(), "on the uplink: {sent:x?}");
        site.conserved()
    });
}

/// The distributed router is the one hop between subnets, and there is none inside.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn between_subnets_there_is_exactly_one_hop() {
    everywhere("rwroute", |site, _, family| {
        for (from, to, gateway) in [
            ("web-a", MIX_B, Some(GATEWAYS[0])),
            ("mix-b", WEB_A, Some(GATEWAYS[1])),
            ("web-a", MIX_A, Some(GATEWAYS[0])),
            ("web-a", WEB_B, None),
            ("mix-b", MIX_A, None),
        ] {
            let to = family.of(to);
            let found = hops(site.vm(from), to)?;
            let wanted: Vec<&str> = gateway.map(|both| family.of(both)).into_iter().collect();
            ensure!(found == wanted, "{from} to {to}: {found:?}");
            let ttl = reply_ttl(site.vm(from), to)?;
            let wanted = if gateway.is_some() { 63 } else { 64 };
            ensure!(ttl == wanted, "{from} to {to}: TTL {ttl}");
        }
        let (from, to) = (site.vm("web-a"), site.vm("mix-b"));
        tcp(from, to, family.of(MIX_B), 1_000_000)?;
        udp(from, to, family.of(MIX_B), 9000)?;
        site.conserved()
    });
}
