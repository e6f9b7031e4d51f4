//! `REWRITES`: whose the PAs are that packets bear in place of CAs.

use std::net::IpAddr;

use dataplane_common::abi::{lookup::LookupRecord, rewrite::RewriteEntry, underlay::NextHop};

use super::{CompileError, Compiler, flag, scope::Station};
use crate::policy::{document::Rule, model::derived_records};

impl Compiler<'_> {
    /// All of the routing domains in use here: a packet's source PA is known by nothing else.
    pub(super) fn rewrites(&mut self) -> Result<(), CompileError> {
        let policy = self.policy;
        for record in derived_records(policy) {
            let station = Station {
                vsid: record.vsid,
                mac: record.mac,
                pa: record.pa,
                rule: record.rule,
                l2_only: false,
            };
            self.rewritten(record.ca, &station, record.use_vm_mac)?;
        }
        for ((vsid, ca), record) in &policy.records {
            let station = Station {
                vsid: *vsid,
                mac: record.mac,
                pa: record.pa,
                rule: record.rule,
                l2_only: false,
            };
            self.rewritten(*ca, &station, record.use_vm_mac)?;
        }
        self.image.config.rewrites = u32::from(!self.image.rewrites.is_empty());
        Ok(())
    }

    fn rewritten(
        &mut self,
        ca: IpAddr,
        station: &Station,
        use_vm_mac: bool,
    ) -> Result<(), CompileError> {
        let network = self.network_in_use(station.vsid);
        let (Rule::TranslationMethodNat, Some(network)) = (station.rule, network) else {
            return Ok(());
        };
        // What is sent to the host is never a tenant's.
        let hop = self.facts.next_hops.get(&station.pa);
        if hop.is_some_and(|hop| hop.state == NextHop::HOSTS) {
            return Ok(());
        }
        let rdid = network.rdid;
        let record = self.record_of(station)?;
        let entry = RewriteEntry {
            rdid: self.ids.routing_domain(rdid),
            vsid: record.vsid,
            ifindex: record.ifindex,
            pa_index: record.pa_index,
            ca: ca.into(),
            mac: record.mac,
            flags: flag(record.has(LookupRecord::LOCAL), RewriteEntry::LOCAL)
                | flag(use_vm_mac, RewriteEntry::VM_MAC),
        };
        self.image.rewrites.insert(station.pa.into(), entry);
        Ok(())
    }
}
