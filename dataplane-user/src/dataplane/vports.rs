//! The vports by ifindex: `PLACES` and `FAR_PLACES` say where in `VPORTS` each stands.
//!
//! Programs find a place and read the vport there, both out of arrays, with no look-up in a hash. So
//! that none sees half of a change, a changed vport is written to a place that nobody is led to, and
//! the one store that leads there comes behind. Places that were left are used again in the order in
//! which they were left: long after whoever was led there is done.

use std::collections::{BTreeMap, VecDeque};

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError},
    sys::SyscallError,
};
use dataplane_common::abi::{
    stats::SLOTS,
    vport::{NEAR_IFINDEXES, PLACES_OF_VPORTS, Vport},
};

use super::{
    Error,
    commit::gone,
    maps::{failed, take},
};

/// The three maps as one table, and who stands where.
pub struct Vports {
    values: Array<MapData, Vport>,
    near: Array<MapData, u32>,
    far: HashMap<MapData, u32, u32>,
    /// By ifindex.
    places: BTreeMap<u32, u32>,
    /// Nobody's, the one that was left first in front.
    free: VecDeque<u32>,
}

impl Vports {
    /// Takes the maps out of a loaded object, and finds out who is in them.
    pub fn take(bpf: &mut Ebpf) -> Result<Self, Error> {
        let mut vports = Self {
            values: take(bpf, "VPORTS")?,
            near: take(bpf, "PLACES")?,
            far: take(bpf, "FAR_PLACES")?,
            places: BTreeMap::new(),
            free: VecDeque::new(),
        };
        vports.find().map_err(failed("VPORTS"))?;
        Ok(vports)
    }

    /// All vports by ifindex.
    pub fn read(&self) -> Result<BTreeMap<u32, Vport>, MapError> {
        let places = self.places.iter();
        let vports = places.map(|(ifindex, place)| {
            let mut vport = self.values.get(place, 0)?;
            vport.ifindex = 0;
            Ok((*ifindex, vport))
        });
        vports.collect()
    }

    /// Writes the vport of a device.
    pub fn insert(&mut self, ifindex: u32, mut vport: Vport) -> Result<(), MapError> {
        vport.ifindex = ifindex;
        let known = self.places.contains_key(&ifindex);
        let room = known || self.places.len() < SLOTS as usize;
        let place = self.free.front().copied().filter(|_| room);
        let place = place.ok_or_else(full)?;
        self.values.set(place, vport, 0)?;
        if ifindex < NEAR_IFINDEXES {
            self.near.set(ifindex, place, 0)?;
        } else {
            self.far.insert(ifindex, place, 0)?;
        }
        self.free.pop_front();
        self.free.extend(self.places.insert(ifindex, place));
        Ok(())
    }

    /// Removes the vport of a device, if it has one.
    pub fn remove(&mut self, ifindex: u32) -> Result<(), MapError> {
        let Some(place) = self.places.get(&ifindex).copied() else {
            return Ok(());
        };
        if ifindex < NEAR_IFINDEXES {
            self.near.set(ifindex, 0, 0)?;
        } else {
            gone(self.far.remove(&ifindex))?;
        }
        self.places.remove(&ifindex);
        self.free.push_back(place);
        Ok(())
    }

    /// A place is its vport's if its device is led there; what a writer left half done is not.
    fn find(&mut self) -> Result<(), MapError> {
        for place in 1..PLACES_OF_VPORTS {
            let ifindex = self.values.get(&place, 0)?.ifindex;
            if ifindex != 0 && self.place(ifindex)? == Some(place) {
                self.places.insert(ifindex, place);
            } else {
                self.free.push_back(place);
            }
        }
        Ok(())
    }

    fn place(&self, ifindex: u32) -> Result<Option<u32>, MapError> {
        if ifindex < NEAR_IFINDEXES {
            return self.near.get(&ifindex, 0).map(Some);
        }
        match self.far.get(&ifindex, 0) {
            Ok(place) => Ok(Some(place)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What the kernel says of a full map.
fn full() -> MapError {
    MapError::SyscallError(SyscallError {
        call: "bpf_map_update_elem",
        io_error: std::io::Error::from_raw_os_error(libc::E2BIG),
    })
}
