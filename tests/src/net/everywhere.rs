//! The same test in several sites, one after the other.

use anyhow::Result;

use super::{Site, fabric::Family, plan::Plan, proof};

/// Underlays of both families with both hooks, as a site's name tells them apart.
const SITES: [(&str, Family, &str); 4] = [
    ("4t", Family::V4, "tc"),
    ("4x", Family::V4, "xdp"),
    ("6t", Family::V6, "tc"),
    ("6x", Family::V6, "xdp"),
];

/// Over underlays of both families with both hooks.
pub fn everywhere(
    name: &str,
    plan: impl Fn(Family, &'static str) -> Plan,
    body: impl Fn(&mut Site, Family) -> Result<()>,
) {
    for (suffix, family, mode) in SITES {
        let site = Site::of(&format!("{name}{suffix}"), &plan(family, mode));
        proof(site, |site| body(site, family));
    }
}

/// Over underlays of both families.
pub fn families(
    name: &str,
    plan: impl Fn(Family) -> Plan,
    body: impl Fn(&mut Site, &Plan) -> Result<()>,
) {
    for family in Family::ALL {
        let (name, plan) = (format!("{name}{}", family.of([4, 6])), plan(family));
        proof(Site::of(&name, &plan), |site| body(site, &plan));
    }
}
