//! The look-up; see the [module](super) for why it is right.
//!
//! Written for the verifier: a bounded loop of few attempts, a counter of 64 bits (half a stack slot
//! loses its value), the record through an out-parameter, and a number as the answer.

use super::bucket::{self, SLOTS, SPILLED, VALID};
use super::geometry::{Geometry, Pair};
use crate::abi::lookup::LookupRecord;

/// How often a look-up is tried.
pub const ATTEMPTS: u64 = 4;

/// Loads from a bucket that a writer may be changing. Each is one load of 64 bits.
pub trait Bucket {
    /// The control word, loaded before all that is loaded after it.
    fn control(&self) -> u64;
    /// A word; `index` is below [`bucket::WORDS`].
    fn word(&self, index: usize) -> u64;
    /// The control word, loaded after all that was loaded before it.
    fn control_again(&self) -> u64;

    /// Whether all that was loaded since `control` belongs together.
    #[inline(always)]
    fn unchanged(&self, control: u64) -> bool {
        self.control_again() == control
    }

    /// 1 if the words are equal, otherwise 0. A program may do it without a branch.
    #[inline(always)]
    fn same(a: u64, b: u64) -> u64 {
        u64::from(a == b)
    }
}

/// The buckets of a table.
pub trait Buckets {
    /// A pointer, in essence.
    type Bucket: Bucket;
    /// The bucket of an index; `None` if the table is smaller than its geometry says.
    fn bucket(&self, index: u32) -> Option<Self::Bucket>;
}

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer(u32);

impl Answer {
    /// The table does not have the key.
    pub const MISS: Self = Self(0);
    /// The buckets changed all the time: whether the table has the key is not known.
    pub const BUSY: Self = Self(1);
    const HIT: u32 = 2;
    const ALTERNATE: u32 = 4;

    /// The record was found at home, in this slot.
    #[inline(always)]
    pub const fn hit(slot: u32) -> Self {
        Self(Self::HIT | (slot & (SLOTS - 1)) << 3)
    }

    /// Whether the record was found and copied.
    #[inline(always)]
    pub const fn is_hit(self) -> bool {
        self.0 & Self::HIT != 0
    }

    /// The slot of a hit.
    #[inline(always)]
    pub const fn slot(self) -> u32 {
        self.0 >> 3 & (SLOTS - 1)
    }

    /// The bucket of a hit, of the key's two.
    #[inline(always)]
    pub const fn bucket(self, pair: Pair) -> u32 {
        if self.0 & Self::ALTERNATE != 0 {
            pair.alternate
        } else {
            pair.home
        }
    }
}

/// Looks a key up. `record` is written on a hit; otherwise it may have been overwritten.
#[inline(always)]
pub fn lookup<B: Buckets>(
    buckets: &B,
    geometry: &Geometry,
    key: u64,
    record: &mut LookupRecord,
) -> Answer {
    let pair = geometry.pair(key);
    let mut tried = 0_u64;
    while tried < ATTEMPTS {
        tried = tried.wrapping_add(1);
        let answer = attempt(buckets, pair, key, record);
        if answer.0 != Answer::BUSY.0 {
            return answer;
        }
    }
    Answer::BUSY
}

/// One try of [`lookup`], for who tries again from a place before it.
#[inline(always)]
pub fn attempt<B: Buckets>(buckets: &B, pair: Pair, key: u64, record: &mut LookupRecord) -> Answer {
    let Some(home) = buckets.bucket(pair.home) else {
        return Answer::BUSY;
    };
    let at_home = home.control();
    let found = matches(&home, at_home, key);
    if found != 0 {
        return copy(&home, at_home, found, Answer::HIT, record);
    }
    if at_home & SPILLED == 0 {
        return settle(home.unchanged(at_home), Answer::MISS);
    }
    let Some(alternate) = buckets.bucket(pair.alternate) else {
        return Answer::BUSY;
    };
    let there = alternate.control();
    let found = matches(&alternate, there, key);
    if found != 0 {
        let hit = Answer::HIT | Answer::ALTERNATE;
        return copy(&alternate, there, found, hit, record);
    }
    let unchanged = alternate.unchanged(there) && home.unchanged(at_home);
    settle(unchanged, Answer::MISS)
}

/// The valid slots that have the key, a bit each.
#[inline(always)]
fn matches<B: Bucket>(of: &B, control: u64, key: u64) -> u64 {
    let slot0 = B::same(of.word(bucket::key(0)), key);
    let slot1 = B::same(of.word(bucket::key(1)), key) << 1;
    let slot2 = B::same(of.word(bucket::key(2)), key) << 2;
    let slot3 = B::same(of.word(bucket::key(3)), key) << 3;
    (slot0 | slot1 | slot2 | slot3) & control & VALID
}

/// Copies the record of the first matching slot: of exactly one, should there ever be two.
#[inline(always)]
fn copy<B: Bucket>(
    of: &B,
    control: u64,
    found: u64,
    hit: u32,
    record: &mut LookupRecord,
) -> Answer {
    let slot = first(found);
    let (word, shift) = bucket::head(slot);
    let head = of.word(word).wrapping_shr(shift) as u32;
    let tail = bucket::tail(slot);
    *record = bucket::join(head, [of.word(tail), of.word(tail | 1)]);
    settle(of.unchanged(control), Answer(hit | slot << 3))
}

#[inline(always)]
fn settle(unchanged: bool, answer: Answer) -> Answer {
    if unchanged { answer } else { Answer::BUSY }
}

/// The lowest bit set of four, by a table in a word: no branches, and visibly below 4.
#[inline(always)]
const fn first(found: u64) -> u32 {
    const LOWEST: u32 = {
        let (mut table, mut found) = (0, 1_u32);
        while found < 16 {
            table |= found.trailing_zeros() << (found << 1);
            found = found.wrapping_add(1);
        }
        table
    };
    LOWEST.wrapping_shr((found as u32) << 1) & (SLOTS - 1)
}

#[cfg(test)]
mod tests;
