//! What the peers have in common: what they are asked to do, and the proof that they do it.
//!
//! A peer is not the dataplane and has no equivalent of each of its parts. All are measured from
//! tenant to tenant of two hosts; where that is not what the scenario wants, they say so.
//!
//! Bridges and switches forward by MAC and would take each of a million records for the same
//! destination. They get what an administrator gives them in the place of records: static entries for
//! the tenants' MACs, so nothing is flooded or learned while packets are counted. The packets go to the
//! same addresses as those for the dataplane, all behind the MAC of one tenant, and that is the peers'
//! best case: their result is given for 1,024 records, and claims nothing for more.

use std::{any::Any, time::Duration};

use anyhow::{Context, Result};
use xtask::lab::{Netns, wait_until};

use super::{
    Absence, Built, Place, route,
    topology::{TENANT_A, TENANT_B, Topology},
};
use crate::scenario::{PathName, Scenario, Work};

/// How long a path may take until it carries a packet: daemons start, links come up.
const PATIENCE: Duration = Duration::from_secs(20);
/// Packets that prove a path.
const PINGS: u64 = 3;

/// Fails unless the scenario is from tenant to tenant of two hosts.
pub(super) fn between_hosts(path: PathName, scenario: &Scenario) -> Result<(), Absence> {
    if scenario.work == Work::EncapDecap {
        return Ok(());
    }
    Err(absent(format!(
        "{path} is measured from a tenant of one host to one of another, as encap-decap only"
    )))
}

/// [`between_hosts`], and fails for what only a table of records has.
pub(super) fn by_mac(path: PathName, scenario: &Scenario) -> Result<(), Absence> {
    between_hosts(path, scenario)?;
    if scenario.updates_per_second != 0 {
        return Err(absent(format!("{path} has no records to write again")));
    }
    if scenario.records == Scenario::PLAIN.records {
        return Ok(());
    }
    Err(absent(format!(
        "{path} forwards by MAC: records are not its measure, its result is that of {}",
        Scenario::PLAIN.records
    )))
}

/// The path of a whole topology. `keep` has the hosts and what runs on them.
pub(super) fn built(tenants: [Netns; 2], scenario: &Scenario, keep: Box<dyn Any + Send>) -> Built {
    let [tenant_a, tenant_b] = tenants;
    Built {
        source: Place {
            netns: tenant_a,
            device: "a0",
            address: Some(TENANT_A),
        },
        sink: Place {
            netns: tenant_b,
            device: "b0",
            address: Some(TENANT_B),
        },
        frames: route::frames(scenario),
        counted: None,
        counters: None,
        rewrite: None,
        keep,
    }
}

/// Pings from `tenant-a` to `tenant-b` until answers come.
pub(super) fn carries(tenant_a: &Netns) -> Result<()> {
    let count = PINGS.to_string();
    let ping = ["ping", "-q", "-c", &count, "-i", "0.1", "-W", "1", TENANT_B];
    wait_until("a ping from tenant to tenant", PATIENCE, || {
        tenant_a.exec(&ping).map(Some)
    })?;
    Ok(())
}

/// [`carries`], and waits until `sent`, a tunnel's own counter of packets, has the pings: Open vSwitch
/// adds up each half second.
pub(super) fn tunnels(tenant_a: &Netns, sent: impl Fn() -> Result<u64>) -> Result<()> {
    let before = sent()?;
    carries(tenant_a)?;
    let what =
        format!("{PINGS} pings that arrived to be counted by the tunnel; did they go another way?");
    wait_until(&what, PATIENCE, || {
        Ok((sent()? >= before + PINGS).then_some(()))
    })
}

/// Packets that a device sent so far.
pub(super) fn sent_by(netns: &Netns, device: &str) -> Result<u64> {
    let said = netns.exec(&["ip", "-json", "-statistics", "link", "show", "dev", device])?;
    let links: serde_json::Value = serde_json::from_str(&said.stdout)?;
    let packets = links[0]["stats64"]["tx"]["packets"].as_u64();
    packets.with_context(|| format!("ip tells no counter of {device}: {}", said.stdout))
}

/// Frames of tenants get whole into programs and sockets that know no partial checksums and segments.
pub(super) fn without_offloads(topology: &Topology) -> Result<()> {
    for (netns, device) in [(&topology.tenant_a, "a0"), (&topology.tenant_b, "b0")] {
        netns.exec(&["ethtool", "-K", device, "tx", "off", "tso", "off"])?;
    }
    Ok(())
}

/// The row "not available".
pub(super) fn absent(why: impl Into<String>) -> Absence {
    Absence::NotAvailable(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Refusal;

    fn why(scenario: Scenario) -> Option<String> {
        match by_mac(PathName::VxlanBridge, &scenario) {
            Ok(()) => None,
            Err(Absence::NotAvailable(why)) => Some(why),
            Err(Absence::Failed(error)) => panic!("{error:#}"),
        }
    }

    #[test]
    fn a_peer_says_what_it_has_no_equivalent_of() {
        let plain = Scenario::PLAIN;
        assert_eq!(why(plain), None);
        let works = [Work::Encap, Work::Drop(Refusal::NoLookupRecord)];
        for work in works {
            assert!(
                why(Scenario { work, ..plain }).is_some_and(|why| why.contains("vxlan-bridge"))
            );
        }
        let many = Scenario {
            records: 1 << 20,
            ..plain
        };
        assert!(why(many).is_some_and(|why| why.contains("by MAC")));
        let updates_per_second = 10_000;
        assert!(
            why(Scenario {
                updates_per_second,
                ..plain
            })
            .is_some()
        );
    }
}
