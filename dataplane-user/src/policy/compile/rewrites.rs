//! `REWRITES`: whose the PAs are that packets bear in place of CAs.

use std::net::IpAddr;

use dataplane_common::abi::{lookup::LookupRecord, rewrite::RewriteEntry, underlay::NextHop};

use super::{CompileError, Compiler, flag, scope::Station};
use crate::policy::document::Rule;

impl Compiler<'_> {
    /// Of a CA with a PA of its own, if its routing domain is in use here.
    pub(super) fn rewritten(
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
