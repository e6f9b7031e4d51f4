//! The ports by VSID and MAC: `LOCAL_PORTS` has all of them, `NEAR_PORTS` those that programs find
//! without a look-up in a hash.
//!
//! A program asks the port that stands in an entry of `NEAR_PORTS` whether it is the one, so it does no
//! harm if another one, or an old one, stands there. An entry that is given up stays empty, although
//! another port may belong there, until the maps are taken anew.

use std::collections::BTreeMap;

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError},
};
use dataplane_common::abi::vport::{LocalPortKey, NEAR_PORTS};

use super::{
    Error,
    commit::gone,
    maps::{failed, take},
};

/// Both maps as one table.
pub struct LocalPorts {
    all: HashMap<MapData, LocalPortKey, u32>,
    near: Array<MapData, u32>,
}

impl LocalPorts {
    /// Takes the maps out of a loaded object. What a writer left half done is done.
    pub fn take(bpf: &mut Ebpf) -> Result<Self, Error> {
        let mut ports = Self {
            all: take(bpf, "LOCAL_PORTS")?,
            near: take(bpf, "NEAR_PORTS")?,
        };
        ports.restore().map_err(failed("NEAR_PORTS"))?;
        Ok(ports)
    }

    /// All ports: ifindex by key.
    pub fn read(&self) -> Result<BTreeMap<LocalPortKey, u32>, MapError> {
        self.all.iter().collect()
    }

    /// Writes the device of a port.
    pub fn insert(&mut self, key: LocalPortKey, ifindex: u32) -> Result<(), MapError> {
        self.all.insert(key, ifindex, 0)?;
        self.near.set(key.near(), ifindex, 0)
    }

    /// Removes a port, if it is there.
    pub fn remove(&mut self, key: LocalPortKey) -> Result<(), MapError> {
        let ifindex = match self.all.get(&key, 0) {
            Err(MapError::KeyNotFound) => return Ok(()),
            found => found?,
        };
        if self.near.get(&key.near(), 0)? == ifindex {
            self.near.set(key.near(), 0, 0)?;
        }
        gone(self.all.remove(&key))
    }

    fn restore(&mut self) -> Result<(), MapError> {
        let all = self.read()?;
        let wanted: BTreeMap<u32, u32> =
            all.iter().map(|(key, port)| (key.near(), *port)).collect();
        for place in 0..NEAR_PORTS {
            let ifindex = wanted.get(&place).copied().unwrap_or(0);
            if self.near.get(&place, 0)? != ifindex {
                self.near.set(place, ifindex, 0)?;
            }
        }
        Ok(())
    }
}
