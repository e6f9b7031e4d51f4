//! Map operations into the kernel's maps.

mod records;

use std::{collections::BTreeMap, time::Instant};

use aya::maps::{MapError, lpm_trie::Key};
use dataplane_common::abi::{
    lookup::{LookupEntry, LookupKey, LookupRecord},
    route::RouteKey,
};
use rustix::time::{ClockId, clock_gettime};

use super::{
    Dataplane, Error,
    layout::{Layout, SIZED},
    lookups::{self, Lookups},
    maps::failed,
    records::{Refused, Untended},
};
use crate::policy::{
    MapOp,
    table_image::{Prefix, TableImage},
};

pub use records::{Records, Way};

/// Operations of one map that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The map.
    pub map: &'static str,
    /// How many.
    pub count: usize,
    /// The first error, with what to do.
    pub reason: String,
}

impl Dataplane {
    /// Applies what can be applied and does the same to `image`; what failed, map by map.
    pub fn commit(&mut self, image: &mut TableImage, ops: &[MapOp]) -> Vec<Failure> {
        let mut failures: BTreeMap<&'static str, Failure> = BTreeMap::new();
        for op in ops {
            match self.apply(op) {
                Ok(()) => image.apply(op),
                Err(error) => {
                    if let Some(key) = self.withdraw(op) {
                        image.apply(&MapOp::DeleteLookup(key));
                    }
                    let map = map_of(op);
                    let first = || Failure {
                        map,
                        count: 0,
                        reason: self.reason(map, &error),
                    };
                    failures.entry(map).or_insert_with(first).count += 1;
                }
            }
        }
        failures.into_values().collect()
    }

    /// Tells the programs where each uplink's sockets begin in `XSKS`, by ifindex; those of other
    /// devices are forgotten.
    pub fn place_sockets(&mut self, places: &BTreeMap<u32, u32>) -> Result<(), Error> {
        let uplinks = &mut self.maps.uplinks;
        let known: Result<BTreeMap<u32, u32>, _> = uplinks.iter().collect();
        let known = known.map_err(failed("UPLINKS"))?;
        for ifindex in known.keys().filter(|ifindex| !places.contains_key(ifindex)) {
            gone(uplinks.remove(ifindex)).map_err(failed("UPLINKS"))?;
        }
        for (ifindex, place) in places
            .iter()
            .filter(|(i, place)| known.get(i) != Some(place))
        {
            uplinks
                .insert(ifindex, place, 0)
                .map_err(failed("UPLINKS"))?;
        }
        Ok(())
    }

    /// Removes the record whose update failed: none is better than the former one. Its key, if it is
    /// gone.
    fn withdraw(&mut self, op: &MapOp) -> Option<LookupKey> {
        let MapOp::PutLookup(key, _) = op else {
            return None;
        };
        let removed = gone(self.maps.lookup.remove(key));
        removed.is_ok().then_some(*key)
    }

    /// Sees that the tables of records and stations are still those that programs read, and gives memory
    /// back that they do not need any more; to be called now and then. All are
    /// looked after, whichever fails; of their faults, what [`Untended::first`] says.
    pub fn tend(&mut self) -> Result<(), Untended> {
        let records = self.maps.lookup.tend();
        let stations = lookups::tended("MACS", self.maps.stations.tend(Instant::now()));
        Untended::first([records, stations])
    }

    fn apply(&mut self, op: &MapOp) -> Result<(), MapError> {
        let maps = &mut self.maps;
        match *op {
            MapOp::PutConfig(config) => maps.config.set(0, config, 0),
            MapOp::PutNextHop(index, hop) => maps.underlay.set(index, hop, 0),
            MapOp::PutLocalPa(pa) => maps.local_pas.insert(pa, 0, 0),
            MapOp::PutRewrite(pa, entry) => maps.rewrites.insert(pa, entry, 0),
            MapOp::PutSubnet(vsid, subnet) => maps.subnets.insert(vsid, subnet, 0),
            MapOp::PutVport(ifindex, vport) => maps.vports.insert(ifindex, vport),
            MapOp::PutPortCa(key) => maps.port_cas.insert(key, 0, 0),
            MapOp::PutLocalPort(key, ifindex) => maps.local_ports.insert(key, ifindex),
            MapOp::PutLookup(key, record) => maps.lookup.insert(&key, entry(record)),
            MapOp::PutStation(key, record) => maps.stations.insert(&key, &record),
            MapOp::PutRoute(prefix, record) => maps.routes.insert(&trie_key(prefix), record, 0),
            MapOp::PutFlood(vsid, flood) => maps.floods.insert(vsid, flood, 0),
            MapOp::DeleteFlood(vsid) => gone(maps.floods.remove(&vsid)),
            MapOp::DeleteRoute(prefix) => gone(maps.routes.remove(&trie_key(prefix))),
            MapOp::DeleteStation(key) => gone(maps.stations.remove(&key)),
            MapOp::DeleteLookup(key) => gone(maps.lookup.remove(&key)),
            MapOp::DeleteLocalPort(key) => maps.local_ports.remove(key),
            MapOp::DeletePortCa(key) => gone(maps.port_cas.remove(&key)),
            MapOp::DeleteVport(ifindex) => maps.vports.remove(ifindex),
            MapOp::DeleteSubnet(vsid) => gone(maps.subnets.remove(&vsid)),
            MapOp::DeleteLocalPa(pa) => gone(maps.local_pas.remove(&pa)),
            MapOp::DeleteRewrite(pa) => gone(maps.rewrites.remove(&pa)),
            MapOp::DeleteNextHop(index) => maps.underlay.set(index, super::read::EMPTY_HOP, 0),
        }
    }

    fn reason(&self, map: &'static str, error: &MapError) -> String {
        let refused = lookups::refused(error);
        if let Some(Refused::Starved { .. }) = refused {
            return format!(
                "map {map}: {error}; free memory, or give nved more (MemoryMax= of its unit; on kernels before 5.11 LimitMEMLOCK=): it is tried again"
            );
        }
        if matches!(refused, Some(Refused::Crowded(_))) || !is_full(error) {
            return format!("map {map}: {error}");
        }
        let room = self
            .capacity(map)
            .map_or(String::new(), |n| format!(" (room for {n})"));
        if SIZED.contains(&map) {
            format!(
                "map {map} is full{room}; set a larger lookup-capacity and restart nved (no traffic is lost)"
            )
        } else {
            format!("map {map} is full{room}; move ports or VM networks to another host")
        }
    }

    fn capacity(&self, map: &str) -> Option<u32> {
        if SIZED.contains(&map) {
            return Some(self.maps.stations.capacity());
        }
        let path = self.pin.join(super::load::MAPS_FOLDER).join(map);
        Layout::room(&path)
    }
}

fn map_of(op: &MapOp) -> &'static str {
    match op {
        MapOp::PutConfig(_) => "CONFIG",
        MapOp::PutNextHop(..) | MapOp::DeleteNextHop(_) => "UNDERLAY",
        MapOp::PutLocalPa(_) | MapOp::DeleteLocalPa(_) => "LOCAL_PAS",
        MapOp::PutRewrite(..) | MapOp::DeleteRewrite(_) => "REWRITES",
        MapOp::PutSubnet(..) | MapOp::DeleteSubnet(_) => "VSIDS",
        MapOp::PutVport(..) | MapOp::DeleteVport(_) => "VPORTS",
        MapOp::PutPortCa(_) | MapOp::DeletePortCa(_) => "PORT_CAS",
        MapOp::PutLocalPort(..) | MapOp::DeleteLocalPort(_) => "LOCAL_PORTS",
        MapOp::PutLookup(key, _) | MapOp::DeleteLookup(key) => Lookups::name(key),
        MapOp::PutStation(..) | MapOp::DeleteStation(_) => "MACS",
        MapOp::PutRoute(..) | MapOp::DeleteRoute(_) => "ROUTES",
        MapOp::PutFlood(..) | MapOp::DeleteFlood(_) => "FLOODS",
    }
}

const fn trie_key(prefix: Prefix) -> Key<RouteKey> {
    Key::new(prefix.bits, prefix.key)
}

/// What is not there need not be removed.
pub(crate) fn gone(removed: Result<(), MapError>) -> Result<(), MapError> {
    match removed {
        Err(error) if is_absent(&error) => Ok(()),
        other => other,
    }
}

/// Whether a map does not have the key.
pub(super) fn is_absent(error: &MapError) -> bool {
    errno(error) == Some(libc::ENOENT)
}

/// Whether a map has the key already.
pub(super) fn is_there(error: &MapError) -> bool {
    errno(error) == Some(libc::EEXIST)
}

/// An entry of a record that was looked up just now.
pub(crate) fn entry(record: LookupRecord) -> LookupEntry {
    LookupEntry {
        record,
        stamp: second(),
    }
}

/// The time as programs stamp it ([`LookupEntry::SECOND_SHIFT`]).
pub(crate) fn second() -> u32 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    let seconds = u128::from(now.tv_sec.unsigned_abs()) * 1_000_000_000;
    let nanos = seconds + u128::from(now.tv_nsec.unsigned_abs());
    // The programs keep the low word as well.
    #[expect(clippy::cast_possible_truncation, reason = "both clocks wrap alike")]
    let stamp = (nanos >> LookupEntry::SECOND_SHIFT) as u32;
    stamp
}

/// Whether the map has no room.
pub fn is_full(error: &MapError) -> bool {
    match lookups::refused(error) {
        Some(Refused::Full(_) | Refused::Crowded(_) | Refused::Starved { .. }) => true,
        Some(Refused::Foreign | Refused::Kernel(_)) => false,
        None => errno(error) == Some(libc::E2BIG),
    }
}

fn errno(error: &MapError) -> Option<i32> {
    if let MapError::SyscallError(call) = error {
        return call.io_error.raw_os_error();
    }
    None
}
