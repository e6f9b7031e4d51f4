//! Where tables are: what makes their memory, and what tells readers which one is current.

use std::time::Instant;

use aya::{
    Pod,
    maps::{ArrayOfMaps, FromMapData, InnerMap, IterableMap, MapData, MapError},
};
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

/// `LOOKUP`, and others like it: an array whose only element is the map that is the current table.
pub struct Outer<M = Map>(ArrayOfMaps<MapData, M>);

impl<M: FromMapData> Outer<M> {
    /// The map with this content.
    pub const fn new(map: ArrayOfMaps<MapData, M>) -> Self {
        Self(map)
    }

    /// The current table; `None` before there is one.
    pub fn current(&self) -> Result<Option<M>, MapError> {
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

impl<M: FromMapData + InnerMap> Outer<M> {
    /// Makes a map the current one. The system call returns when no program that could have seen the
    /// former map runs any more (`maybe_wait_bpf_programs`, since Linux 4.18).
    pub fn replace(&mut self, map: &M) -> Result<(), MapError> {
        self.0.set(0, map, 0)
    }

    /// Whether programs look into this map.
    pub fn shows<K: Pod, V>(&self, map: &M) -> Result<bool, MapError>
    where
        M: IterableMap<K, V>,
    {
        let Some(current) = self.current()? else {
            return Ok(false);
        };
        Ok(id(&current)? == id(map)?)
    }
}

/// What tells a map from all others.
pub(in crate::dataplane) fn id<K: Pod, V>(map: &impl IterableMap<K, V>) -> Result<u32, MapError> {
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

    fn publish(&mut self, memory: &Mapped) -> Result<(), MapError> {
        self.replace(memory.map())
    }

    fn has(&self, memory: &Mapped) -> Result<bool, MapError> {
        self.shows(memory.map())
    }
}
