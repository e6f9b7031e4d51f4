//! The lookup records that a host's kernel has, and the slow path's queues.

use super::{SOON, Site};
use anyhow::{Context, Result, ensure};
use dataplane_common::abi::lookup::LookupRecord;
use dataplane_user::dataplane::{load::MAPS_FOLDER, lookups::look::Look};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};
use xtask::lab::{Netns, wait_until};

/// The upcall pair: the end that programs send into, and the one that `nved` reads.
pub const PAIR: [&str; 2] = ["nve-up0", "nve-up1"];

/// Records by CA.
pub type Lookups = BTreeMap<Ipv4Addr, LookupRecord>;

impl Site {
    /// The records of a virtual subnet in the kernel's table, negative answers among them.
    pub fn lookups(&self, host: usize, vsid: u32) -> Result<Lookups> {
        let pin = &self.nves[host].spec().pin;
        let tables = Look::pinned(&pin.join(MAPS_FOLDER))?;
        let mut found = BTreeMap::new();
        for (key, record) in tables.records()? {
            if let IpAddr::V4(ca) = key.ca.into()
                && record.vsid == vsid
            {
                found.insert(ca, record);
            }
        }
        Ok(found)
    }

    /// Of these, the ones of other hosts: what `tableMode: onDemand` is about.
    pub fn in_use(&self, host: usize, vsid: u32) -> Result<Vec<Ipv4Addr>> {
        let here = LookupRecord::LOCAL | LookupRecord::GATEWAY | LookupRecord::NEGATIVE;
        let all = self.lookups(host, vsid)?.into_iter();
        let remote = all.filter(|(_, record)| !record.has(here));
        Ok(remote.map(|(ca, _)| ca).collect())
    }

    /// What the status tells of the slow path's queues on a device.
    pub fn queues(&self, host: usize, device: &str) -> Result<Vec<Value>> {
        let status = self.ask(host, &["status"])?;
        let queues = status["slowPath"]["queues"].as_array().cloned();
        let queues = queues.with_context(|| format!("no queues in {status}"))?;
        let of_device = queues.into_iter().filter(|q| q["interface"] == device);
        Ok(of_device.collect())
    }

    /// What the programs left to user space was given back to them, or its end there is counted.
    /// Not for packets that were cut.
    pub fn given_back(&self, host: usize) -> Result<()> {
        wait_until("the end of every punt", SOON, || {
            let status = self.ask(host, &["status"])?;
            let refused = sum(&status["slowPath"]["queues"], "refused", |_| true);
            let counters = self.ask(host, &["get", "counters"])?;
            let count = |what: &str| {
                let of_name = |item: &Value| {
                    let name = item["counter"].as_str().unwrap_or_default();
                    name.ends_with(what)
                };
                sum(&counters["items"], "packets", of_name)
            };
            let drops = self.ask(host, &["get", "drops"])?;
            let ended = sum(&drops["items"], "inUserSpace", |_| true);
            let consumed = status["slowPath"]["consumed"].as_u64().unwrap_or(0);
            let (punted, back) = (count("_punted"), count("_reinjected"));
            ensure!(
                punted == back + consumed + ended + refused,
                "{punted} punted; {back} back, {consumed} consumed, {ended} dropped, {refused} refused"
            );
            Ok(Some(()))
        })
    }

    /// No socket of a host has lost a frame of its memory.
    pub fn frames_accounted(&self, host: usize) -> Result<()> {
        let status = self.ask(host, &["status"])?;
        let queues = status["slowPath"]["queues"].as_array();
        for queue in queues.context("no queues")? {
            ensure!(queue["frames"]["lost"] == 0, "{queue}");
        }
        Ok(())
    }
}

fn sum(list: &Value, key: &str, wanted: impl Fn(&Value) -> bool) -> u64 {
    let items = list.as_array().into_iter().flatten();
    let numbers = items
        .filter(|item| wanted(item))
        .filter_map(|item| item[key].as_u64());
    numbers.sum()
}

/// Packets that a device has sent, by its own count.
pub fn sent_by(netns: &Netns, device: &str) -> Result<u64> {
    let shown = netns.exec(&["ip", "-json", "-s", "link", "show", device])?;
    let links: Value = serde_json::from_str(&shown.stdout)?;
    let packets = links[0]["stats64"]["tx"]["packets"].as_u64();
    packets.with_context(|| format!("no count in {links}"))
}
