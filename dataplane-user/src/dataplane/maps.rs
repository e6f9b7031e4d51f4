//! Typed handles of the maps; names are resolved once.

use std::path::Path;

use aya::{
    Ebpf,
    maps::{Array, DevMapHash, HashMap, Map, MapData, MapError, PerCpuArray, XskMap},
};
use dataplane_common::abi::{
    config::Config,
    lookup::{LookupEntry, LookupKey},
    pa::PaKey,
    port_ca::PortCaKey,
    stats::Count,
    underlay::NextHop,
    vport::{LocalPortKey, Vport},
    vsid::VirtualSubnet,
};

use super::Error;

/// All maps of the object.
pub struct Maps {
    /// `CONFIG`.
    pub config: Array<MapData, Config>,
    /// `VPORTS`.
    pub vports: HashMap<MapData, u32, Vport>,
    /// `PORT_CAS`.
    pub port_cas: HashMap<MapData, PortCaKey, u32>,
    /// `LOCAL_PORTS`.
    pub local_ports: HashMap<MapData, LocalPortKey, u32>,
    /// `LOOKUP`.
    pub lookup: HashMap<MapData, LookupKey, LookupEntry>,
    /// `UNDERLAY`.
    pub underlay: Array<MapData, NextHop>,
    /// `VSIDS`.
    pub subnets: HashMap<MapData, u32, VirtualSubnet>,
    /// `LOCAL_PAS`.
    pub local_pas: HashMap<MapData, PaKey, u32>,
    /// `COUNTERS`.
    pub counters: PerCpuArray<MapData, Count>,
    /// `DROPS`.
    pub drops: PerCpuArray<MapData, Count>,
    /// `TX_PORTS`.
    pub tx_ports: DevMapHash<MapData>,
    /// `UPLINKS`.
    pub uplinks: HashMap<MapData, u32, u32>,
}

impl Maps {
    /// Takes the maps out of a loaded object.
    pub fn take(bpf: &mut Ebpf) -> Result<Self, Error> {
        Ok(Self {
            config: take(bpf, "CONFIG")?,
            vports: take(bpf, "VPORTS")?,
            port_cas: take(bpf, "PORT_CAS")?,
            local_ports: take(bpf, "LOCAL_PORTS")?,
            lookup: take(bpf, "LOOKUP")?,
            underlay: take(bpf, "UNDERLAY")?,
            subnets: take(bpf, "VSIDS")?,
            local_pas: take(bpf, "LOCAL_PAS")?,
            counters: take(bpf, "COUNTERS")?,
            drops: take(bpf, "DROPS")?,
            tx_ports: take(bpf, "TX_PORTS")?,
            uplinks: take(bpf, "UPLINKS")?,
        })
    }
}

impl Maps {
    /// The sockets of a pinned `XSKS`.
    pub fn sockets_at(pin: &Path) -> Result<XskMap<MapData>, MapError> {
        Map::from_map_data(MapData::from_pin(pin)?)?.try_into()
    }

    /// The lookup records of a pinned map.
    pub fn lookup_at(pin: &Path) -> Result<HashMap<MapData, LookupKey, LookupEntry>, MapError> {
        Map::from_map_data(MapData::from_pin(pin)?)?.try_into()
    }
}

/// Turns a map error into ours.
pub(super) fn failed(map: &'static str) -> impl FnOnce(MapError) -> Error {
    move |source| Error::Map { map, source }
}

fn take<M: TryFrom<Map, Error = MapError>>(bpf: &mut Ebpf, name: &'static str) -> Result<M, Error> {
    let map = bpf
        .take_map(name)
        .ok_or(Error::Absent { kind: "map", name })?;
    M::try_from(map).map_err(failed(name))
}
