//! What the BPF maps of one host shall hold, as plain values.

use std::collections::{BTreeMap, BTreeSet};

use dataplane_common::{
    abi::{
        config::Config,
        lookup::{LookupKey, LookupRecord},
        pa::PaKey,
        port_ca::PortCaKey,
        underlay::NextHop,
        vport::{LocalPortKey, Vport},
        vsid::VirtualSubnet,
    },
    forward::Tables,
    id::Mac,
};

/// The compiled policy of one host. Each field is one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableImage {
    /// `CONFIG`.
    pub config: Config,
    /// `VPORTS`, by ifindex.
    pub vports: BTreeMap<u32, Vport>,
    /// `PORT_CAS`.
    pub port_cas: BTreeSet<PortCaKey>,
    /// `LOCAL_PORTS`: ifindex by (VSID, MAC).
    pub local_ports: BTreeMap<LocalPortKey, u32>,
    /// `LOOKUP`.
    pub lookup: BTreeMap<LookupKey, LookupRecord>,
    /// `UNDERLAY`, by PA index (from 1).
    pub underlay: BTreeMap<u32, NextHop>,
    /// `VSIDS`.
    pub subnets: BTreeMap<u32, VirtualSubnet>,
    /// `LOCAL_PAS`.
    pub local_pas: BTreeSet<PaKey>,
}

impl Default for TableImage {
    fn default() -> Self {
        Self {
            config: Config::DEFAULT,
            vports: BTreeMap::new(),
            port_cas: BTreeSet::new(),
            local_ports: BTreeMap::new(),
            lookup: BTreeMap::new(),
            underlay: BTreeMap::new(),
            subnets: BTreeMap::new(),
            local_pas: BTreeSet::new(),
        }
    }
}

impl Tables for TableImage {
    fn config(&self) -> Option<&Config> {
        Some(&self.config)
    }
    fn vport(&self, ifindex: u32) -> Option<&Vport> {
        self.vports.get(&ifindex)
    }
    fn port_has_ca(&self, slot: u32, ca: [u8; 4]) -> bool {
        self.port_cas.contains(&PortCaKey { slot, ca })
    }
    fn local_port(&self, vsid: u32, mac: Mac) -> Option<u32> {
        self.local_ports.get(&LocalPortKey::new(vsid, mac)).copied()
    }
    fn lookup(&self, rdid: u32, ca: [u8; 4]) -> Option<&LookupRecord> {
        self.lookup.get(&LookupKey { rdid, ca })
    }
    fn next_hop(&self, pa_index: u32) -> Option<&NextHop> {
        self.underlay.get(&pa_index)
    }
    fn subnet(&self, vsid: u32) -> Option<&VirtualSubnet> {
        self.subnets.get(&vsid)
    }
    fn is_local_pa(&self, pa: &PaKey) -> bool {
        self.local_pas.contains(pa)
    }
}
