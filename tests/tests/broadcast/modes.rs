//! None, and one copy for each host that has somebody to hear it.

use crate::{BLUE, CALLS, OTHER, plan, site};
use anyhow::{Result, ensure};
use dataplane_tests::net::{
    PacketSocket, Site,
    documents::subnet,
    fabric::Family,
    hear::{Ears, call, mark},
    outer::with_mark,
    ping,
    plan::{A, B, C, Plan},
    proof,
};

/// Says something to everybody, in the name of a VM; the bytes that it is known by.
fn says(site: &Site, plan: &Plan, from: &str, to: &str) -> Result<[u8; 12]> {
    let (vm, mark) = (plan.find(from), mark());
    let mouth = PacketSocket::open(site.vm(from), "eth0")?;
    mouth.send(&call(vm, to, &mark)?)?;
    Ok(mark)
}

/// What kind of frame a call is.
fn ethertype(to: &str) -> u16 {
    if to.contains(':') { 0x86DD } else { 0x0800 }
}

/// Exactly the other VMs of the subnet hear it, once, and one copy goes to each host that has one.
fn reaches_its_subnet(name: &str, family: Family, mode: &'static str) {
    let plan = plan(family, mode, "{mode: unicastReplication}");
    proof(site(name, &plan), |site| {
        let wires = [site.wire(A)?, site.wire(B)?, site.wire(C)?];
        for to in CALLS {
            let mut ears = Ears::at(site, plan.vms(), ethertype(to))?;
            for (from, hears, copies) in [
                ("one", &["two", "three"][..], [1, 1, 0]),
                ("three", &["one", "two"], [1, 1, 0]),
                ("other-b", &["other-c"], [0, 1, 1]),
                ("red-c", &["red-b"], [0, 1, 1]),
            ] {
                let mark = says(site, &plan, from, to)?;
                ears.only(&mark, hears, 1)?;
                for (wire, copies) in wires.iter().zip(copies) {
                    let carried = with_mark(&wire.drain()?, &mark);
                    ensure!(carried.len() == copies, "{from} to {to}: {carried:x?}");
                    let vsid = plan.find(from).vsid;
                    ensure!(carried.iter().all(|packet| Some(packet.vsid) == vsid));
                }
                // A late copy would be heard by now.
                ping(site.vm("one"), "10.0.0.7", 56)?;
                ears.only(&mark, hears, 1)?;
            }
        }
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn replication_reaches_the_subnet_over_ipv4_with_tc_uplinks() {
    reaches_its_subnet("bcuni4", Family::V4, "tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn replication_reaches_the_subnet_over_ipv4_with_xdp_uplinks() {
    reaches_its_subnet("bcuni4x", Family::V4, "xdp");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn replication_reaches_the_subnet_over_ipv6_with_tc_uplinks() {
    reaches_its_subnet("bcuni6", Family::V6, "tc");
}

/// Where the subnet has no broadcast, nobody hears it and the sender's port counts it.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_broadcast_nobody_hears_it() {
    let plan = plan(Family::V4, "tc", "{mode: none}");
    proof(site("bcnone", &plan), |site| {
        let wire = site.wire(A)?;
        for to in CALLS {
            let mut ears = Ears::at(site, plan.vms(), ethertype(to))?;
            let before = site.dropped(A, "blue/one", "BCAST_DISABLED")?;
            let mark = says(site, &plan, "one", to)?;
            site.drops_reach(A, "blue/one", "BCAST_DISABLED", before + 1)?;
            ping(site.vm("one"), "10.0.0.7", 56)?;
            ears.only(&mark, &[], 0)?;
            let carried = with_mark(&wire.drain()?, &mark);
            ensure!(carried.is_empty(), "{carried:x?}");
        }
        site.conserved()
    });
}

/// A copy that came from another host is for the ports here, and goes nowhere else.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_received_copy_is_never_flooded_again() {
    let plan = plan(Family::V4, "tc", "{mode: unicastReplication}").vm(
        ("four", "blue"),
        C,
        BLUE,
        &["10.0.0.9", "fd00:6001::9"],
    );
    proof(site("bcagain", &plan), |site| {
        let wires = [site.wire(B)?, site.wire(C)?];
        let mut ears = Ears::at(site, plan.vms(), 0x0800)?;
        let mark = says(site, &plan, "one", CALLS[0])?;
        ears.only(&mark, &["two", "three", "four"], 1)?;
        ping(site.vm("three"), "10.0.0.9", 56)?;
        for (wire, host) in wires.iter().zip([B, C]) {
            let carried = with_mark(&wire.drain()?, &mark);
            let pa = plan.family.pa(host).parse::<std::net::IpAddr>()?;
            ensure!(carried.len() == 1 && carried[0].to == pa, "{carried:x?}");
        }
        site.conserved()
    });
}

/// More receivers than a program clones for: user space does.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn many_receivers_hear_it_once_each() {
    const MANY: usize = 40;
    let subnets = [subnet(
        BLUE,
        &["10.0.0.0/24"],
        "broadcast: {mode: unicastReplication}",
    )];
    let mut plan = Plan::new().network("blue", 0xB1, "", &subnets);
    for number in 0..MANY {
        let (name, ca) = (format!("vm{number}"), format!("10.0.0.{}", number + 5));
        plan = plan.vm((&name, "blue"), A, BLUE, &[&ca]);
    }
    plan = plan.vm(("far", "blue"), B, BLUE, &["10.0.0.100"]);
    proof(site("bcmany", &plan), |site| {
        let mut ears = Ears::at(site, plan.vms(), 0x0800)?;
        for from in ["vm0", "far"] {
            let mark = says(site, &plan, from, CALLS[0])?;
            let names = plan.vms().iter().map(|vm| vm.name.as_str());
            let others: Vec<&str> = names.filter(|name| *name != from).collect();
            ears.only(&mark, &others, 1)?;
            ping(site.vm("vm0"), "10.0.0.100", 56)?;
            ears.only(&mark, &others, 1)?;
        }
        let punted = site.counter(A, "blue/vm0", "egress_punted")?;
        ensure!(punted > 0, "the program has replicated all of it itself");
        site.conserved()
    });
}

/// What one port may say to everybody in a second is bounded, and the rest is counted.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_broadcast_storm_is_bounded_at_its_port() {
    const STORM: usize = 20_000;
    let plan = plan(Family::V4, "tc", "{mode: unicastReplication}");
    proof(site("bcbound", &plan), |site| {
        let (vm, mark) = (plan.find("one"), mark());
        let mouth = PacketSocket::open(site.vm("one"), "eth0")?;
        let mut ears = Ears::at(site, [plan.find("three")], 0x0800)?;
        let frame = call(vm, CALLS[0], &mark)?;
        for _ in 0..STORM {
            mouth.send(&frame)?;
        }
        // The other port is not bounded by what this one does.
        let quiet = says(site, &plan, "two", CALLS[0])?;
        ears.only(&quiet, &["three"], 1)?;
        let heard = ears.heard(&mark)?.get("three").copied().unwrap_or(0);
        ensure!((1..STORM / 2).contains(&heard), "{heard} of {STORM}");
        site.conserved()
    });
}

/// Subnets do not hear each other, even of one routing domain on one host.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn subnets_of_one_domain_do_not_hear_each_other() {
    let plan = plan(Family::V4, "tc", "{mode: unicastReplication}").vm(
        ("other-a", "blue"),
        A,
        OTHER,
        &["10.0.1.5", "fd00:6002::5"],
    );
    proof(site("bcapart", &plan), |site| {
        let mut ears = Ears::at(site, plan.vms(), 0x0800)?;
        let mark = says(site, &plan, "other-a", "255.255.255.255")?;
        ears.only(&mark, &["other-b", "other-c"], 1)?;
        ping(site.vm("other-a"), "10.0.1.7", 56)?;
        ears.only(&mark, &["other-b", "other-c"], 1)?;
        site.conserved()
    });
}
