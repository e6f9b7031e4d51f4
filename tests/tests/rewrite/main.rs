//! IP rewrite (rule `TranslationMethodNat`) on real traffic: packets bear PAs in place of CAs.

mod apart;
mod bulk;
mod corpus;
mod local;
mod packets;
mod routed;
mod rules;
mod subnets;
mod sums;
mod tunnels;
mod wire;

use anyhow::Result;
use dataplane_tests::net::{
    Site,
    documents::{rewritten, subnet},
    fabric::Family,
    plan::{A, B, Plan},
};

/// The virtual subnet, and the addresses of the two VMs by family of the underlay.
const VSID: u32 = 6001;
const PREFIX: [&str; 2] = ["10.0.0.0/24", "fd00:6001::/64"];
const GATEWAY: [&str; 2] = ["10.0.0.1", "fd00:6001::1"];
const NEAR: [&str; 2] = ["10.0.0.5", "fd00:6001::5"];
const FAR: [&str; 2] = ["10.0.0.7", "fd00:6001::7"];
/// Their own PAs, each in the network of its host.
const NEAR_PA: [&str; 2] = ["192.0.2.10", "2001:db8:a::10"];
const FAR_PA: [&str; 2] = ["192.0.2.74", "2001:db8:b::10"];

/// A VM on each of two hosts behind the router, both rewritten.
fn plan(family: Family, mode: &'static str) -> Plan {
    plan_with(family, mode, "")
}

/// The same with further fields of both ports.
fn plan_with(family: Family, mode: &'static str, more: &str) -> Plan {
    let port = |pas: [&str; 2]| format!("{}\n{more}", rewritten(&[family.of(pas)]));
    let mut plan = Plan::new().over(family, mode).network(
        "blue",
        0xB1,
        "",
        &[subnet(VSID, &[family.of(PREFIX)], "")],
    );
    for (name, host, ca, pa) in [("near", A, NEAR, NEAR_PA), ("far", B, FAR, FAR_PA)] {
        plan = plan.vm_with(
            (name, "blue"),
            host,
            Some(VSID),
            &[family.of(ca)],
            &port(pa),
        );
    }
    plan.hosts = 2;
    plan
}

fn site(name: &str, family: Family, mode: &'static str) -> Result<Site> {
    Site::of(name, &plan(family, mode))
}
