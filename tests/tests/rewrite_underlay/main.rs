//! PAs of CAs whose packets are rewritten, as the underlay sees them: who asks gets an answer, who
//! knew where one was is told that it moved, and nothing of it stays behind.
//!
//! All hosts are on one link; what stands between them, the middle, is a plain host on it too.

mod answers;
mod asker;
mod macs;
mod many;
mod moves;

use anyhow::{Context, Result};
use dataplane_tests::net::{
    Link, SOON, Site,
    documents::subnet,
    fabric::{Family, Middle},
    plan::{A, Plan},
};
use xtask::lab::{Netns, wait_until};

const VSID: u32 = 6001;
/// By family: CA and PA of the VM near, of another beside it, and of one far away.
const NEAR: [[&str; 2]; 2] = [
    ["10.0.0.5", "fd00:6001::5"],
    ["192.0.2.10", "2001:db8:f::10"],
];
const OTHER: [[&str; 2]; 2] = [
    ["10.0.0.6", "fd00:6001::6"],
    ["192.0.2.20", "2001:db8:f::20"],
];
const FAR: [[&str; 2]; 2] = [
    ["10.0.0.7", "fd00:6001::7"],
    ["192.0.2.30", "2001:db8:f::30"],
];

/// A network whose packets are rewritten; nobody in it.
fn network(family: Family) -> Plan {
    let prefix = family.of(["10.0.0.0/16", "fd00:6001::/64"]);
    let blue = subnet(VSID, &[prefix], "rule: TranslationMethodNat");
    let plan = Plan::new().over(family, "tc").through(Middle::Bridge);
    plan.network("blue", 0xB1, "", &[blue])
}

/// The same with a VM; `more` has further fields of its port.
fn with_vm(plan: Plan, name: &str, host: usize, [cas, pas]: [[&str; 2]; 2], more: &str) -> Plan {
    let (ca, pa) = (plan.family.of(cas), plan.family.of(pas));
    let fields = format!("providerAddresses: [\"{pa}\"]\n{more}");
    plan.vm_with((name, "blue"), host, Some(VSID), &[ca], fields.trim())
}

/// One host with two VMs.
fn alone(family: Family, more: &str) -> Plan {
    let plan = with_vm(network(family), "near", A, NEAR, more);
    let mut plan = with_vm(plan, "other", A, OTHER, "");
    plan.hosts = 1;
    plan
}

/// The MAC of a host's uplink.
fn uplink(site: &Site, host: usize) -> Result<String> {
    Ok(Link::named(site.host(host), "eth0")?.mac)
}

/// What `ip` or `bridge` of a namespace says.
fn says(netns: &Netns, line: &str) -> Result<String> {
    let words: Vec<&str> = line.split(' ').collect();
    Ok(netns.exec(&words)?.stdout)
}

/// Waits until a neighbour of a namespace's kernel has a MAC.
fn follows(netns: &Netns, (device, pa): (&str, &str), mac: &str) -> Result<()> {
    wait_until(&format!("{pa} to be at {mac}"), SOON, || {
        let known = says(netns, &format!("ip neighbour show {pa} dev {device}"))?;
        let found = known
            .split_whitespace()
            .skip_while(|word| *word != "lladdr");
        anyhow::ensure!(found.clone().nth(1) == Some(mac), "{known:?}");
        Ok(Some(()))
    })
}

/// The state and the MAC of a PA, as the `nved` of a host tells.
fn told(site: &Site, host: usize, pa: &str) -> Result<(String, String)> {
    let status = site.ask(host, &["status"])?;
    let all = status["providerAddresses"].as_array();
    let all = all.context("no provider addresses")?;
    let found = all.iter().find(|item| item["address"] == pa);
    let found = found.with_context(|| format!("no {pa} in {status}"))?;
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    Ok((text("state"), text("mac")))
}
