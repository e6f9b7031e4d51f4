//! What the `nved`s of a site have counted.

use super::{SOON, Site};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use xtask::lab::wait_until;

impl Site {
    /// Packets under a counter of a port, or of `uplink`.
    pub fn counter(&self, host: usize, port: &str, counter: &str) -> Result<u64> {
        self.sum(host, "counters", |item| {
            item["port"] == port && item["counter"] == counter
        })
    }

    /// Packets under a drop reason of a port, or of `uplink`.
    pub fn dropped(&self, host: usize, port: &str, reason: &str) -> Result<u64> {
        self.sum(host, "drops", |item| {
            item["port"] == port && item["reason"] == reason
        })
    }

    /// All drops of a host: `PORT REASON` and packets.
    pub fn drops(&self, host: usize) -> Result<BTreeMap<String, u64>> {
        let list = self.ask(host, &["get", "drops"])?;
        let text = |item: &Value, key: &str| item[key].as_str().unwrap_or("?").to_owned();
        let entry = |item: &Value| {
            let name = format!("{} {}", text(item, "port"), text(item, "reason"));
            (name, item["packets"].as_u64().unwrap_or(0))
        };
        Ok(items(&list)?.iter().map(entry).collect())
    }

    /// Waits until so many packets were dropped for the reason since `before`.
    pub fn drops_reach(&self, host: usize, port: &str, reason: &str, count: u64) -> Result<()> {
        wait_until(
            &format!("{count} drops of {port} as {reason}"),
            SOON,
            || {
                let now = self.dropped(host, port, reason)?;
                ensure!(now >= count, "{now} so far; all: {:?}", self.drops(host)?);
                Ok(Some(()))
            },
        )
    }

    /// In each direction as many packets came, or were made as copies, as went somewhere, on every
    /// host.
    pub fn conserved(&self) -> Result<()> {
        let mut packets = 0;
        for host in 0..self.nves.len() {
            packets += wait_until("a law that holds", SOON, || self.law(host).map(Some))?;
        }
        ensure!(packets > 0, "nothing was counted at all");
        Ok(())
    }

    fn law(&self, host: usize) -> Result<u64> {
        let mut packets = 0;
        for (direction, outcomes) in [
            (
                "egress",
                &[
                    "encapped",
                    "rewritten",
                    "delivered",
                    "replied",
                    "passed",
                    "punted",
                    "flooded",
                ][..],
            ),
            (
                "ingress",
                &["delivered", "replied", "passed", "punted", "flooded"][..],
            ),
        ] {
            let count = |what: &str| {
                let name = format!("{direction}_{what}");
                self.sum(host, "counters", |item| item["counter"] == *name)
            };
            let mut went = self.by_programs(host, direction)?;
            for outcome in outcomes {
                went += count(outcome)?;
            }
            let came = count("received")? + count("replicas")?;
            ensure!(
                came == went,
                "host {host} {direction}: {came} came, {went} went"
            );
            packets += came;
        }
        Ok(packets)
    }

    /// Drops of the programs alone: what user space drops, they counted as punted.
    fn by_programs(&self, host: usize, direction: &str) -> Result<u64> {
        let list = self.ask(host, &["get", "drops"])?;
        let items = items(&list)?.iter();
        let of_direction = items.filter(|item| item["direction"] == direction);
        let number = |item: &Value, key: &str| item[key].as_u64().unwrap_or(0);
        let packets = of_direction
            .map(|item| number(item, "packets").saturating_sub(number(item, "inUserSpace")));
        Ok(packets.sum())
    }

    fn sum(&self, host: usize, list: &str, wanted: impl Fn(&Value) -> bool) -> Result<u64> {
        let list = self.ask(host, &["get", list])?;
        let wanted = items(&list)?.iter().filter(|item| wanted(item));
        Ok(wanted.filter_map(|item| item["packets"].as_u64()).sum())
    }
}

fn items(list: &Value) -> Result<&Vec<Value>> {
    list["items"].as_array().context("the list has no items")
}
