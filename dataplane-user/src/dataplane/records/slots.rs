//! Slots of buckets, over memory.

use dataplane_common::abi::lookup::LookupRecord;
use dataplane_common::records::bucket::{
    self, CONTROL, SLOTS, SPILLED, STAMPS, VALID, WORDS, flipped,
};

use super::memory::Memory;

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: u64,
    /// The record.
    pub record: LookupRecord,
    /// When a program last looked it up, in a unit of the programs' choice; 0 at first.
    pub stamp: u16,
}

/// A slot of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) bucket: u32,
    pub(super) slot: u32,
}

impl Place {
    /// Its bit in the control word.
    pub(super) const fn bit(self) -> u64 {
        1 << self.slot
    }
}

/// The slots of a table.
pub(super) struct Slots<M>(pub(super) M);

impl<M: Memory> Slots<M> {
    /// The valid bits of a bucket.
    pub(super) fn valid(&self, bucket: u32) -> u64 {
        self.0.load(at(bucket, CONTROL)) & VALID
    }

    pub(super) fn has_spilled(&self, bucket: u32) -> bool {
        self.0.load(at(bucket, CONTROL)) & SPILLED != 0
    }

    /// The valid slots of a bucket, lowest first.
    pub(super) fn used(&self, bucket: u32) -> impl Iterator<Item = Place> + use<M> {
        places(bucket, self.valid(bucket))
    }

    /// A slot of a bucket that nothing is in.
    pub(super) fn free(&self, bucket: u32) -> Option<Place> {
        places(bucket, !self.valid(bucket)).next()
    }

    pub(super) fn key(&self, place: Place) -> u64 {
        self.0.load(at(place.bucket, bucket::key(place.slot)))
    }

    /// The valid slot of a bucket with a key: the one that a reader takes.
    pub(super) fn find(&self, bucket: u32, key: u64) -> Option<Place> {
        self.used(bucket).find(|place| self.key(*place) == key)
    }

    pub(super) fn entry(&self, place: Place) -> Entry {
        let load = |word| self.0.load(at(place.bucket, word));
        let (head, shift) = bucket::head(place.slot);
        let tail = bucket::tail(place.slot);
        #[expect(clippy::cast_possible_truncation, reason = "the parts of a word")]
        Entry {
            key: self.key(place),
            record: bucket::join((load(head) >> shift) as u32, [load(tail), load(tail + 1)]),
            stamp: (load(STAMPS) >> bucket::stamp(place.slot)) as u16,
        }
    }

    /// Fills a slot that is not valid.
    pub(super) fn fill(&self, place: Place, entry: &Entry) {
        debug_assert_eq!(self.valid(place.bucket) & place.bit(), 0, "{place:?}");
        let (head, tail) = bucket::split(entry.record);
        let (word, shift) = bucket::head(place.slot);
        let word = at(place.bucket, word);
        // The other half is another slot's, and stays what it is.
        let half = self.0.load(word) & !(0xffff_ffff << shift);
        self.0.store(word, half | u64::from(head) << shift);
        let first = at(place.bucket, bucket::tail(place.slot));
        self.0.store(first, tail[0]);
        self.0.store(first + 1, tail[1]);
        self.0
            .store(at(place.bucket, bucket::key(place.slot)), entry.key);
        self.stamp(place, entry.stamp);
    }

    /// Writes a slot's stamp.
    pub(super) fn stamp(&self, place: Place, stamp: u16) {
        let shift = bucket::stamp(place.slot);
        let stamp = u64::from(stamp) << shift;
        self.0
            .replace(at(place.bucket, STAMPS), 0xffff << shift, stamp);
    }

    /// Has both cache lines of a bucket fetched.
    pub(super) fn foresee(&self, bucket: u32) {
        self.0.foresee(at(bucket, CONTROL));
        self.0.foresee(at(bucket, bucket::tail(0)));
    }

    /// The one store that readers go by.
    pub(super) fn flip(&self, bucket: u32, set: u64, clear: u64) {
        let word = at(bucket, CONTROL);
        self.0.publish(word, flipped(self.0.load(word), set, clear));
    }

    /// Says that keys of this bucket may be in their alternates.
    pub(super) fn spill(&self, bucket: u32) {
        if !self.has_spilled(bucket) {
            self.flip(bucket, SPILLED, 0);
        }
    }
}

fn places(bucket: u32, bits: u64) -> impl Iterator<Item = Place> {
    (0..SLOTS)
        .map(move |slot| Place { bucket, slot })
        .filter(move |place| bits & place.bit() != 0)
}

fn at(bucket: u32, word: usize) -> usize {
    bucket as usize * WORDS + word
}
