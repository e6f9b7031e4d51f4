//! Broadcast and multicast, confined to the virtual subnet.

mod dhcp;
mod groups;
mod modes;
mod storm;

use anyhow::Result;
use dataplane_tests::net::{
    Site,
    documents::subnet,
    fabric::Family,
    plan::{A, B, C, Plan},
};

const BLUE: u32 = 6001;
const OTHER: u32 = 6002;
/// The kinds of destination that are for everybody or for many, by IP.
const CALLS: [&str; 3] = ["255.255.255.255", "239.9.9.9", "ff02::9"];

/// Blue's first subnet has two VMs on `host-a`, one on `host-b`, none on `host-c`; its second one
/// and another tenant's have VMs everywhere.
fn plan(family: Family, mode: &'static str, broadcast: &str) -> Plan {
    let prefixes = ["10.0.0.0/24", "fd00:6001::/64"];
    let other = ["10.0.1.0/24", "fd00:6002::/64"];
    let mode_of_subnet = format!("broadcast: {broadcast}");
    let subnets = [
        subnet(BLUE, &prefixes, &mode_of_subnet),
        subnet(OTHER, &other, &mode_of_subnet),
    ];
    Plan::new()
        .over(family, mode)
        .network("blue", 0xB1, "", &subnets)
        .network("red", 0xC1, "", &[subnet(7001, &prefixes, &mode_of_subnet)])
        .vm(("one", "blue"), A, BLUE, &["10.0.0.5", "fd00:6001::5"])
        .vm(("two", "blue"), A, BLUE, &["10.0.0.6", "fd00:6001::6"])
        .vm(("three", "blue"), B, BLUE, &["10.0.0.7", "fd00:6001::7"])
        .vm(("other-b", "blue"), B, OTHER, &["10.0.1.7", "fd00:6002::7"])
        .vm(("other-c", "blue"), C, OTHER, &["10.0.1.8", "fd00:6002::8"])
        .vm(("red-b", "red"), B, 7001, &["10.0.0.7", "fd00:6001::7"])
        .vm(("red-c", "red"), C, 7001, &["10.0.0.8", "fd00:6001::8"])
}

fn site(name: &str, plan: &Plan) -> Result<Site> {
    Site::of(name, plan)
}
