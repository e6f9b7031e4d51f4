//! Which records of the whole table the kernel's holds (`tableMode: onDemand`).
//!
//! The agent compiles the whole table always; what a VM network with `onDemand` has in it goes into
//! the kernel when a packet asks, and out of it when none does any more. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use dataplane_common::abi::lookup::{LookupKey, LookupRecord};

use super::table_image::TableImage;

/// How long what nobody asks for stays, and how much of it there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lives {
    /// A record without a hit stays so long.
    pub idle: Duration,
    /// The answer that nobody has the CA stands so long.
    pub negative: Duration,
    /// Negative answers of one routing domain at a time: a scan of its own addresses takes no
    /// more room than this in the table that all share.
    pub negatives: usize,
}

impl Lives {
    /// A minute, as neighbours have; short enough that a VM which starts is soon found; and a /20
    /// scanned at once.
    pub const DEFAULT: Self = Self {
        idle: Duration::from_mins(1),
        negative: Duration::from_secs(2),
        negatives: 4096,
    };
}

/// The records that packets asked for, as the kernel's table has them.
#[derive(Debug)]
pub struct InUse {
    lives: Lives,
    entries: BTreeMap<LookupKey, Entry>,
    /// When to look at an entry again; each entry once.
    due: BTreeSet<(Instant, LookupKey)>,
    /// Negative answers by routing domain.
    negatives: BTreeMap<u32, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    record: LookupRecord,
    due: Instant,
}

/// What a packet's question comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The kernel's table gets this record: where the CA is, or that nobody has it.
    Write(LookupRecord),
    /// Nobody has the CA, and the routing domain has no room for another such answer.
    Nobody,
}

/// A change of the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// This record.
    Put(LookupKey, LookupRecord),
    /// None.
    Delete(LookupKey),
}

impl InUse {
    /// Nothing is in use.
    pub const fn new(lives: Lives) -> Self {
        Self {
            lives,
            entries: BTreeMap::new(),
            due: BTreeSet::new(),
            negatives: BTreeMap::new(),
        }
    }

    /// Takes what an earlier nved left in the kernel's table on demand out of `image`, which is the
    /// rest from then on.
    pub fn adopt(&mut self, image: &mut TableImage, now: Instant) {
        let fleeting = LookupRecord::ON_DEMAND | LookupRecord::NEGATIVE;
        let (own, rest) = std::mem::take(&mut image.lookup)
            .into_iter()
            .partition(|(_, record)| record.has(fleeting));
        image.lookup = rest;
        let own: BTreeMap<_, _> = own;
        for (key, record) in own {
            self.enter(key, record, now);
        }
    }

    /// Records in use and negative answers, of all routing domains.
    pub fn counts(&self) -> (usize, usize) {
        let negative = self.negatives.values().sum();
        (self.entries.len().saturating_sub(negative), negative)
    }

    /// Records in use and negative answers, by routing domain.
    pub fn by_domain(&self) -> BTreeMap<u32, (usize, usize)> {
        let mut all: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
        for (key, entry) in &self.entries {
            let (records, negatives) = all.entry(key.rdid).or_default();
            if entry.record.has(LookupRecord::NEGATIVE) {
                *negatives += 1;
            } else {
                *records += 1;
            }
        }
        all
    }

    /// A packet asks for `key` in the subnet `vsid`.
    pub fn ask(
        &mut self,
        whole: &TableImage,
        (key, vsid): (LookupKey, u32),
        now: Instant,
    ) -> Answer {
        if let Some(record) = whole.lookup.get(&key).copied() {
            // What is in the table whether it is in use or not is not ours to remove.
            if record.has(LookupRecord::ON_DEMAND) {
                self.enter(key, record, now);
            }
            return Answer::Write(record);
        }
        let negatives = self.negatives.get(&key.rdid).copied().unwrap_or(0);
        if negatives >= self.lives.negatives && !self.entries.contains_key(&key) {
            return Answer::Nobody;
        }
        let record = LookupRecord::negative(vsid);
        self.enter(key, record, now);
        Answer::Write(record)
    }

    /// What the kernel's table has to get because the whole table is another one.
    pub fn follow(&mut self, whole: &TableImage) -> Vec<Change> {
        let changed = |(key, entry): (&LookupKey, &Entry)| match whole.lookup.get(key) {
            Some(record) if *record == entry.record => None,
            Some(record) => Some(Change::Put(*key, *record)),
            None if entry.record.has(LookupRecord::NEGATIVE) => None,
            None => Some(Change::Delete(*key)),
        };
        let changes: Vec<Change> = self.entries.iter().filter_map(changed).collect();
        for change in &changes {
            match *change {
                Change::Put(key, record) if record.has(LookupRecord::ON_DEMAND) => {
                    let due = self.entries.get(&key).map(|entry| entry.due);
                    self.forget(key);
                    if let Some(due) = due {
                        self.put(key, Entry { record, due });
                    }
                }
                // It is in the table whether in use or not from now on, or not at all.
                Change::Put(key, _) | Change::Delete(key) => self.forget(key),
            }
        }
        changes
    }

    /// Entries to remove from the kernel's table: negative ones whose time is over, and records
    /// without a hit for the idle time, at most `most` of both. `idle` tells how long ago the last
    /// hit of a record was.
    pub fn expire(
        &mut self,
        now: Instant,
        most: usize,
        mut idle: impl FnMut(&LookupKey) -> Duration,
    ) -> Vec<LookupKey> {
        let mut gone = Vec::new();
        while gone.len() < most
            && let Some((due, key)) = self.due.first().copied()
            && due <= now
        {
            let Some(entry) = self.entries.get(&key).copied() else {
                self.due.remove(&(due, key));
                continue;
            };
            self.forget(key);
            let quiet = idle_of(&entry, || idle(&key));
            match quiet.and_then(|quiet| self.lives.idle.checked_sub(quiet)) {
                Some(rest) if !rest.is_zero() => {
                    let due = now + rest;
                    self.put(key, Entry { due, ..entry });
                }
                Some(_) | None => gone.push(key),
            }
        }
        gone
    }

    /// The kernel did not take what [`Self::ask`] said.
    pub fn give_up(&mut self, key: LookupKey) {
        self.forget(key);
    }

    fn enter(&mut self, key: LookupKey, record: LookupRecord, now: Instant) {
        self.forget(key);
        let life = if record.has(LookupRecord::NEGATIVE) {
            self.lives.negative
        } else {
            self.lives.idle
        };
        let due = now + life;
        self.put(key, Entry { record, due });
    }

    fn put(&mut self, key: LookupKey, entry: Entry) {
        if entry.record.has(LookupRecord::NEGATIVE) {
            *self.negatives.entry(key.rdid).or_default() += 1;
        }
        self.due.insert((entry.due, key));
        self.entries.insert(key, entry);
    }

    fn forget(&mut self, key: LookupKey) {
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        self.due.remove(&(entry.due, key));
        if entry.record.has(LookupRecord::NEGATIVE)
            && let Some(count) = self.negatives.get_mut(&key.rdid)
        {
            *count -= 1;
            if *count == 0 {
                self.negatives.remove(&key.rdid);
            }
        }
    }
}

/// How long a record had no hit; `None` for a negative one, whose time does not depend on that.
fn idle_of(entry: &Entry, idle: impl FnOnce() -> Duration) -> Option<Duration> {
    let negative = entry.record.has(LookupRecord::NEGATIVE);
    (!negative).then(idle)
}

#[cfg(test)]
mod tests;
