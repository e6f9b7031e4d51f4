//! `LOOKUP`: records that follow from ports, and records that documents state; `MACS`: stations where
//! frames are switched by MAC.

use std::net::IpAddr;

use dataplane_common::{
    abi::{
        lookup::{LookupKey, LookupRecord},
        vport::LocalPortKey,
    },
    id::{Mac, Vsid},
};

use super::{
    CompileError, Compiler, flag,
    scope::{Station, stations},
};
use crate::policy::{
    document::TableMode,
    model::{Broadcast, Policy, derived_records},
};

impl Compiler<'_> {
    /// `LOOKUP` and `LOOKUP6`, and `REWRITES` of what has a PA of its own: all of the routing domains in
    /// use here, for a packet's source PA is known by nothing else.
    pub(super) fn records(&mut self) -> Result<(), CompileError> {
        let policy = self.policy;
        for (ca, station, use_vm_mac) in known(policy) {
            self.record(ca, &station)?;
            self.rewritten(ca, &station, use_vm_mac)?;
        }
        self.image.config.rewrites = u32::from(!self.image.rewrites.is_empty());
        Ok(())
    }

    /// The record of a CA, if its routing domain is in use here.
    fn record(&mut self, ca: IpAddr, station: &Station) -> Result<(), CompileError> {
        let Some(network) = self.network_in_use(station.vsid) else {
            return Ok(());
        };
        let (rdid, mode) = (network.rdid, network.table_mode);
        let key = LookupKey {
            rdid: self.ids.routing_domain(rdid),
            ca: ca.into(),
        };
        let mut record = self.record_of(station)?;
        // The kernel always has those of ports here.
        let fetched = mode == TableMode::OnDemand && !record.has(LookupRecord::LOCAL);
        record.flags |= flag(fetched, LookupRecord::ON_DEMAND);
        self.image.lookup.insert(key, record);
        Ok(())
    }

    /// Stations of the subnets in which MACs alone say where a frame goes or comes from: link-local
    /// addresses, no address yet, no IP at all.
    pub(super) fn stations(&mut self) -> Result<(), CompileError> {
        for station in stations(self.policy) {
            if !self.switches(station.vsid) {
                continue;
            }
            let key = LocalPortKey::new(station.vsid.get(), station.mac);
            let mut record = self.record_of(&station)?;
            record.flags |= flag(station.l2_only, LookupRecord::L2_ONLY);
            self.image.stations.insert(key, record);
        }
        Ok(())
    }

    fn switches(&self, vsid: Vsid) -> bool {
        let Some((network, subnet)) = self.policy.subnet(vsid) else {
            return false;
        };
        self.is_used(network.rdid)
            && (subnet.non_ip
                || subnet.broadcast != Broadcast::None
                || self.scope.unknown_cas.contains(&vsid)
                || subnet.prefixes.iter().any(|prefix| prefix.addr().is_ipv6()))
    }

    /// Tenants' multicast groups that are mapped to groups of the underlay.
    pub(super) fn groups(&mut self) -> Result<(), CompileError> {
        for ((vsid, group), pa) in &self.policy.groups {
            // Only who takes part in the subnet sends to its groups.
            if !self.scope.subnets.contains(vsid) {
                continue;
            }
            let Some(network) = self.network_in_use(*vsid) else {
                continue;
            };
            let rdid = network.rdid;
            let key = LookupKey {
                rdid: self.ids.routing_domain(rdid),
                ca: (*group).into(),
            };
            let record = LookupRecord {
                vsid: vsid.get(),
                pa_index: self.ids.provider_address(*pa)?,
                ifindex: 0,
                mac: Mac::default(),
                flags: LookupRecord::GROUP,
            };
            self.image.lookup.insert(key, record);
        }
        Ok(())
    }
}

/// The CAs of stations, derived and stated, and whether their packets have the VM's MAC on the underlay.
fn known(policy: &Policy) -> impl Iterator<Item = (IpAddr, Station, bool)> {
    let station = |vsid, mac, pa, rule| Station {
        vsid,
        mac,
        pa,
        rule,
        l2_only: false,
    };
    let derived = derived_records(policy)
        .map(move |r| (r.ca, station(r.vsid, r.mac, r.pa, r.rule), r.use_vm_mac));
    let stated = policy.records.iter();
    let stated =
        stated.map(move |((vsid, ca), r)| (*ca, station(*vsid, r.mac, r.pa, r.rule), r.use_vm_mac));
    derived.chain(stated)
}
