//! Where tables are: what makes their memory, and what tells readers which one is current.

use std::time::Instant;

use aya::maps::{ArrayOfMaps, IterableMap as _, MapData, MapError};
use dataplane_common::records::geometry::Geometry;

use super::{
    mapped::{Map, Mapped},
    memory::Memory,
};

/// How often the current table is asked for while others take its place.
const TRIES: u32 = 16;

/// The place of a table, which can be another one from one moment to the next.
pub trait Home {
    /// What tables consist of.
    type Memory: Memory;
    /// Memory for a table that nobody reads yet, all zero.
    fn make(&mut self, geometry: &Geometry) -> Result<Self::Memory, MapError>;
    /// Has readers look into this table. When it returns, none is in the former one.
    fn publish(&mut self, memory: &Self::Memory) -> Result<(), MapError>;
    /// Whether readers look into this table.
    fn has(&self, memory: &Self::Memory) -> Result<bool, MapError>;
    /// The time that tables wait by.
    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// `LOOKUP`: an array whose only element is the map that is the current table.
pub struct Outer(ArrayOfMaps<MapData, Map>);

impl Outer {
    /// The map with this content.
    pub const fn new(map: ArrayOfMaps<MapData, Map>) -> Self {
        Self(map)
    }

    /// The current table; `None` before there is one.
    pub fn current(&self) -> Result<Option<Map>, MapError> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.0.get(&0, 0) {
                Ok(map) => return Ok(Some(map)),
                Err(MapError::KeyNotFound) => return Ok(None),
                // The kernel tells a number, and another table may be the current one by the time that
                // it is asked for the map with that number.
                Err(error) if tried < TRIES && is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What tells a map from all others.
pub(in crate::dataplane) fn id(map: &Map) -> Result<u32, MapError> {
    Ok(map.map().info()?.id())
}

/// Whether the kernel has no map of a number.
fn is_gone(error: &MapError) -> bool {
    let MapError::SyscallError(call) = error else {
        return false;
    };
    call.io_error.raw_os_error() == Some(libc::ENOENT)
}

impl Home for Outer {
    type Memory = Mapped;

    fn make(&mut self, geometry: &Geometry) -> Result<Mapped, MapError> {
        Mapped::create(geometry)
    }

    /// The system call returns when no program that could have seen the former map runs any more
    /// (`maybe_wait_bpf_programs`, since Linux 4.18).
    fn publish(&mut self, memory: &Mapped) -> Result<(), MapError> {
        self.0.set(0, memory.map(), 0)
    }

    fn has(&self, memory: &Mapped) -> Result<bool, MapError> {
        let Some(current) = self.current()? else {
            return Ok(false);
        };
        Ok(id(&current)? == id(memory.map())?)
    }
}
