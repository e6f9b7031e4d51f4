//! Ping, TCP and UDP, and what they look like on the underlay.

use crate::{FAR, NEAR, VSID, plan, site};
use anyhow::{Result, ensure};
use dataplane_tests::net::{
    Link, Site,
    fabric::{Family, link_to},
    outer::{Outer, fragments, nvgre},
    path::reply_ttl,
    ping,
    plan::{A, B},
    proof, tcp, udp,
};
use std::{collections::BTreeSet, net::IpAddr};

/// The router's links.
const PATH: usize = 1600;
/// Datagrams: empty, one packet, fragments, many fragments.
const SIZES: [usize; 4] = [0, 1200, 9000, 60_000];

/// Everything in both customer families and both directions; then the books balance.
fn carries_everything(site: &Site, family: Family) -> Result<()> {
    let (near, far) = (site.vm("near"), site.vm("far"));
    let mtu = PATH - family.overhead();
    for inner in Family::ALL {
        for (from, to, address) in [(near, far, inner.of(FAR)), (far, near, inner.of(NEAR))] {
            let largest = mtu - inner.of([28, 48]);
            for size in [56, 1200, u16::try_from(largest)?] {
                ping(from, address, size)?;
            }
            tcp(from, to, address, 3_000_000)?;
            for size in SIZES {
                udp(from, to, address, size)?;
            }
            ensure!(reply_ttl(from, address)? == 64, "the TTL was changed");
        }
    }
    site.conserved()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn both_families_over_ipv4_with_tc_uplinks() {
    proof(site("fm4tc", Family::V4, "tc"), |site| {
        carries_everything(site, Family::V4)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn both_families_over_ipv4_with_xdp_uplinks() {
    proof(site("fm4xdp", Family::V4, "xdp"), |site| {
        carries_everything(site, Family::V4)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn both_families_over_ipv6_with_tc_uplinks() {
    proof(site("fm6tc", Family::V6, "tc"), |site| {
        carries_everything(site, Family::V6)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn both_families_over_ipv6_with_xdp_uplinks() {
    proof(site("fm6xdp", Family::V6, "xdp"), |site| {
        carries_everything(site, Family::V6)
    });
}

/// A packet is what it should be, and says so in every field.
fn is_right(packet: &Outer, family: Family) -> Result<()> {
    let pas: [IpAddr; 2] = [family.pa(A).parse()?, family.pa(B).parse()?];
    let there = [packet.from, packet.to] == pas;
    let back = [packet.to, packet.from] == pas;
    ensure!(there || back, "between others: {packet:x?}");
    // The router between the hosts has taken one off, or will.
    let ttls = [64, 63];
    ensure!(ttls.contains(&packet.ttl), "TTL {}", packet.ttl);
    ensure!(packet.vsid == VSID, "VSID {}", packet.vsid);
    ensure!(
        packet.overhead == family.overhead(),
        "{} bytes more than the tenant's packet",
        packet.overhead
    );
    Ok(())
}

/// What is on the wire costs exactly the overhead, and none of it is a fragment.
fn costs_its_overhead(name: &str, family: Family) {
    proof(site(name, family, "tc"), |site| {
        let (near, far) = (site.vm("near"), site.vm("far"));
        let wire = site.wire(A)?;
        for inner in Family::ALL {
            wire.drain()?;
            ping(near, inner.of(FAR), 1200)?;
            tcp(near, far, inner.of(FAR), 100_000)?;
            udp(near, far, inner.of(FAR), 9000)?;
            let frames = wire.drain()?;
            ensure!(fragments(&frames).is_empty(), "outer fragments");
            let packets = nvgre(&frames);
            let ethertype = inner.of([0x0800, 0x86DD]);
            let of_family = packets.iter().filter(|packet| packet.bears(ethertype));
            let count = of_family.count();
            ensure!(count > 10, "only {count} packets of {inner:?}");
            packets
                .iter()
                .try_for_each(|packet| is_right(packet, family))?;
        }
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn encapsulation_in_ipv4_costs_42_bytes() {
    costs_its_overhead("fmcost4", Family::V4);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn encapsulation_in_ipv6_costs_62_bytes() {
    costs_its_overhead("fmcost6", Family::V6);
}

/// The MTU that a VM is given leaves room for the overhead.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_vm_is_given_what_the_path_has_left() {
    for (name, family, mtu) in [("fmmtu4", Family::V4, 1558), ("fmmtu6", Family::V6, 1538)] {
        proof(Site::of(name, &plan(family, "tc")), |site| {
            let given = Link::named(site.vm("near"), "eth0")?.mtu;
            ensure!(given == mtu, "{given} over {family:?}");
            Ok(())
        });
    }
}

/// The router takes what is for the other host, and the sender is the host.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_outer_macs_are_those_of_the_router_and_the_host() {
    for (name, family) in [("fmmac4", Family::V4), ("fmmac6", Family::V6)] {
        proof(site(name, family, "tc"), |site| {
            let router = Link::named(site.middle(), link_to(A))?.bytes()?;
            let host = Link::named(site.host(A), "eth0")?.bytes()?;
            let wire = site.wire(A)?;
            ping(site.vm("near"), FAR[0], 56)?;
            let pa: IpAddr = family.pa(A).parse()?;
            let packets = nvgre(&wire.drain()?);
            let sent: Vec<_> = packets.iter().filter(|packet| packet.from == pa).collect();
            ensure!(!sent.is_empty(), "nothing was sent");
            let right = |packet: &&Outer| packet.next_hop == router && packet.sender == host;
            ensure!(sent.iter().all(right), "{sent:x?}");
            Ok(())
        });
    }
}

/// All packets of a connection bear one `FlowID`, so that they keep their order in the underlay.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_connection_keeps_its_flow_id() {
    proof(site("fmflow", Family::V4, "tc"), |site| {
        for inner in Family::ALL {
            let wire = site.wire(A)?;
            tcp(site.vm("near"), site.vm("far"), inner.of(FAR), 1_000_000)?;
            let (protocol, all) = (inner.of([14 + 9, 14 + 6]), nvgre(&wire.drain()?));
            for host in [A, B] {
                let pa: IpAddr = Family::V4.pa(host).parse()?;
                let mut packets = all.clone();
                packets.retain(|p| p.from == pa && p.inner.get(protocol) == Some(&6));
                let flows: BTreeSet<u8> = packets.iter().map(|packet| packet.flow).collect();
                ensure!(flows.len() == 1, "{inner:?} from host {host}: {flows:?}");
            }
        }
        Ok(())
    });
}

/// Checksums are right whoever makes them: the VM's kernel, or the device that it believes to have.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn streams_are_right_with_and_without_offloads() {
    for (name, family) in [("fmoff4", Family::V4), ("fmoff6", Family::V6)] {
        proof(site(name, family, "tc"), |site| {
            let (near, far) = (site.vm("near"), site.vm("far"));
            for state in ["off", "on"] {
                for vm in [near, far] {
                    let set = [
                        "ethtool", "-K", "eth0", "tx", state, "tso", state, "gso", state,
                    ];
                    vm.exec(&set)?;
                }
                for inner in Family::ALL {
                    tcp(near, far, inner.of(FAR), 1_000_000)?;
                    tcp(far, near, inner.of(NEAR), 1_000_000)?;
                    udp(near, far, inner.of(FAR), 9000)?;
                }
            }
            site.conserved()
        });
    }
}
