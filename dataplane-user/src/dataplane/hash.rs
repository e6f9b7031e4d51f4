//! A hash of the kernel's that is as large as its content needs.
//!
//! The kernel takes 16 bytes for each entry that a hash has room for, rounded up to a power of two,
//! used or not. So programs find an array of maps whose only element is the current hash: a larger
//! or a smaller one is filled aside and takes its place by one update. What programs write into
//! entries in between (stamps) is lost; they write it again.

use std::time::Instant;

use aya::{
    Ebpf, Pod,
    maps::{ArrayOfMaps, HashMap, IterableMap as _, MapData, MapError},
};

use super::{
    commit,
    lookups::error,
    maps::take,
    records::{Outer, Refused, patience::Patience, refused::told},
};

/// `BPF_F_NO_PREALLOC`: memory for what it holds, besides its heads.
const FLAGS: u32 = 1;
/// `BPF_NOEXIST` and `BPF_EXIST`.
const NEW: u64 = 1;
const KNOWN: u64 = 2;

/// Entries that every hash has room for.
const LEAST: u32 = 1024;
/// One that has room for so many times its entries becomes a smaller one after a while.
const SPARSE: u32 = 8;

type Map<K, V> = HashMap<MapData, K, V>;

/// The map of a name, and its current hash.
pub struct Hash<K: Pod, V: Pod> {
    name: &'static str,
    outer: Outer<Map<K, V>>,
    current: Map<K, V>,
    /// Entries of the current one.
    len: u32,
    /// Entries that the current one has room for.
    room: u32,
    /// Entries that it may have.
    capacity: u32,
    patience: Patience,
}

impl<K: Pod, V: Pod> Hash<K, V> {
    /// The map of a loaded object; it goes on with the hash that programs have, if there is one.
    pub fn take(bpf: &mut Ebpf, name: &'static str, capacity: u32) -> Result<Self, super::Error> {
        let failed = |source| super::Error::Map { map: name, source };
        Self::open(name, take(bpf, name)?, capacity).map_err(failed)
    }

    /// The map itself.
    pub fn open(
        name: &'static str,
        map: ArrayOfMaps<MapData, Map<K, V>>,
        capacity: u32,
    ) -> Result<Self, MapError> {
        let mut outer = Outer::new(map);
        let (current, len) = if let Some(map) = outer.current()? {
            let len = map.keys().try_fold(0, |len, key| key.map(|_| len + 1))?;
            (map, len)
        } else {
            let map = Map::create(fitting(0, capacity), FLAGS)?;
            outer.replace(&map)?;
            (map, 0)
        };
        Ok(Self {
            name,
            room: current.map().info()?.max_entries(),
            outer,
            current,
            len,
            capacity,
            patience: Patience::default(),
        })
    }

    /// Number of entries.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Entries that it may have.
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The current hash, to be read.
    pub const fn current(&self) -> &Map<K, V> {
        &self.current
    }

    /// Writes an entry, in a larger hash if it must be. Most that are written are new.
    pub fn insert(&mut self, key: &K, value: &V) -> Result<(), MapError> {
        if self.len < self.room.min(self.capacity) {
            return match self.current.insert(key, value, NEW) {
                Err(error) if commit::is_there(&error) => self.current.insert(key, value, KNOWN),
                done => done.map(|()| self.len += 1),
            };
        }
        match self.current.insert(key, value, KNOWN) {
            Err(error) if commit::is_absent(&error) => {}
            done => return done,
        }
        self.widen().map_err(error)?;
        self.current.insert(key, value, NEW)?;
        self.len += 1;
        Ok(())
    }

    /// Removes an entry.
    pub fn remove(&mut self, key: &K) -> Result<(), MapError> {
        self.current.remove(key)?;
        self.len = self.len.saturating_sub(1);
        Ok(())
    }

    /// Sees to it that so many more entries have room, in one step instead of many.
    pub fn reserve(&mut self, more: u32) -> Result<(), Refused> {
        let wanted = fitting(self.len.saturating_add(more), self.capacity);
        if wanted <= self.room {
            return Ok(());
        }
        self.grow(wanted, Instant::now())
    }

    /// Gives memory back that has been too much for long; to be called now and then.
    pub fn tend(&mut self, now: Instant) -> Result<(), Refused> {
        self.check()?;
        let fitting = fitting(self.len.saturating_mul(2), self.capacity);
        let sparse = self.room / SPARSE >= self.len && fitting < self.room;
        if !self.patience.was_sparse(sparse, now) {
            return Ok(());
        }
        self.grow(fitting, now)
    }

    /// Whether programs are in this hash, and not in one that somebody else put in place.
    fn check(&self) -> Result<(), Refused> {
        let ours = self.outer.shows(&self.current)?;
        ours.then_some(()).ok_or(Refused::Foreign)
    }

    fn widen(&mut self) -> Result<(), Refused> {
        let wanted = fitting(self.len.saturating_add(1), self.capacity);
        if wanted <= self.room {
            return Err(Refused::Full(self.capacity.into()));
        }
        self.grow(wanted, Instant::now())
    }

    /// Makes another hash the current one, unless that failed a moment ago.
    fn grow(&mut self, room: u32, now: Instant) -> Result<(), Refused> {
        let records = u64::from(self.len);
        if let Some(reason) = self.patience.starved(now) {
            let reason = reason.to_owned();
            return Err(Refused::Starved { records, reason });
        }
        let reason = match self.renew(room) {
            Err(Refused::Kernel(error)) => told(&error),
            done => return done,
        };
        tracing::warn!("map {} cannot get room for {room}: {reason}", self.name);
        self.patience.starve(now, reason.clone());
        Err(Refused::Starved { records, reason })
    }

    /// Makes a hash with room for so many, with the same content, the current one.
    fn renew(&mut self, room: u32) -> Result<(), Refused> {
        self.check()?;
        let mut next = Map::create(room, FLAGS)?;
        for item in &self.current {
            let (key, value) = item?;
            next.insert(key, value, 0)?;
        }
        // Copying takes its time.
        self.check()?;
        self.outer.replace(&next)?;
        (self.current, self.room) = (next, room);
        self.patience.renewed();
        Ok(())
    }
}

/// The room of a hash for so many entries: what the kernel takes heads for.
fn fitting(entries: u32, capacity: u32) -> u32 {
    let heads = entries.max(LEAST).checked_next_power_of_two();
    heads.map_or(capacity, |heads| heads.min(capacity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_a_power_of_two_within_the_capacity() {
        assert_eq!(fitting(0, 65_536), LEAST);
        assert_eq!(fitting(1024, 65_536), 1024);
        assert_eq!(fitting(1025, 65_536), 2048);
        assert_eq!(fitting(40_000, 50_000), 50_000);
        assert_eq!(fitting(60_000, 50_000), 50_000);
        assert_eq!(fitting(u32::MAX, 1 << 24), 1 << 24);
        assert_eq!(fitting(0, 1), 1);
    }
}
