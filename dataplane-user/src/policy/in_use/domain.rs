//! What one routing domain has in use.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use dataplane_common::abi::lookup::{LookupKey, LookupRecord};

/// What a routing domain has in use.
#[derive(Debug, Default)]
pub(super) struct Domain {
    pub(super) entries: BTreeMap<LookupKey, Entry>,
    /// When to look at an entry again; each entry once.
    pub(super) due: BTreeSet<(Instant, LookupKey)>,
    /// How many of them are negative.
    pub(super) negatives: usize,
}

/// An entry of the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) record: LookupRecord,
    pub(super) due: Instant,
}

impl Domain {
    /// Records, and negative answers.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.entries.len() - self.negatives, self.negatives)
    }

    pub(super) fn put(&mut self, key: LookupKey, entry: Entry) {
        self.forget(key);
        self.negatives += usize::from(entry.record.has(LookupRecord::NEGATIVE));
        self.due.insert((entry.due, key));
        self.entries.insert(key, entry);
    }

    /// The entry whose turn it is.
    pub(super) fn first_due(&self, now: Instant) -> Option<(LookupKey, Entry)> {
        let (due, key) = self.due.first()?;
        let entry = self.entries.get(key).filter(|_| *due <= now)?;
        Some((*key, *entry))
    }

    pub(super) fn forget(&mut self, key: LookupKey) {
        if let Some(entry) = self.entries.remove(&key) {
            self.due.remove(&(entry.due, key));
            self.negatives -= usize::from(entry.record.has(LookupRecord::NEGATIVE));
        }
    }
}
