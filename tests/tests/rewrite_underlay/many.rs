//! Hundreds of PAs on one link, each a neighbour of its own.

use crate::{NEAR, VSID, network, says, uplink, with_vm};
use anyhow::{Result, ensure};
use dataplane_tests::net::{
    SOON, Site,
    fabric::Family,
    path::becomes,
    plan::{A, B},
    proof,
};
use xtask::lab::wait_until;

/// So many, of one port.
const MANY: usize = 250;

fn all(prefix: &str) -> Vec<String> {
    (1..=MANY).map(|last| format!("{prefix}.{last}")).collect()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn hundreds_of_pas_are_neighbours() {
    let (cas, pas) = (all("10.0.1"), all("198.51.100"));
    let texts: Vec<&str> = cas.iter().map(String::as_str).collect();
    let plan = with_vm(network(Family::V4), "near", A, NEAR, "");
    let fields = format!("providerAddresses: {pas:?}");
    let mut plan = plan.vm_with(("crowd", "blue"), B, Some(VSID), &texts, &fields);
    plan.hosts = 2;
    let site = Site::laid_out("rwmany", &plan).and_then(|mut site| {
        for host in [A, B] {
            says(site.host(host), "ip route add 198.51.100.0/24 dev eth0")?;
        }
        site.begin(&plan)?;
        Ok(site)
    });
    proof(site, |site| {
        let mac = uplink(site, B)?;
        wait_until("all to be resolved", SOON, || {
            let found = resolved(site, &mac)?;
            ensure!(found == MANY, "{found} are");
            Ok(Some(()))
        })?;
        let neighbours = says(site.host(A), "ip neighbour show dev eth0")?;
        let kept = neighbours
            .lines()
            .filter(|line| line.starts_with("198.51.100.") && line.contains("managed"));
        ensure!(kept.count() == MANY, "{neighbours}");
        site.ready()?;
        for ca in [&cas[0], &cas[MANY / 2], &cas[MANY - 1]] {
            becomes(site.vm("near"), ca, true)?;
        }
        Ok(())
    });
}

/// How many of them `host-a` reaches at this MAC.
fn resolved(site: &Site, mac: &str) -> Result<usize> {
    let status = site.ask(A, &["status"])?;
    let all = status["providerAddresses"].as_array();
    let there = all.into_iter().flatten().filter(|item| {
        let address = item["address"].as_str().unwrap_or_default();
        address.starts_with("198.51.100.") && item["state"] == "resolved" && item["mac"] == mac
    });
    Ok(there.count())
}
