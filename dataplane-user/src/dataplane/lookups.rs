//! The lookup records of both families: `LOOKUP` has the short key of IPv4, `LOOKUP6` the long one.

use std::path::Path;

use aya::maps::{HashMap, Map, MapData, MapError};
use dataplane_common::abi::lookup::{LookupEntry, LookupKey, LookupKey4};

/// Both maps as one table.
pub struct Lookups {
    /// `LOOKUP`.
    pub v4: HashMap<MapData, LookupKey4, LookupEntry>,
    /// `LOOKUP6`.
    pub v6: HashMap<MapData, LookupKey, LookupEntry>,
}

impl Lookups {
    /// Those that are pinned in a folder.
    pub fn pinned(folder: &Path) -> Result<Self, MapError> {
        Ok(Self {
            v4: open(&folder.join("LOOKUP"))?,
            v6: open(&folder.join("LOOKUP6"))?,
        })
    }

    /// The map that has the key.
    pub const fn name(key: &LookupKey) -> &'static str {
        if key.ca.is_v4() { "LOOKUP" } else { "LOOKUP6" }
    }

    /// The entry of a key.
    pub fn get(&self, key: &LookupKey) -> Result<LookupEntry, MapError> {
        match key.v4() {
            Some(key) => self.v4.get(&key, 0),
            None => self.v6.get(key, 0),
        }
    }

    /// Writes an entry.
    pub fn insert(&mut self, key: &LookupKey, entry: LookupEntry) -> Result<(), MapError> {
        match key.v4() {
            Some(key) => self.v4.insert(key, entry, 0),
            None => self.v6.insert(key, entry, 0),
        }
    }

    /// Removes an entry.
    pub fn remove(&mut self, key: &LookupKey) -> Result<(), MapError> {
        match key.v4() {
            Some(key) => self.v4.remove(&key),
            None => self.v6.remove(key),
        }
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = Result<(LookupKey, LookupEntry), MapError>> {
        let v4 = self.v4.iter();
        let v4 = v4.map(|item| item.map(|(key, entry)| (LookupKey::from(key), entry)));
        v4.chain(self.v6.iter())
    }
}

/// A pinned hash.
pub fn open<K: aya::Pod, V: aya::Pod>(pin: &Path) -> Result<HashMap<MapData, K, V>, MapError> {
    Map::from_map_data(MapData::from_pin(pin)?)?.try_into()
}
