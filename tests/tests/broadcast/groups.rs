//! Multicast on the underlay: one copy, and membership as long as somebody may hear it.

use crate::{BLUE, CALLS};
use anyhow::{Result, ensure};
use dataplane_tests::net::{
    PacketSocket, SOON, Site,
    documents::{document, subnet},
    fabric::{Family, Middle},
    families,
    hear::{Ears, call, mark},
    outer::with_mark,
    ping,
    plan::{A, B, C, Plan},
};
use std::net::IpAddr;
use xtask::lab::{Netns, wait_until};

/// The groups of the underlay: of the subnet, and of one group of the tenant's.
const SUBNET: [&str; 2] = ["239.1.1.1", "ff05::6001"];
const MAPPED: [&str; 2] = ["239.1.1.2", "ff05::6002"];
/// The tenant's group that has one of its own.
const TENANT: &str = "239.9.9.9";

/// One VM on each of the first two hosts, none of its subnet on the third; a bridge between all.
fn plan(family: Family) -> Plan {
    let group = family.of(SUBNET);
    let subnets = [
        subnet(
            BLUE,
            &["10.0.0.0/24", "fd00:6001::/64"],
            &format!("broadcast: {{mode: multicast, group: \"{group}\"}}"),
        ),
        subnet(6002, &["10.0.1.0/24"], ""),
    ];
    Plan::new()
        .over(family, "tc")
        .through(Middle::Bridge)
        .network("blue", 0xB1, "", &subnets)
        .vm(("one", "blue"), A, BLUE, &["10.0.0.5", "fd00:6001::5"])
        .vm(("two", "blue"), B, BLUE, &["10.0.0.6", "fd00:6001::6"])
        .vm(("other", "blue"), C, 6002, &["10.0.1.8"])
}

/// Whether a host is a member of a group, as its kernel tells it.
fn is_member(host: &Netns, group: &str) -> Result<bool> {
    let shown = host
        .exec(&["ip", "maddress", "show", "dev", "eth0"])?
        .stdout;
    Ok(shown.split_whitespace().any(|word| word == group))
}

fn becomes_member(site: &Site, host: usize, group: &str, wanted: bool) -> Result<()> {
    wait_until(&format!("membership of {group}: {wanted}"), SOON, || {
        Ok((is_member(site.host(host), group)? == wanted).then_some(()))
    })
}

/// One copy for the whole subnet, to its group, and everybody of the subnet hears it.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn one_copy_goes_to_the_group_of_the_subnet() {
    families("mcone", plan, |site, plan| {
        let wires = [site.wire(A)?, site.wire(C)?];
        for to in CALLS {
            let ethertype = if to.contains(':') { 0x86DD } else { 0x0800 };
            let mut ears = Ears::at(site, plan.vms(), ethertype)?;
            let mark = mark();
            let mouth = PacketSocket::open(site.vm("one"), "eth0")?;
            mouth.send(&call(plan.find("one"), to, &mark)?)?;
            ears.only(&mark, &["two"], 1)?;
            for wire in &wires {
                let carried = with_mark(&wire.drain()?, &mark);
                let group: IpAddr = plan.family.of(SUBNET).parse()?;
                let right = carried.len() == 1 && carried[0].to == group;
                ensure!(right && carried[0].vsid == BLUE, "{to}: {carried:x?}");
            }
            ping(site.vm("one"), "10.0.0.6", 56)?;
            ears.only(&mark, &["two"], 1)?;
        }
        site.conserved()
    });
}

/// A host is a member from the first port of the subnet on to the last.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_host_is_a_member_while_it_has_ports() {
    families("mcjoin", plan, |site, plan| {
        let group = plan.family.of(SUBNET);
        for (host, member) in [(A, true), (B, true), (C, false)] {
            becomes_member(site, host, group, member)?;
        }
        let more = plan.clone().vm(("three", "blue"), A, BLUE, &["10.0.0.7"]);
        // The second port hangs on a namespace that is there already, by another name.
        let second = more.find("three").document(&site.named("one"));
        let second = second.replace("attach: {netns", "attach: {interface: eth9, netns");
        site.apply_all(&second)?;
        site.delete_all(&["port", "blue/three"])?;
        ensure!(
            is_member(site.host(A), group)?,
            "the first port is still there"
        );
        site.delete_all(&["port", "blue/one"])?;
        becomes_member(site, A, group, false)?;
        becomes_member(site, B, group, true)?;
        site.apply_all(&plan.find("one").document(&site.named("one")))?;
        becomes_member(site, A, group, true)?;
        ping(site.vm("one"), "10.0.0.6", 56)?;
        site.conserved()
    });
}

/// IGMP and MLD tell the network of it, in the words of the host's own kernel.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_underlay_hears_of_a_membership() {
    families("mcreport", plan, |site, plan| {
        site.delete_all(&["port", "blue/one"])?;
        becomes_member(site, A, plan.family.of(SUBNET), false)?;
        let wire = site.wire(A)?;
        site.apply_all(&plan.find("one").document(&site.named("one")))?;
        let group: IpAddr = plan.family.of(SUBNET).parse()?;
        wire.find("a report of the membership", |frame| {
            let bytes: &[u8] = match &group {
                IpAddr::V4(group) => &group.octets(),
                IpAddr::V6(group) => &group.octets(),
            };
            let protocol = match group {
                IpAddr::V4(_) => frame.get(23) == Some(&2),
                // Behind a hop-by-hop header with the router alert (RFC 3810 section 5).
                IpAddr::V6(_) => frame.get(20) == Some(&0) && frame.get(54) == Some(&58),
            };
            protocol && frame.windows(bytes.len()).any(|part| part == bytes)
        })?;
        if plan.family == Family::V4 {
            let table = site.host(A).exec(&["cat", "/proc/net/igmp"])?.stdout;
            // The group's bytes in the order of the machine.
            ensure!(table.contains("010101EF"), "{table}");
        }
        Ok(())
    });
}

/// A record of a tenant's group sends it to a group of its own; who is in none of the tenant's
/// networks is no member of that either.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_tenants_group_may_have_a_group_of_its_own() {
    let mapped = |family: Family| {
        let fields = [
            format!("virtualSubnetId: {BLUE}"),
            format!("customerAddress: {TENANT}"),
            "macAddress: 01:00:5e:09:09:09".to_owned(),
            format!("providerAddress: \"{}\"", family.of(MAPPED)),
        ];
        plan(family).and(&document("LookupRecord", "vmNetwork: blue", &fields))
    };
    families("mcmap", mapped, |site, plan| {
        let group = plan.family.of(MAPPED);
        for (host, member) in [(A, true), (B, true), (C, false)] {
            becomes_member(site, host, group, member)?;
        }
        let wire = site.wire(A)?;
        let mut ears = Ears::at(site, plan.vms(), 0x0800)?;
        let mouth = PacketSocket::open(site.vm("one"), "eth0")?;
        for (to, outer) in [(TENANT, group), ("239.9.9.10", plan.family.of(SUBNET))] {
            let mark = mark();
            mouth.send(&call(plan.find("one"), to, &mark)?)?;
            ears.only(&mark, &["two"], 1)?;
            let carried = with_mark(&wire.drain()?, &mark);
            let right = carried.len() == 1 && carried[0].to == outer.parse::<IpAddr>()?;
            ensure!(right, "{to}: {carried:x?}");
        }
        site.conserved()
    });
}
