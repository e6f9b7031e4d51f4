//! Paths that carry less than hosts think, and what their tenants hear of it.

mod clamp;
mod forged;
mod hop;

use anyhow::{Context, Result};
use dataplane_tests::net::{
    Site,
    documents::subnet,
    fabric::{Family, Middle},
    plan::{A, B, Plan},
};

const VSID: u32 = 6001;
/// What the hosts' links carry, and what the way through the router does.
const LINK: usize = 1600;
const HOP: u16 = 1400;
/// The VMs and their gateway, by family.
const NEAR: [&str; 2] = ["10.0.0.5", "fd00:6001::5"];
const FAR: [&str; 2] = ["10.0.0.7", "fd00:6001::7"];
const GATEWAY: [&str; 2] = ["10.0.0.1", "fd00:6001::1"];

/// A VM on each of two hosts, and a router whose ways carry packets of so many bytes.
fn plan(family: Family, mode: &'static str, ways: u16) -> Plan {
    let prefixes = ["10.0.0.0/24", "fd00:6001::/64"];
    let mut plan = Plan::new()
        .over(family, mode)
        .through(Middle::Router([ways; 3]))
        .network("blue", 0xB1, "", &[subnet(VSID, &prefixes, "")])
        .vm(("near", "blue"), A, VSID, &NEAR)
        .vm(("far", "blue"), B, VSID, &FAR);
    plan.hosts = 2;
    plan
}

/// What a host takes the path to a provider address to carry.
fn path_mtu(site: &Site, host: usize, pa: &str) -> Result<u64> {
    let status = site.ask(host, &["status"])?;
    let all = status["providerAddresses"].as_array().context("no PAs")?;
    let found = all.iter().find(|item| item["address"] == pa);
    let found = found.with_context(|| format!("no {pa} in {status}"))?;
    found["pathMtu"].as_u64().context("a path MTU")
}
