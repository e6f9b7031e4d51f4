//! A host with one tenant and an `nved`; at the far end of its underlay nobody but who looks on.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result};
use serde_json::Value;
use xtask::lab::{Netns, Nve, TempDir, Topology, output, two_hosts, unique, wait_until};

use super::super::{product, tables};

/// Name of the tenant's namespace, after the prefix.
const VM: &str = "vm";

/// The namespaces, the policy and the agent.
pub(super) struct Rig {
    // Before the namespaces and the folder that it lives in.
    nve: Nve,
    topology: Topology,
    dir: TempDir,
}

/// Packets that went to user space, and that came back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) punted: u64,
    pub(super) reinjected: u64,
}

impl Rig {
    /// Starts an agent with a policy of so many records of a tenant on demand, and waits until the
    /// tenant may send.
    pub(super) fn start(destinations: u32) -> Result<Self> {
        let prefix = unique("first");
        let topology = two_hosts(&prefix, &[VM])?;
        let host = &topology.hosts[0];
        // A MAC that the far end does not have: its stack answers nothing.
        let neighbour = "ip neighbour add 192.0.2.2 lladdr 02:00:00:00:01:02 dev eth0";
        host.netns.exec(&neighbour.split(' ').collect::<Vec<_>>())?;
        let dir = TempDir::new("first")?;
        let file = dir.path().join("policy.ndjson");
        write_policy(&file, topology.tenant(VM).name(), destinations)?;
        // All of them are in use at the end, if that is within the time that idle ones stay.
        let capacity = destinations.saturating_mul(2).max(tables::DEFAULT_CAPACITY);
        let nve = Nve::start_as(&host.netns, host.name, "tc", |spec| {
            spec.flags = vec!["--lookup-capacity".to_owned(), capacity.to_string()];
        })?;
        let rig = Self { nve, topology, dir };
        rig.apply(&file)?;
        Ok(rig)
    }

    fn apply(&self, file: &Path) -> Result<()> {
        let mut apply = self.nve.spec().client()?;
        output(apply.args(["apply", "-f"]).arg(file), product::LIMIT)?.success()?;
        let ready = wait_until("a status without conditions", product::LIMIT, || {
            let status = output(self.nve.spec().client()?.arg("status"), product::LIMIT)?;
            Ok((status.code() == 0).then_some(()))
        });
        ready.with_context(|| {
            format!(
                "policy in {}:\n{}",
                self.dir.path().display(),
                self.nve.log()
            )
        })
    }

    /// The namespace that sends.
    pub(super) fn vm(&self) -> &Netns {
        self.topology.tenant(VM)
    }

    /// The namespace at the far end of the underlay.
    pub(super) fn far(&self) -> &Netns {
        &self.topology.hosts[1].netns
    }

    /// What the programs counted.
    pub(super) fn counts(&self) -> Result<Counts> {
        let items = self.items("counters")?;
        let sum = |name: &str| {
            let of_name = items.iter().filter(|item| item["counter"] == *name);
            of_name.filter_map(|item| item["packets"].as_u64()).sum()
        };
        Ok(Counts {
            punted: sum("egress_punted"),
            reinjected: sum("egress_reinjected"),
        })
    }

    /// All drops, as `PORT REASON` and packets.
    pub(super) fn drops(&self) -> Result<Vec<String>> {
        let told =
            |item: &Value| format!("{} {} {}", item["port"], item["reason"], item["packets"]);
        Ok(self.items("drops")?.iter().map(told).collect())
    }

    fn items(&self, list: &str) -> Result<Vec<Value>> {
        let said = self.nve.nvectl(&["get", list, "-o", "json"])?.success()?;
        let list: Value = serde_json::from_str(&said.stdout)?;
        let items = list["items"].as_array().cloned();
        items.context("the list has no items")
    }
}

/// One JSON document a line; the tenant has 10.0.0.5 and everybody else is at 192.0.2.2.
fn write_policy(path: &Path, netns: &str, records: u32) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let attach = format!(r#"{{"netns":"{netns}"}}"#);
    product::write_head(&mut file, "onDemand", &attach)?;
    product::write_records(&mut file, records)?;
    Ok(file.flush()?)
}
