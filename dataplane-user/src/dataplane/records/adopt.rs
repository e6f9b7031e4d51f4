//! A table that an earlier writer left, wherever it stopped.

use dataplane_common::records::geometry::Geometry;

use super::memory::Memory;
use super::slots::Place;
use super::writer::{Misfit, Writer};

/// What adoption finds and removes. No look-up has another answer for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Second copies of a key: at most one, unless the table is damaged.
    pub duplicates: u64,
    /// Entries where no reader finds them. Not by a writer that stopped: the table is damaged, or
    /// the geometry is another one's.
    pub strays: u64,
}

impl<M: Memory> Writer<M> {
    /// The writer of a table with content, which readers may be reading, and what [`Self::sweep`] has
    /// to remove before the first change. Nothing is written.
    pub fn examine(memory: M, geometry: Geometry) -> Result<(Self, Swept), Misfit> {
        let mut writer = Self::new(memory, geometry)?;
        let mut found = Swept::default();
        for bucket in 0..geometry.buckets() {
            for place in writer.slots.used(bucket) {
                match writer.judge(place) {
                    Standing::Sound => writer.len += 1,
                    Standing::Duplicate => found.duplicates += 1,
                    Standing::Stray => found.strays += 1,
                }
            }
        }
        Ok((writer, found))
    }

    /// Removes what no reader finds. What is removed has no part in how the rest is judged.
    pub fn sweep(&mut self) {
        for bucket in 0..self.geometry.buckets() {
            for place in self.slots.used(bucket) {
                if !matches!(self.judge(place), Standing::Sound) {
                    self.slots.flip(bucket, 0, place.bit());
                }
            }
        }
    }

    /// Whether readers take this entry for its key's.
    fn judge(&self, place: Place) -> Standing {
        let slots = &self.slots;
        let key = slots.key(place);
        let pair = self.geometry.pair(key);
        let away = place.bucket != pair.home;
        if away && (place.bucket != pair.alternate || !slots.has_spilled(pair.home)) {
            Standing::Stray
        } else if slots.find(place.bucket, key) != Some(place)
            || away && slots.find(pair.home, key).is_some()
        {
            Standing::Duplicate
        } else {
            Standing::Sound
        }
    }
}

enum Standing {
    Sound,
    Duplicate,
    Stray,
}
