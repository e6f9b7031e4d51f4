//! Tables one after the other, in memory that readers of this process see.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aya::maps::MapError;
use dataplane_common::abi::lookup::LookupRecord;

use super::*;

/// Words that live as long as somebody has them.
#[derive(Clone)]
pub(super) struct Owned(Arc<Vec<AtomicU64>>);

impl Owned {
    fn shared(&self) -> Shared<'_> {
        Shared(&self.0)
    }
}

impl Memory for Owned {
    fn words(&self) -> usize {
        self.0.len()
    }
    fn load(&self, word: usize) -> u64 {
        self.shared().load(word)
    }
    fn store(&self, word: usize, value: u64) {
        self.shared().store(word, value);
    }
    fn publish(&self, word: usize, value: u64) {
        self.shared().publish(word, value);
    }
    fn replace(&self, word: usize, mask: u64, bits: u64) {
        self.shared().replace(word, mask, bits);
    }
}

struct State {
    current: Option<(Owned, Geometry)>,
    made: Vec<(Owned, Geometry)>,
    /// Buckets that there is memory for.
    most: u64,
    /// How often memory was asked for.
    asked: u32,
    now: Instant,
}

/// Where the test finds the current table.
#[derive(Clone)]
pub(super) struct Place(Arc<Mutex<State>>);

impl Place {
    pub(super) fn new(most: u64) -> Self {
        let state = State {
            current: None,
            made: Vec::new(),
            most,
            asked: 0,
            now: Instant::now(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn read(&self, key: u64) -> Option<LookupRecord> {
        let (memory, geometry) = self.current();
        read(&memory.shared(), &geometry, key)
    }

    pub(super) fn current(&self) -> (Owned, Geometry) {
        let state = self.0.lock().expect("state");
        state.current.clone().expect("a table")
    }

    pub(super) fn allow(&self, most: u64) {
        self.0.lock().expect("state").most = most;
    }

    pub(super) fn asked(&self) -> u32 {
        self.0.lock().expect("state").asked
    }

    /// Lets time go by.
    pub(super) fn pass(&self, time: Duration) {
        self.0.lock().expect("state").now += time;
    }
}

impl Home for Place {
    type Memory = Owned;

    fn make(&mut self, geometry: &Geometry) -> Result<Owned, MapError> {
        let mut state = self.0.lock().expect("state");
        state.asked += 1;
        if u64::from(geometry.buckets()) > state.most {
            return Err(MapError::IoError(io::ErrorKind::OutOfMemory.into()));
        }
        let made = Owned(Arc::new(memory(geometry.buckets().into())));
        state.made.push((made.clone(), *geometry));
        Ok(made)
    }

    fn publish(&mut self, memory: &Owned) -> Result<(), MapError> {
        let mut state = self.0.lock().expect("state");
        let of = |(made, _): &&(Owned, Geometry)| Arc::ptr_eq(&made.0, &memory.0);
        state.current = state.made.iter().find(of).cloned();
        Ok(())
    }

    fn has(&self, memory: &Owned) -> Result<bool, MapError> {
        let state = self.0.lock().expect("state");
        let current = state.current.as_ref();
        Ok(current.is_some_and(|(current, _)| Arc::ptr_eq(&current.0, &memory.0)))
    }

    fn now(&self) -> Instant {
        self.0.lock().expect("state").now
    }
}

pub(super) fn insert(table: &mut Table<Place>, keys: impl IntoIterator<Item = u64>) {
    for key in keys {
        table.insert(key, record(key, 1)).expect("room");
    }
}

#[test]
fn a_table_grows_and_keeps_what_it_has() {
    let place = Place::new(u64::MAX);
    let mut table = Table::new(place.clone(), 100_000).expect("a table");
    let keys = dense(20_000);
    let mut sizes = vec![place.current().1.buckets()];
    for (n, key) in keys.iter().enumerate() {
        insert(&mut table, [*key]);
        let stamp = u16::try_from(n).expect("few");
        table.writer_mut().stamp(*key, stamp);
        let size = place.current().1.buckets();
        if sizes.last() != Some(&size) {
            for key in &keys[..=n] {
                assert_eq!(place.read(*key), Some(record(*key, 1)));
            }
            sizes.push(size);
        }
    }
    // By three eighths at a time, and for no more records than there are.
    assert_eq!(sizes.len(), 11, "{sizes:?}");
    assert!(sizes.is_sorted() && sizes[10] < 6500, "{sizes:?}");
    assert_eq!((table.len(), table.renewed()), (20_000, 10));
    let stamps = keys.iter().map(|key| table.writer().get(*key));
    for (n, entry) in stamps.enumerate() {
        assert_eq!(entry.map(|entry| usize::from(entry.stamp)), Some(n));
    }
}

#[test]
fn many_records_make_it_grow_once() {
    let place = Place::new(u64::MAX);
    let mut table = Table::new(place.clone(), 1 << 20).expect("a table");
    let keys = dense(100_000);
    let records = keys.iter().map(|key| (*key, record(*key, 1)));
    table.extend(records.clone()).expect("room");
    assert_eq!((table.len(), table.renewed()), (100_000, 1));
    table.extend(records).expect("room");
    assert_eq!((table.len(), table.renewed()), (100_000, 1), "not twice");
    assert!(keys.iter().all(|key| place.read(*key).is_some()));
}

#[test]
fn no_more_records_than_it_may_have() {
    let place = Place::new(u64::MAX);
    let mut table = Table::new(place.clone(), 1000).expect("a table");
    let keys = dense(1001);
    insert(&mut table, keys[..1000].iter().copied());
    let last = keys[1000];
    let refused = table.insert(last, record(last, 1));
    assert!(matches!(refused, Err(Refused::Full(1000))), "{refused:?}");
    assert_eq!(place.read(last), None);
    // What is there may change, and make room.
    table.insert(keys[0], record(keys[0], 2)).expect("room");
    assert!(table.writer_mut().remove(keys[1]).is_some());
    insert(&mut table, [last]);
    assert_eq!(place.read(last), Some(record(last, 1)));
}

#[test]
fn keys_that_meet_get_another_seed_and_not_a_larger_table() {
    let place = Place::new(u64::MAX);
    let mut table = Table::new(place.clone(), 100_000).expect("a table");
    let (_, geometry) = place.current();
    // Five slots' worth of keys with the same two buckets.
    let pair = geometry.pair(0);
    let keys: Vec<u64> = (0..)
        .filter(|key| geometry.pair(*key) == pair)
        .take(9)
        .collect();
    insert(&mut table, keys.iter().copied());
    let (_, renewed) = place.current();
    assert_eq!(renewed.buckets(), geometry.buckets());
    assert_ne!(renewed, geometry);
    assert_eq!(table.renewed(), 1);
    assert!(keys.iter().all(|key| place.read(*key).is_some()));
}

#[test]
fn without_memory_it_goes_on_as_long_as_there_is_room() {
    let place = Place::new(256);
    let mut table = Table::new(place.clone(), 100_000).expect("a table");
    let keys = dense(2000);
    let mut known = HashMap::new();
    let mut refused = None;
    for key in &keys {
        match table.insert(*key, record(*key, 1)) {
            Ok(()) => drop(known.insert(*key, record(*key, 1))),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    assert!(
        matches!(refused, Some(Refused::Starved { .. })),
        "{refused:?}"
    );
    assert!(known.len() > 970, "{}", known.len());
    for (key, record) in &known {
        assert_eq!(place.read(*key), Some(*record));
    }
    place.allow(u64::MAX);
    place.pass(patience::PAUSE);
    insert(&mut table, keys.iter().copied());
    assert_eq!(table.len(), 2000);
}

#[test]
fn a_table_is_adopted_with_its_size() {
    let place = Place::new(u64::MAX);
    let mut table = Table::new(place.clone(), 100_000).expect("a table");
    let keys = dense(3000);
    insert(&mut table, keys.iter().copied());
    drop(table);
    let current = place.current();
    let mut table = Table::adopt(place.clone(), current, 2999).expect("a table");
    assert_eq!((table.sweep(), table.len()), (Swept::default(), 3000));
    let refused = table.insert(1, record(1, 1));
    assert!(matches!(refused, Err(Refused::Full(2999))), "{refused:?}");
    drop(table);
    let mut table = Table::adopt(place.clone(), place.current(), 100_000).expect("a table");
    insert(&mut table, dense(4000));
    assert!(dense(4000).iter().all(|key| place.read(*key).is_some()));
}
