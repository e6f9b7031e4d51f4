//! `LOOKUP`: records that follow from ports, and records that documents state; `MACS`: stations where
//! frames are switched by MAC.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

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
    document::{Rule, TableMode},
    model::{Broadcast, derived_records},
};

impl Compiler<'_> {
    /// `LOOKUP` and `LOOKUP6`, and `REWRITES` of what has a PA of its own: all of the routing domains in
    /// use here, for a packet's source PA is known by nothing else.
    pub(super) fn records(&mut self) -> Result<(), CompileError> {
        let policy = self.policy;
        for record in derived_records(policy) {
            let station = Station {
                vsid: record.vsid,
                mac: record.mac,
                pa: record.pa,
                rule: record.rule,
                l2_only: false,
            };
            self.record(record.ca, &station)?;
            self.rewritten(record.ca, &station, record.use_vm_mac)?;
        }
        for vsid in policy.records.subnets().filter_map(Vsid::new) {
            self.stated(vsid)?;
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

    /// The records that documents state for a subnet: very many, and most differ from others in CA and
    /// MAC only.
    fn stated(&mut self, vsid: Vsid) -> Result<(), CompileError> {
        let policy = self.policy;
        let Some(network) = self.network_in_use(vsid) else {
            return Ok(());
        };
        let (rdid, mode) = (network.rdid, network.table_mode);
        let rdid = self.ids.routing_domain(rdid);
        let mut remote: HashMap<(IpAddr, Rule), LookupRecord> = HashMap::new();
        let mut last = None;
        for stated in policy.stated_in(vsid) {
            let place = (stated.pa, stated.rule);
            let alike = last.filter(|(of, _)| *of == place);
            let alike = alike.or_else(|| Some((place, *remote.get(&place)?)));
            let record = if let Some((_, alike)) = alike {
                LookupRecord {
                    mac: stated.mac,
                    ..alike
                }
            } else {
                let station = Station {
                    vsid,
                    mac: stated.mac,
                    pa: stated.pa,
                    rule: stated.rule,
                    l2_only: false,
                };
                let mut record = self.record_of(&station)?;
                // The kernel always has those of ports here.
                let fetched = mode == TableMode::OnDemand && !record.has(LookupRecord::LOCAL);
                record.flags |= flag(fetched, LookupRecord::ON_DEMAND);
                self.rewritten(stated.ca, &station, stated.use_vm_mac)?;
                record
            };
            // A local one has the device of its port; one with a PA of its own is alone with it.
            if !record.has(LookupRecord::LOCAL | LookupRecord::REWRITE) {
                if last.is_none_or(|(of, _)| of != place) {
                    remote.insert(place, record);
                }
                last = Some((place, record));
            }
            let ca = stated.ca.into();
            self.image.lookup.insert(LookupKey { rdid, ca }, record);
        }
        Ok(())
    }

    /// Stations of the subnets in which MACs alone say where a frame goes or comes from: link-local
    /// addresses, no address yet, no IP at all.
    pub(super) fn stations(&mut self) -> Result<(), CompileError> {
        let subnets = self.policy.vsids.keys().copied();
        let switched: BTreeSet<Vsid> = subnets.filter(|vsid| self.switches(*vsid)).collect();
        for station in stations(self.policy, |vsid| switched.contains(&vsid)) {
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
