//! Virtual subnets of one routing domain reach each other by a router that every host is.

mod apart;
mod gateway;
mod reach;

use anyhow::Result;
use dataplane_tests::net::{
    Site,
    documents::subnet,
    fabric::Family,
    plan::{A, B, Plan},
};

const WEB: u32 = 6001;
const DATA: u32 = 6002;
/// The gateways, which are the lowest addresses of the prefixes.
const WEB_GATEWAY: [&str; 2] = ["10.0.0.1", "fd00:6001::1"];
const DATA_GATEWAY: [&str; 2] = ["10.0.1.1", "fd00:6002::1"];
/// The VMs, each with both families.
const WEB_A: [&str; 2] = ["10.0.0.5", "fd00:6001::5"];
const WEB_B: [&str; 2] = ["10.0.0.7", "fd00:6001::7"];
const DATA_A: [&str; 2] = ["10.0.1.5", "fd00:6002::5"];
const DATA_B: [&str; 2] = ["10.0.1.7", "fd00:6002::7"];

/// Blue has two virtual subnets, each with a VM on both hosts.
fn plan(family: Family, mode: &'static str) -> Plan {
    let subnets = [
        subnet(WEB, &["10.0.0.0/24", "fd00:6001::/64"], ""),
        subnet(DATA, &["10.0.1.0/24", "fd00:6002::/64"], ""),
    ];
    let mut plan = Plan::new()
        .over(family, mode)
        .network("blue", 0xB1, "", &subnets)
        .vm(("web-a", "blue"), A, WEB, &WEB_A)
        .vm(("web-b", "blue"), B, WEB, &WEB_B)
        .vm(("data-a", "blue"), A, DATA, &DATA_A)
        .vm(("data-b", "blue"), B, DATA, &DATA_B);
    plan.hosts = 2;
    plan
}

fn site(name: &str, family: Family, mode: &'static str) -> Result<Site> {
    Site::of(name, &plan(family, mode))
}
