//! A writer's stores, one by one, and what each key may be meanwhile.

use std::cell::{Cell, RefCell};

use super::*;

/// Memory that remembers its stores.
#[derive(Default)]
struct Recording {
    words: RefCell<Vec<u64>>,
    stores: RefCell<Vec<Store>>,
}

/// A word and its new value.
pub(super) type Store = (usize, u64);

impl Memory for &Recording {
    fn words(&self) -> usize {
        self.words.borrow().len()
    }

    fn load(&self, word: usize) -> u64 {
        self.words.borrow()[word]
    }

    fn store(&self, word: usize, value: u64) {
        self.words.borrow_mut()[word] = value;
        self.stores.borrow_mut().push((word, value));
    }

    fn publish(&self, word: usize, value: u64) {
        self.store(word, value);
    }

    fn replace(&self, word: usize, mask: u64, bits: u64) {
        self.store(word, self.load(word) & !mask | bits & mask);
    }
}

/// An operation: its stores and its key.
struct Change {
    first: usize,
    end: usize,
    key: u64,
    before: Option<LookupRecord>,
    after: Option<LookupRecord>,
}

/// What a writer did to an empty table.
pub(super) struct History {
    pub(super) buckets: u64,
    pub(super) keys: Vec<u64>,
    pub(super) stores: Vec<Store>,
    changes: Vec<Change>,
}

impl History {
    /// Random operations on a table that is nearly full most of the time.
    pub(super) fn make(buckets: u64, keys: Vec<u64>, operations: u32, seed: u64) -> Self {
        let recording = Recording::default();
        recording.words.replace(vec![0; memory(buckets).len()]);
        let mut writer = Writer::new(&recording, geometry(buckets)).expect("fits");
        let mut random = Random(seed);
        let mut changes = Vec::new();
        for n in 1..=operations {
            let key = keys[random.below(keys.len())];
            let before = writer.get(key).map(|entry| entry.record);
            let first = recording.stores.borrow().len();
            if random.below(6) == 0 {
                writer.remove(key);
            } else {
                // Where there is no room, nothing is stored, which is checked like the rest.
                let _ = writer.insert(key, record(key, n));
            }
            let after = writer.get(key).map(|entry| entry.record);
            let end = recording.stores.borrow().len();
            changes.push(Change {
                first,
                end,
                key,
                before,
                after,
            });
        }
        let stores = recording.stores.take();
        Self {
            buckets,
            keys,
            stores,
            changes,
        }
    }

    /// The words after the first `count` stores.
    pub(super) fn words(&self, count: usize) -> Vec<AtomicU64> {
        let words = memory(self.buckets);
        for (word, value) in &self.stores[..count] {
            Shared(&words).store(*word, *value);
        }
        words
    }

    /// The answers that a look-up may give during which the table went from the first `from` stores
    /// to the first `to`.
    pub(super) fn allowed(&self, key: u64, from: usize, to: usize) -> Vec<Option<LookupRecord>> {
        let mut allowed = vec![None];
        for change in self.changes.iter().filter(|change| change.key == key) {
            if change.end <= from {
                allowed = vec![change.after];
            } else if change.first < to {
                allowed.extend([change.before, change.after]);
            }
        }
        allowed
    }

    /// The key whose operation the next store belongs to.
    pub(super) fn key_at(&self, count: usize) -> Option<u64> {
        let change = self.changes.iter().find(|change| count < change.end)?;
        Some(change.key)
    }
}

/// A table that goes on changing while it is read: before the load `at`, by `jump` stores.
pub(super) struct Replay<'h> {
    pub(super) words: &'h [Cell<u64>],
    pub(super) history: &'h History,
    pub(super) done: Cell<usize>,
    pub(super) at: u32,
    pub(super) jump: usize,
    pub(super) loads: Cell<u32>,
}

impl Replay<'_> {
    /// One load.
    pub(super) fn load(&self, word: usize) -> u64 {
        self.loads.set(self.loads.get() + 1);
        if self.loads.get() == self.at {
            let stores = &self.history.stores[self.done.get()..];
            for (word, value) in stores.iter().take(self.jump) {
                self.words[*word].set(*value);
                self.done.set(self.done.get() + 1);
            }
        }
        self.words[word].get()
    }
}
