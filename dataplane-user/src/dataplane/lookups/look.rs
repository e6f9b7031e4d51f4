//! The pinned tables for who only reads: another process than the one that writes.

use std::{cell::RefCell, io, path::Path, rc::Rc};

use aya::maps::{HashMap, Map, MapData, MapError};
use dataplane_common::{
    abi::lookup::{LookupEntry, LookupKey, LookupRecord},
    records::{
        self,
        bucket::{self, CONTROL, SLOTS, VALID},
        geometry::Geometry,
        read::{Answer, Bucket as _, Buckets as _, lookup},
    },
};

use crate::dataplane::records::{Outer, Viewed, home::id};

/// `LOOKUP` and `LOOKUP6`, read alone.
pub struct Look {
    outer: Outer,
    known: RefCell<Option<Rc<Current>>>,
    v6: Outer<HashMap<MapData, LookupKey, LookupEntry>>,
}

/// A table, mapped.
struct Current {
    id: u32,
    memory: Viewed,
    geometry: Geometry,
}

impl Look {
    /// At those that are pinned in a folder.
    pub fn pinned(folder: &Path) -> Result<Self, MapError> {
        let open = |name| Map::from_map_data(MapData::from_pin(folder.join(name))?);
        Ok(Self {
            outer: Outer::new(open("LOOKUP")?.try_into()?),
            known: RefCell::default(),
            v6: Outer::new(open("LOOKUP6")?.try_into()?),
        })
    }

    /// The record of a key.
    pub fn get(&self, key: &LookupKey) -> Result<LookupRecord, MapError> {
        let Some(key) = key.v4() else {
            let current = self.v6.current()?.ok_or(MapError::KeyNotFound)?;
            return current.get(key, 0).map(|entry| entry.record);
        };
        let table = self.table()?.ok_or(MapError::KeyNotFound)?;
        table.read(records::key(key)).ok_or(MapError::KeyNotFound)
    }

    /// All records. One that the writer moves meanwhile may come twice or not at all.
    pub fn records(&self) -> Result<Vec<(LookupKey, LookupRecord)>, MapError> {
        let mut found = Vec::new();
        if let Some(table) = self.table()? {
            for key in table.keys() {
                let record = table.read(key);
                found.extend(record.map(|record| (records::ca(key).into(), record)));
            }
        }
        if let Some(current) = self.v6.current()? {
            for item in &current {
                let (key, entry) = item?;
                found.push((key, entry.record));
            }
        }
        Ok(found)
    }

    /// The current table. Its memory stays mapped as long as it is the current one.
    fn table(&self) -> Result<Option<Rc<Current>>, MapError> {
        let Some(map) = self.outer.current()? else {
            return Ok(None);
        };
        let id = id(&map)?;
        let mut known = self.known.borrow_mut();
        if let Some(known) = known.as_ref().filter(|known| known.id == id) {
            return Ok(Some(known.clone()));
        }
        let memory = Viewed::of(map)?;
        let geometry = memory.geometry().ok_or_else(unknown)?;
        let current = Rc::new(Current {
            id,
            memory,
            geometry,
        });
        *known = Some(current.clone());
        Ok(Some(current))
    }
}

/// A map that is no table of this build.
fn unknown() -> MapError {
    MapError::IoError(io::Error::new(
        io::ErrorKind::InvalidData,
        "map LOOKUP has a table of another layout; use the nvectl of the nved that made it",
    ))
}

impl Current {
    /// Asks until the writer lets it.
    fn read(&self, key: u64) -> Option<LookupRecord> {
        let mut record = LookupRecord::negative(0);
        loop {
            let answer = lookup(&self.memory.buckets(), &self.geometry, key, &mut record);
            if answer != Answer::BUSY {
                return answer.is_hit().then_some(record);
            }
        }
    }

    fn keys(&self) -> Vec<u64> {
        let mut keys = Vec::new();
        let buckets = self.memory.buckets();
        for number in 0..self.geometry.buckets() {
            if let Some(bucket) = buckets.bucket(number) {
                let valid = bucket.word(CONTROL) & VALID;
                let used = (0..SLOTS).filter(|slot| valid >> slot & 1 != 0);
                keys.extend(used.map(|slot| bucket.word(bucket::key(slot))));
            }
        }
        keys
    }
}
