//! Customer and provider addresses of either family, in all four combinations.

mod neighbours;
mod traffic;

use anyhow::Result;
use dataplane_tests::net::{
    Site,
    documents::subnet,
    fabric::Family,
    plan::{A, B, Plan},
};

/// The virtual subnet, and the addresses of the two VMs by family.
const VSID: u32 = 6001;
const NEAR: [&str; 2] = ["10.0.0.5", "fd00:6001::5"];
const FAR: [&str; 2] = ["10.0.0.7", "fd00:6001::7"];

/// Two hosts behind the router, one VM with both families on each.
fn plan(family: Family, mode: &'static str) -> Plan {
    let prefixes = ["10.0.0.0/24", "fd00:6001::/64"];
    let mut plan = Plan::new()
        .over(family, mode)
        .network("blue", 0xB1, "", &[subnet(VSID, &prefixes, "")])
        .vm(("near", "blue"), A, VSID, &NEAR)
        .vm(("far", "blue"), B, VSID, &FAR);
    plan.hosts = 2;
    plan
}

fn site(name: &str, family: Family, mode: &'static str) -> Result<Site> {
    Site::of(name, &plan(family, mode))
}
