//! Which records of the whole table the kernel's holds (`tableMode: onDemand`).
//!
//! The agent compiles the whole table always; what a VM network with `onDemand` has in it goes into
//! the kernel when a packet asks, and out of it when none does any more. Pure.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use dataplane_common::abi::lookup::{LookupKey, LookupRecord};

use self::domain::{Domain, Entry};
use super::table_image::TableImage;

mod domain;
mod room;

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
    /// Entries that the kernel's table can have.
    room: usize,
    /// Entries of all routing domains at a time, and negative answers among them.
    most: usize,
    most_negatives: usize,
    /// Nothing may be evicted.
    held_still: bool,
    domains: BTreeMap<u32, Domain>,
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
    /// Nothing is in use. `room`: entries that the kernel's table can have. Half of it is for VM
    /// networks whose records are all there, and negative answers take a quarter at most.
    pub const fn new(lives: Lives, room: usize) -> Self {
        Self {
            lives,
            room,
            most: room / 2,
            most_negatives: room / 4,
            held_still: false,
            domains: BTreeMap::new(),
        }
    }

    /// Takes what an earlier nved left in the kernel's table on demand out of `image`, which is the
    /// rest from then on.
    pub fn adopt(&mut self, image: &mut TableImage, now: Instant) {
        let fleeting = LookupRecord::ON_DEMAND | LookupRecord::NEGATIVE;
        let own = image
            .lookup
            .take(usize::MAX, |_, record| record.has(fleeting));
        for (key, record) in own {
            self.enter(key, record, now);
        }
    }

    /// Records in use and negative answers, of all routing domains.
    pub fn counts(&self) -> (usize, usize) {
        let each = self.domains.values().map(Domain::counts);
        each.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    /// Records in use and negative answers, by routing domain.
    pub fn by_domain(&self) -> BTreeMap<u32, (usize, usize)> {
        let each = self.domains.iter();
        each.map(|(rdid, domain)| (*rdid, domain.counts()))
            .collect()
    }

    /// A packet asks for `key` in the subnet `vsid`.
    pub fn ask(
        &mut self,
        whole: &TableImage,
        (key, vsid): (LookupKey, u32),
        now: Instant,
    ) -> Answer {
        if let Some(record) = whole.lookup.get(&key) {
            // What is in the table whether it is in use or not is not ours to remove.
            if record.has(LookupRecord::ON_DEMAND) {
                self.enter(key, record, now);
            }
            return Answer::Write(record);
        }
        let known = self.domains.get(&key.rdid);
        let known = known.is_some_and(|domain| domain.entries.contains_key(&key));
        if !known && !self.has_room_for_a_negative(key.rdid) {
            return Answer::Nobody;
        }
        let record = LookupRecord::negative(vsid);
        self.enter(key, record, now);
        Answer::Write(record)
    }

    /// What the kernel's table has to get because the whole table is another one.
    pub fn follow(&mut self, whole: &TableImage) -> Vec<Change> {
        self.held_still = false;
        let changed = |(key, entry): (&LookupKey, &Entry)| match whole.lookup.get(key) {
            Some(record) if record == entry.record => None,
            Some(record) => Some(Change::Put(*key, record)),
            None if entry.record.has(LookupRecord::NEGATIVE) => None,
            None => Some(Change::Delete(*key)),
        };
        let mut changes = Vec::new();
        for domain in self.domains.values_mut() {
            let from = changes.len();
            changes.extend(domain.entries.iter().filter_map(changed));
            for change in &changes[from..] {
                match *change {
                    Change::Put(key, record) if record.has(LookupRecord::ON_DEMAND) => {
                        let due = domain.entries.get(&key).map(|entry| entry.due);
                        let entry = due.map(|due| Entry { record, due });
                        if let Some(entry) = entry {
                            domain.put(key, entry);
                        }
                    }
                    // It is in the table whether in use or not from now on, or not at all.
                    Change::Put(key, _) | Change::Delete(key) => domain.forget(key),
                }
            }
        }
        changes
    }

    /// Entries to remove from the kernel's table: negative ones whose time is over, and records
    /// without a hit for the idle time, out of at most `most` whose turn it is to be looked at.
    /// `idle` tells how long ago the last hit of a record was. And how many were looked at.
    pub fn expire(
        &mut self,
        now: Instant,
        most: usize,
        mut idle: impl FnMut(&LookupKey) -> Duration,
    ) -> (Vec<LookupKey>, usize) {
        let (mut gone, mut looks) = (Vec::new(), 0);
        let life = self.lives.idle;
        for domain in self.domains.values_mut() {
            while looks < most
                && let Some((key, entry)) = domain.first_due(now)
            {
                looks += 1;
                let rest = if entry.record.has(LookupRecord::NEGATIVE) {
                    Duration::ZERO
                } else {
                    life.saturating_sub(idle(&key))
                };
                if rest.is_zero() {
                    domain.forget(key);
                    gone.push(key);
                } else {
                    let due = now + rest;
                    domain.put(key, Entry { due, ..entry });
                }
            }
        }
        self.domains.retain(|_, domain| !domain.entries.is_empty());
        (gone, looks)
    }

    /// The kernel did not take what [`Self::ask`] said.
    pub fn give_up(&mut self, key: LookupKey) {
        if let Some(domain) = self.domains.get_mut(&key.rdid) {
            domain.forget(key);
        }
    }

    fn enter(&mut self, key: LookupKey, record: LookupRecord, now: Instant) {
        let life = if record.has(LookupRecord::NEGATIVE) {
            self.lives.negative
        } else {
            self.lives.idle
        };
        let due = now + life;
        let domain = self.domains.entry(key.rdid).or_default();
        domain.put(key, Entry { record, due });
    }
}

#[cfg(test)]
mod tests;
