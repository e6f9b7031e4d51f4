//! Typed handles of the maps; names are resolved once.

use std::path::Path;

use aya::{
    Ebpf,
    maps::{
        Array, DevMapHash, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray, ProgramArray,
        XskMap,
    },
};
use dataplane_common::abi::{
    config::Config, flood::Flood, lookup::LookupRecord, port_ca::PortCaKey, rewrite::RewriteEntry,
    route::RouteKey, stats::Count, underlay::NextHop, vport::LocalPortKey, vsid::VirtualSubnet,
};

use dataplane_common::id::Address;

use super::{Error, hash::Hash, local_ports::LocalPorts, lookups::Lookups, vports::Vports};

/// All maps of the object.
pub struct Maps {
    /// `CONFIG`.
    pub config: Array<MapData, Config>,
    /// `VPORTS`, `PLACES` and `FAR_PLACES`.
    pub vports: Vports,
    /// `PORT_CAS`.
    pub port_cas: HashMap<MapData, PortCaKey, u32>,
    /// `LOCAL_PORTS` and `NEAR_PORTS`.
    pub local_ports: LocalPorts,
    /// `LOOKUP` and `LOOKUP6`.
    pub lookup: Lookups,
    /// `MACS`.
    pub stations: Hash<LocalPortKey, LookupRecord>,
    /// `ROUTES`.
    pub routes: LpmTrie<MapData, RouteKey, LookupRecord>,
    /// `FLOODS`.
    pub floods: HashMap<MapData, u32, Flood>,
    /// `UNDERLAY`.
    pub underlay: Array<MapData, NextHop>,
    /// `VSIDS`.
    pub subnets: HashMap<MapData, u32, VirtualSubnet>,
    /// `LOCAL_PAS`.
    pub local_pas: HashMap<MapData, Address, u32>,
    /// `REWRITES`.
    pub rewrites: HashMap<MapData, Address, RewriteEntry>,
    /// `COUNTERS`.
    pub counters: PerCpuArray<MapData, Count>,
    /// `DROPS`.
    pub drops: PerCpuArray<MapData, Count>,
    /// `TX_PORTS`.
    pub tx_ports: DevMapHash<MapData>,
    /// `UPLINKS`.
    pub uplinks: HashMap<MapData, u32, u32>,
    /// `PROGS`.
    pub programs: ProgramArray<MapData>,
}

impl Maps {
    /// Takes the maps out of a loaded object, those of records and stations for so many at most.
    pub fn take(bpf: &mut Ebpf, lookup_capacity: u32) -> Result<Self, Error> {
        Ok(Self {
            config: take(bpf, "CONFIG")?,
            vports: Vports::take(bpf)?,
            port_cas: take(bpf, "PORT_CAS")?,
            local_ports: LocalPorts::take(bpf)?,
            lookup: Lookups::take(bpf, lookup_capacity)?,
            stations: Hash::take(bpf, "MACS", lookup_capacity)?,
            routes: take(bpf, "ROUTES")?,
            floods: take(bpf, "FLOODS")?,
            underlay: take(bpf, "UNDERLAY")?,
            subnets: take(bpf, "VSIDS")?,
            local_pas: take(bpf, "LOCAL_PAS")?,
            rewrites: take(bpf, "REWRITES")?,
            counters: take(bpf, "COUNTERS")?,
            drops: take(bpf, "DROPS")?,
            tx_ports: take(bpf, "TX_PORTS")?,
            uplinks: take(bpf, "UPLINKS")?,
            programs: take(bpf, "PROGS")?,
        })
    }
}

impl Maps {
    /// The sockets of a pinned `XSKS`.
    pub fn sockets_at(pin: &Path) -> Result<XskMap<MapData>, MapError> {
        Map::from_map_data(MapData::from_pin(pin)?)?.try_into()
    }
}

/// Turns a map error into ours.
pub(super) fn failed(map: &'static str) -> impl FnOnce(MapError) -> Error {
    move |source| Error::Map { map, source }
}

pub(super) fn take<M: TryFrom<Map, Error = MapError>>(
    bpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, Error> {
    let map = bpf
        .take_map(name)
        .ok_or(Error::Absent { kind: "map", name })?;
    M::try_from(map).map_err(failed(name))
}
