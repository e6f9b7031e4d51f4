//! Changes of a table that is being read.

use dataplane_common::abi::lookup::LookupRecord;
use dataplane_common::records::bucket::{SLOTS, WORDS};
use dataplane_common::records::geometry::{Geometry, Pair};

use super::cuckoo::Search;
use super::memory::Memory;
use super::slots::{Entry, Place, Slots};

/// The writer of a table.
pub struct Writer<M> {
    pub(super) slots: Slots<M>,
    pub(super) geometry: Geometry,
    pub(super) len: u64,
    search: Search,
}

/// There is no room for a key, and the table is as it was: for a key that it has, with the old
/// record.
///
/// Another seed or size may have room. Who cannot have that and has no use for the old record removes
/// the key: readers look nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for the record among {len} in {slots} slots")]
pub struct Full {
    /// Records in the table.
    pub len: u64,
    /// Slots of the table.
    pub slots: u64,
}

/// The memory is not that of such a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{buckets} buckets need {} words of memory, not {words}", u64::from(*.buckets) * WORDS as u64)]
pub struct Misfit {
    /// Buckets of the geometry.
    pub buckets: u32,
    /// Words of the memory.
    pub words: usize,
}

impl<M: Memory> Writer<M> {
    /// The writer of a new table: of memory that is all zero.
    pub fn new(memory: M, geometry: Geometry) -> Result<Self, Misfit> {
        let (buckets, words) = (geometry.buckets(), memory.words());
        if words != buckets as usize * WORDS {
            return Err(Misfit { buckets, words });
        }
        Ok(Self {
            slots: Slots(memory),
            geometry,
            len: 0,
            search: Search::default(),
        })
    }

    /// What it writes.
    pub const fn memory(&self) -> &M {
        &self.slots.0
    }

    /// Where keys are in it.
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Number of records.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of slots, of which 0.95 can be used.
    pub fn capacity(&self) -> u64 {
        u64::from(self.geometry.buckets()) * u64::from(SLOTS)
    }

    /// How many entries were moved to make room for others.
    pub const fn moves(&self) -> u64 {
        self.search.moves
    }

    /// The entry of a key.
    pub fn get(&self, key: u64) -> Option<Entry> {
        let place = self.find(self.geometry.pair(key), key)?;
        Some(self.slots.entry(place))
    }

    /// All entries, in no order that means anything.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let used = (0..self.geometry.buckets()).flat_map(|bucket| self.slots.used(bucket));
        used.map(|place| self.slots.entry(place))
    }

    /// Writes a record. Readers have the old one until they have the new one; the stamp stays.
    pub fn insert(&mut self, key: u64, record: LookupRecord) -> Result<(), Full> {
        let pair = self.geometry.pair(key);
        let old = self.find(pair, key);
        let before = old.map(|place| self.slots.entry(place));
        if before.is_some_and(|entry| entry.record == record) {
            return Ok(());
        }
        let place = self.room(pair)?;
        let stamp = before.map_or(0, |entry| entry.stamp);
        self.slots.fill(place, &Entry { key, record, stamp });
        self.replace(pair, old, place);
        Ok(())
    }

    /// Says when a record was last looked up, in the programs' unit.
    pub fn stamp(&mut self, key: u64, stamp: u16) {
        if let Some(place) = self.find(self.geometry.pair(key), key) {
            self.slots.stamp(place, stamp);
        }
    }

    /// Has the memory of a key fetched that is to be inserted or removed soon. Who writes many keys
    /// and names each some twenty before its turn hardly waits for memory.
    pub fn foresee(&self, key: u64) {
        self.slots.foresee(self.geometry.pair(key).home);
    }

    /// Removes a key; returns what it had.
    pub fn remove(&mut self, key: u64) -> Option<Entry> {
        let place = self.find(self.geometry.pair(key), key)?;
        let entry = self.slots.entry(place);
        self.slots.flip(place.bucket, 0, place.bit());
        self.len -= 1;
        Some(entry)
    }

    fn find(&self, pair: Pair, key: u64) -> Option<Place> {
        if let Some(place) = self.slots.find(pair.home, key) {
            return Some(place);
        }
        let spilled = self.slots.has_spilled(pair.home);
        spilled.then(|| self.slots.find(pair.alternate, key))?
    }

    /// A free slot in a bucket of the pair: at home if possible, so that updates bring keys home.
    fn room(&mut self, pair: Pair) -> Result<Place, Full> {
        let free = self.slots.free(pair.home);
        let free = free.or_else(|| self.slots.free(pair.alternate));
        let (search, slots) = (&mut self.search, &self.slots);
        free.or_else(|| search.make_room(slots, &self.geometry, pair))
            .ok_or_else(|| Full {
                len: self.len,
                slots: self.capacity(),
            })
    }

    /// Publishes the filled slot and drops the old one: at once, or the new one first.
    fn replace(&mut self, pair: Pair, old: Option<Place>, new: Place) {
        if new.bucket != pair.home {
            self.slots.spill(pair.home);
        }
        match old {
            Some(old) if old.bucket == new.bucket => {
                self.slots.flip(new.bucket, new.bit(), old.bit());
            }
            Some(old) => {
                self.slots.flip(new.bucket, new.bit(), 0);
                self.slots.flip(old.bucket, 0, old.bit());
            }
            None => {
                self.slots.flip(new.bucket, new.bit(), 0);
                self.len += 1;
            }
        }
    }
}
