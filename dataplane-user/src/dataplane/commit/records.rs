//! Very many lookup records into the kernel's table.

use std::{collections::BTreeMap, mem};

use aya::maps::MapError;
use dataplane_common::{
    abi::lookup::{LookupKey, LookupRecord},
    records,
};

use super::{Dataplane, Failure, entry, gone};
use crate::{
    dataplane::lookups::{Lookups, error},
    policy::records::{RecordChange, RecordTable},
};

/// What is done in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Records are put in place.
    Put,
    /// Records are removed.
    Delete,
}

/// What became of a change of the table.
#[derive(Debug, Default)]
pub struct Records {
    operations: usize,
    /// Keys whose change the table did not take, and whether it has no record of them now.
    failed: BTreeMap<LookupKey, bool>,
}

impl Records {
    /// How many records were put or removed, or should have been.
    pub const fn operations(&self) -> usize {
        self.operations
    }

    /// Does to `held` what was done to the kernel's table to make it `wanted`.
    pub fn settle(&self, held: &mut RecordTable, wanted: &RecordTable) {
        // Shared with whoever has the wanted one, as far as they are alike.
        let before = mem::replace(held, wanted.lasting());
        for (key, gone) in &self.failed {
            match before.get(key).filter(|_| !gone) {
                Some(record) => held.insert(*key, record),
                None => held.remove(key),
            };
        }
    }
}

impl Dataplane {
    /// Does what is still to be done to make the kernel's table of records, which is `held`, `wanted`;
    /// what failed, map by map. Once both ways are gone, [`Records::settle`].
    ///
    /// A record whose update fails is removed: none is better than the former one.
    pub fn commit_records(
        &mut self,
        records: &mut Records,
        (held, wanted): (&RecordTable, &RecordTable),
        way: Way,
    ) -> Vec<Failure> {
        let lookup = &mut self.maps.lookup;
        if way == Way::Put {
            lookup.reserve(missing(held, wanted));
        }
        let mut writing = Writing::new(lookup, records);
        wanted.each_change(held, |change| match (change, way) {
            (RecordChange::Put(key, record), Way::Put) => writing.put(key, record),
            (RecordChange::Delete(key), Way::Delete) => writing.delete(key),
            (RecordChange::Put(..), Way::Delete) | (RecordChange::Delete(_), Way::Put) => {}
        });
        let failures = writing.finish().into_iter();
        let told = failures.map(|(map, (count, error))| Failure {
            map,
            count,
            reason: self.reason(map, &error),
        });
        told.collect()
    }
}

/// Records that the table does not have yet, of IPv4 and of IPv6.
fn missing(held: &RecordTable, wanted: &RecordTable) -> (u64, u64) {
    let (mut v4, mut v6) = (0, 0);
    wanted.each_change(held, |change| {
        if let RecordChange::Put(key, _) = change
            && (held.is_empty() || !held.contains_key(&key))
        {
            *if key.ca.is_v4() { &mut v4 } else { &mut v6 } += 1;
        }
    });
    (v4, v6)
}

/// IPv4 records that are written while nobody else writes: few enough that a record on demand does
/// not wait long.
const TOGETHER: usize = 256;

/// Changes on their way into the table.
struct Writing<'w> {
    lookup: &'w mut Lookups,
    records: &'w mut Records,
    puts: Vec<(u64, LookupRecord)>,
    deletes: Vec<u64>,
    /// How many failed, and how the first of them.
    failures: BTreeMap<&'static str, (usize, MapError)>,
}

impl<'w> Writing<'w> {
    fn new(lookup: &'w mut Lookups, records: &'w mut Records) -> Self {
        Self {
            lookup,
            records,
            puts: Vec::with_capacity(TOGETHER),
            deletes: Vec::with_capacity(TOGETHER),
            failures: BTreeMap::new(),
        }
    }

    fn put(&mut self, key: LookupKey, record: LookupRecord) {
        self.records.operations += 1;
        if let Some(short) = key.v4() {
            self.puts.push((records::key(short), record));
            if self.puts.len() == TOGETHER {
                self.write();
            }
        } else if let Err(error) = self.lookup.insert(&key, entry(record)) {
            let removed = gone(self.lookup.remove(&key)).is_ok();
            self.fail(key, error, removed);
        }
    }

    fn delete(&mut self, key: LookupKey) {
        self.records.operations += 1;
        if let Some(short) = key.v4() {
            self.deletes.push(records::key(short));
            if self.deletes.len() == TOGETHER {
                self.remove();
            }
        } else if let Err(error) = gone(self.lookup.remove(&key)) {
            self.fail(key, error, false);
        }
    }

    /// Puts what has gathered.
    fn write(&mut self) {
        let puts = mem::take(&mut self.puts);
        for (key, refused) in self.lookup.write(&puts) {
            self.fail(records::ca(key).into(), error(refused), true);
        }
        self.puts = puts;
        self.puts.clear();
    }

    /// Removes what has gathered.
    fn remove(&mut self) {
        self.lookup.v4().erase(&self.deletes);
        self.deletes.clear();
    }

    fn finish(mut self) -> BTreeMap<&'static str, (usize, MapError)> {
        self.write();
        self.remove();
        self.failures
    }

    fn fail(&mut self, key: LookupKey, error: MapError, removed: bool) {
        self.records.failed.insert(key, removed);
        let first = || (0, error);
        let failure = self.failures.entry(Lookups::name(&key));
        failure.or_insert_with(first).0 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_as_the_table_has_it() {
        let key = |n| LookupKey::from(records::ca(7 << 32 | n));
        let table = |all: &[(u64, u32)]| -> RecordTable {
            let all = all.iter();
            all.map(|(n, vsid)| (key(*n), LookupRecord::negative(*vsid)))
                .collect()
        };
        let before = table(&[(1, 1), (2, 1), (3, 1), (4, 1)]);
        let wanted = table(&[(1, 2), (2, 2), (3, 2), (5, 2)]);
        let mut records = Records::default();
        // One could not be updated and is gone, one is what it was, and one is still there.
        for (n, removed) in [(1, true), (2, false), (4, false)] {
            records.failed.insert(key(n), removed);
        }
        let mut held = before;
        records.settle(&mut held, &wanted);
        assert_eq!(held, table(&[(2, 1), (3, 2), (4, 1), (5, 2)]));
    }

    #[test]
    fn records_that_are_missing_are_counted() {
        let key = |n| LookupKey::from(records::ca(7 << 32 | n));
        let table = |keys: &[u64], vsid| -> RecordTable {
            let keys = keys.iter();
            keys.map(|n| (key(*n), LookupRecord::negative(vsid)))
                .collect()
        };
        let (none, held, wanted) = (
            RecordTable::default(),
            table(&[1, 2, 3], 1),
            table(&[2, 3, 4, 5, 6], 2),
        );
        assert_eq!(missing(&none, &wanted), (5, 0));
        assert_eq!(missing(&held, &wanted), (3, 0));
        assert_eq!(missing(&wanted, &wanted), (0, 0));
    }
}
