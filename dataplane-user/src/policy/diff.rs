//! The operations that turn one table image into another.

use std::collections::{BTreeMap, BTreeSet};

use dataplane_common::abi::{
    config::Config,
    flood::Flood,
    lookup::{LookupKey, LookupRecord},
    port_ca::PortCaKey,
    rewrite::RewriteEntry,
    underlay::NextHop,
    vport::{LocalPortKey, Vport},
    vsid::VirtualSubnet,
};

use dataplane_common::id::Address;

use super::{
    records::{RecordChange, RecordTable},
    table_image::{Prefix, TableImage},
};

/// One change of one map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapOp {
    /// Writes `CONFIG`.
    PutConfig(Config),
    /// Writes an entry of `UNDERLAY`.
    PutNextHop(u32, NextHop),
    /// Adds to `LOCAL_PAS`.
    PutLocalPa(Address),
    /// Writes an entry of `REWRITES`.
    PutRewrite(Address, RewriteEntry),
    /// Writes an entry of `VSIDS`.
    PutSubnet(u32, VirtualSubnet),
    /// Writes an entry of `VPORTS`.
    PutVport(u32, Vport),
    /// Adds to `PORT_CAS`.
    PutPortCa(PortCaKey),
    /// Writes an entry of `LOCAL_PORTS`.
    PutLocalPort(LocalPortKey, u32),
    /// Writes an entry of `LOOKUP` or `LOOKUP6`.
    PutLookup(LookupKey, LookupRecord),
    /// Writes an entry of `MACS`.
    PutStation(LocalPortKey, LookupRecord),
    /// Writes an entry of `ROUTES`.
    PutRoute(Prefix, LookupRecord),
    /// Writes an entry of `FLOODS`.
    PutFlood(u32, Flood),
    /// Removes from `FLOODS`.
    DeleteFlood(u32),
    /// Removes from `ROUTES`.
    DeleteRoute(Prefix),
    /// Removes from `MACS`.
    DeleteStation(LocalPortKey),
    /// Removes from `LOOKUP` or `LOOKUP6`.
    DeleteLookup(LookupKey),
    /// Removes from `LOCAL_PORTS`.
    DeleteLocalPort(LocalPortKey),
    /// Removes from `PORT_CAS`.
    DeletePortCa(PortCaKey),
    /// Removes from `VPORTS`.
    DeleteVport(u32),
    /// Removes from `VSIDS`.
    DeleteSubnet(u32),
    /// Removes from `REWRITES`.
    DeleteRewrite(Address),
    /// Removes from `LOCAL_PAS`.
    DeleteLocalPa(Address),
    /// Empties an entry of `UNDERLAY` (an array: nothing can be removed).
    DeleteNextHop(u32),
}

/// The operations from `old` to `new`, make before break: a port may send only
/// once all records of its routing domain are there (`VPORTS`), and a subnet may
/// receive only once its ports are (`VSIDS`). What is removed goes afterwards, in
/// the reverse order.
///
/// Records that the table has only while they are in use
/// ([`LookupRecord::ON_DEMAND`]) count as absent from `new`: [`super::in_use`] has those.
pub fn diff(old: &TableImage, new: &TableImage) -> Vec<MapOp> {
    diff_around(old, new, |ops, old, new, deletes| {
        new.each_change(old, |change| match change {
            RecordChange::Put(key, record) if !deletes => ops.push(MapOp::PutLookup(key, record)),
            RecordChange::Delete(key) if deletes => ops.push(MapOp::DeleteLookup(key)),
            RecordChange::Put(..) | RecordChange::Delete(_) => {}
        });
    })
}

/// As [`diff`], without the operations of lookup records ([`RecordTable::each_change`]): those that
/// put them come before all that lets a port send, and those that remove them last of all but the
/// removal of PAs.
pub fn diff_but_records(old: &TableImage, new: &TableImage) -> Vec<MapOp> {
    diff_around(old, new, |_, _, _, _| {})
}

fn diff_around(
    old: &TableImage,
    new: &TableImage,
    records: impl Fn(&mut Vec<MapOp>, &RecordTable, &RecordTable, bool),
) -> Vec<MapOp> {
    use MapOp::{
        DeleteFlood, DeleteLocalPa, DeleteLocalPort, DeleteNextHop, DeletePortCa, DeleteRewrite,
        DeleteRoute, DeleteStation, DeleteSubnet, DeleteVport, PutConfig, PutFlood, PutLocalPa,
        PutLocalPort, PutNextHop, PutPortCa, PutRewrite, PutRoute, PutStation, PutSubnet, PutVport,
    };
    let mut ops = Vec::new();
    if old.config != new.config {
        ops.push(PutConfig(new.config));
    }
    put(&mut ops, &old.underlay, &new.underlay, PutNextHop);
    add(&mut ops, &old.local_pas, &new.local_pas, PutLocalPa);
    put(&mut ops, &old.rewrites, &new.rewrites, PutRewrite);
    records(&mut ops, &old.lookup, &new.lookup, false);
    put(&mut ops, &old.stations, &new.stations, PutStation);
    put(&mut ops, &old.routes, &new.routes, PutRoute);
    add(&mut ops, &old.port_cas, &new.port_cas, PutPortCa);
    put(&mut ops, &old.vports, &new.vports, PutVport);
    put(&mut ops, &old.local_ports, &new.local_ports, PutLocalPort);
    put(&mut ops, &old.floods, &new.floods, PutFlood);
    put(&mut ops, &old.subnets, &new.subnets, PutSubnet);

    delete(&mut ops, &old.subnets, &new.subnets, DeleteSubnet);
    delete(&mut ops, &old.floods, &new.floods, DeleteFlood);
    delete(
        &mut ops,
        &old.local_ports,
        &new.local_ports,
        DeleteLocalPort,
    );
    delete(&mut ops, &old.vports, &new.vports, DeleteVport);
    add(&mut ops, &new.port_cas, &old.port_cas, DeletePortCa);
    delete(&mut ops, &old.routes, &new.routes, DeleteRoute);
    delete(&mut ops, &old.stations, &new.stations, DeleteStation);
    records(&mut ops, &old.lookup, &new.lookup, true);
    delete(&mut ops, &old.rewrites, &new.rewrites, DeleteRewrite);
    add(&mut ops, &new.local_pas, &old.local_pas, DeleteLocalPa);
    delete(&mut ops, &old.underlay, &new.underlay, DeleteNextHop);
    ops
}

impl MapOp {
    /// Whether the operation lets a port send, or a subnet receive: those come behind the records
    /// in a [`diff`].
    pub const fn is_of_a_port(&self) -> bool {
        matches!(
            self,
            Self::PutPortCa(_)
                | Self::PutVport(..)
                | Self::PutLocalPort(..)
                | Self::PutFlood(..)
                | Self::PutSubnet(..)
        )
    }

    /// Whether the operation removes what lookup records refer to: those come behind the removal of
    /// records in a [`diff`].
    pub const fn removes_an_address(&self) -> bool {
        matches!(
            self,
            Self::DeleteRewrite(_) | Self::DeleteLocalPa(_) | Self::DeleteNextHop(_)
        )
    }

    /// Whether the operation removes something: those come last in a [`diff`].
    pub const fn removes(&self) -> bool {
        matches!(
            self,
            Self::DeleteLookup(_)
                | Self::DeleteStation(_)
                | Self::DeleteRoute(_)
                | Self::DeleteFlood(_)
                | Self::DeleteLocalPort(_)
                | Self::DeletePortCa(_)
                | Self::DeleteVport(_)
                | Self::DeleteSubnet(_)
                | Self::DeleteRewrite(_)
                | Self::DeleteLocalPa(_)
                | Self::DeleteNextHop(_)
        )
    }
}

impl TableImage {
    /// Does to this image what the dataplane does to the maps.
    pub fn apply(&mut self, op: &MapOp) {
        match *op {
            MapOp::PutConfig(config) => self.config = config,
            MapOp::PutNextHop(index, hop) => drop(self.underlay.insert(index, hop)),
            MapOp::PutLocalPa(pa) => drop(self.local_pas.insert(pa)),
            MapOp::PutRewrite(pa, entry) => drop(self.rewrites.insert(pa, entry)),
            MapOp::PutSubnet(vsid, subnet) => drop(self.subnets.insert(vsid, subnet)),
            MapOp::PutVport(ifindex, vport) => drop(self.vports.insert(ifindex, vport)),
            MapOp::PutPortCa(key) => drop(self.port_cas.insert(key)),
            MapOp::PutLocalPort(key, ifindex) => drop(self.local_ports.insert(key, ifindex)),
            MapOp::PutLookup(key, record) => drop(self.lookup.insert(key, record)),
            MapOp::PutStation(key, record) => drop(self.stations.insert(key, record)),
            MapOp::PutRoute(prefix, record) => drop(self.routes.insert(prefix, record)),
            MapOp::PutFlood(vsid, flood) => drop(self.floods.insert(vsid, flood)),
            MapOp::DeleteLookup(key) => drop(self.lookup.remove(&key)),
            MapOp::DeleteStation(key) => drop(self.stations.remove(&key)),
            MapOp::DeleteRoute(prefix) => drop(self.routes.remove(&prefix)),
            MapOp::DeleteFlood(vsid) => drop(self.floods.remove(&vsid)),
            MapOp::DeleteLocalPort(key) => drop(self.local_ports.remove(&key)),
            MapOp::DeletePortCa(key) => drop(self.port_cas.remove(&key)),
            MapOp::DeleteVport(ifindex) => drop(self.vports.remove(&ifindex)),
            MapOp::DeleteSubnet(vsid) => drop(self.subnets.remove(&vsid)),
            MapOp::DeleteRewrite(pa) => drop(self.rewrites.remove(&pa)),
            MapOp::DeleteLocalPa(pa) => drop(self.local_pas.remove(&pa)),
            MapOp::DeleteNextHop(index) => drop(self.underlay.remove(&index)),
        }
    }
}

fn put<K: Ord + Copy, V: PartialEq + Copy>(
    ops: &mut Vec<MapOp>,
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    op: fn(K, V) -> MapOp,
) {
    let changed = new
        .iter()
        .filter(|(key, value)| old.get(key) != Some(value));
    ops.extend(changed.map(|(key, value)| op(*key, *value)));
}

fn delete<K: Ord + Copy, V>(
    ops: &mut Vec<MapOp>,
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    op: fn(K) -> MapOp,
) {
    let gone = old.keys().filter(|key| !new.contains_key(key));
    ops.extend(gone.map(|key| op(*key)));
}

/// One operation for each member of `with` that is not in `without`.
fn add<K: Ord + Copy>(
    ops: &mut Vec<MapOp>,
    without: &BTreeSet<K>,
    with: &BTreeSet<K>,
    op: fn(K) -> MapOp,
) {
    ops.extend(with.difference(without).map(|key| op(*key)));
}

#[cfg(test)]
mod tests;
