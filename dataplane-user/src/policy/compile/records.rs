//! `LOOKUP`: records that follow from ports, and records that documents state.

use std::{collections::BTreeSet, net::IpAddr};

use dataplane_common::{
    abi::lookup::{LookupKey, LookupRecord},
    id::{Mac, Vsid},
};
use uuid::Uuid;

use super::{CompileError, Compiler, ipv4};
use crate::policy::document::TableMode;
use crate::policy::{key::Key, model::derived_records};

/// A record on its way into `LOOKUP`.
struct Entry {
    object: Key,
    vsid: Vsid,
    ca: IpAddr,
    mac: Mac,
    pa: IpAddr,
    ifindex: u32,
}

impl Compiler<'_> {
    pub(super) fn derived(&mut self, domains: &BTreeSet<Uuid>) -> Result<(), CompileError> {
        for record in derived_records(self.policy) {
            let attached = self.facts.ports.get(record.port);
            let entry = Entry {
                object: record.key(),
                vsid: record.vsid,
                ca: record.ca,
                mac: record.mac,
                pa: record.pa,
                ifindex: attached.map_or(0, |port| port.ifindex),
            };
            self.record(domains, &entry)?;
        }
        Ok(())
    }

    pub(super) fn stated(&mut self, domains: &BTreeSet<Uuid>) -> Result<(), CompileError> {
        for ((vsid, ca), record) in &self.policy.records {
            let entry = Entry {
                object: Key::LookupRecord(vsid.get(), *ca),
                vsid: *vsid,
                ca: *ca,
                mac: record.mac,
                pa: record.pa,
                ifindex: 0,
            };
            self.record(domains, &entry)?;
        }
        Ok(())
    }

    /// One record, if its routing domain is in use here.
    fn record(&mut self, domains: &BTreeSet<Uuid>, entry: &Entry) -> Result<(), CompileError> {
        let Some((network, _)) = self.policy.subnet(entry.vsid) else {
            return Ok(());
        };
        if !domains.contains(&network.rdid) {
            return Ok(());
        }
        let key = LookupKey {
            rdid: self.ids.routing_domain(network.rdid),
            ca: ipv4(&entry.object, entry.ca)?,
        };
        let local = self.own.contains(&entry.pa);
        let record = LookupRecord {
            vsid: entry.vsid.get(),
            pa_index: self.ids.provider_address(entry.pa)?,
            ifindex: if local { entry.ifindex } else { 0 },
            mac: entry.mac,
            // The kernel always has those of ports here.
            flags: match network.table_mode {
                _ if local => LookupRecord::LOCAL,
                TableMode::Full => 0,
                TableMode::OnDemand => LookupRecord::ON_DEMAND,
            },
        };
        self.image.lookup.insert(key, record);
        Ok(())
    }
}
