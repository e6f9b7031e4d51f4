//! When a table becomes another one, and when it waits with that.

use std::time::Duration;

use super::{
    patience::{PAUSE, SPARSE},
    table::{Place, insert},
    *,
};

/// As a commit does it that brings one record at a time.
#[test]
fn single_records_after_very_many_do_not_copy_the_table_each_time() {
    let place = Place::new(u64::MAX);
    let mut table = Table::new(place, 1 << 24).expect("a table");
    table.reserve(20_000).expect("room");
    let keys = dense(40_000);
    for key in &keys {
        table.reserve(1).expect("room");
        insert(&mut table, [*key]);
    }
    // 20,000, and then by three eighths at a time.
    assert!(table.renewed() <= 4, "{}", table.renewed());
    let most = comfortable_slots(40_000) * 11 / 8 + 8;
    assert!(table.writer().capacity() <= most);
}

#[test]
fn what_is_reserved_is_no_more_than_it_may_have() {
    let place = Place::new(u64::MAX);
    let mut table = Table::new(place, 5000).expect("a table");
    table.reserve(1 << 40).expect("room");
    assert!(table.writer().capacity() <= comfortable_slots(5000));
}

/// Slots that so many records fill comfortably, in even buckets.
fn comfortable_slots(records: u64) -> u64 {
    (records * 16).div_ceil(60).next_multiple_of(2) * 4
}

#[test]
fn memory_is_not_asked_for_at_each_record_that_has_no_room() {
    let place = Place::new(256);
    let mut table = Table::new(place.clone(), 100_000).expect("a table");
    let keys = dense(3000);
    let mut refuse = || {
        let done = keys.iter().map(|key| table.insert(*key, record(*key, 1)));
        let refused = done.filter_map(Result::err);
        for error in refused {
            assert!(matches!(error, Refused::Starved { .. }), "{error}");
            assert!(error.to_string().contains("cannot grow"), "{error}");
        }
        table.len()
    };
    let len = refuse();
    assert!((970..=990).contains(&len), "{len}");
    assert_eq!(place.asked(), 2, "the first table, and one more");
    assert_eq!(refuse(), len);
    assert_eq!(place.asked(), 2);
    place.pass(PAUSE);
    assert_eq!(refuse(), len);
    assert_eq!(place.asked(), 3, "once more, as time has passed");
}

#[test]
fn a_table_that_cannot_grow_takes_updates_all_the_same() {
    let place = Place::new(256);
    let mut table = Table::new(place.clone(), 100_000).expect("a table");
    let keys = dense(2000);
    let taken: Vec<u64> = keys
        .into_iter()
        .filter(|key| table.insert(*key, record(*key, 1)).is_ok())
        .collect();
    let (mut all, mut refused) = (0, 0);
    for n in 2..20 {
        for key in &taken {
            all += 1;
            // One in many thousands finds no slot, with some seeds: who writes removes it then.
            if table.insert(*key, record(*key, n)).is_err() {
                refused += 1;
                table.writer_mut().remove(*key);
                assert!(table.insert(*key, record(*key, n)).is_ok(), "its own slot");
            }
            assert_eq!(place.read(*key), Some(record(*key, n)));
        }
    }
    assert!(refused * 1000 < all, "{refused} of {all}");
}

#[test]
fn a_refused_update_is_told_and_leaves_nothing_stale_if_removed() {
    let place = Place::new(256);
    let mut table = Table::new(place.clone(), 100_000).expect("a table");
    let keys = dense(2000);
    let batch: Vec<_> = keys.iter().map(|key| (*key, record(*key, 1))).collect();
    let mut refused = Vec::new();
    table.write(&batch, |table, key, _| {
        table.writer_mut().remove(key);
        refused.push(key);
    });
    assert_eq!(refused.len() as u64 + table.len(), 2000);
    for key in keys {
        assert_eq!(place.read(key).is_none(), refused.contains(&key));
    }
    table.erase(&dense(2000));
    assert!(table.is_empty());
}

#[test]
fn another_seed_for_one_record_is_tried_once_in_a_while() {
    let place = Place::new(256);
    let mut table = Table::new(place.clone(), 900).expect("a table");
    let mut provoke = || {
        let (_, geometry) = place.current();
        let pair = geometry.pair(0);
        let meet = (0..).filter(|key| geometry.pair(*key) == pair);
        let keys: Vec<u64> = meet.take(9).collect();
        let done: Vec<_> = keys
            .iter()
            .map(|key| table.insert(*key, record(*key, 1)))
            .collect();
        for key in keys {
            table.writer_mut().remove(key);
        }
        (done.into_iter().find_map(Result::err), table.renewed())
    };
    assert!(matches!(provoke(), (None, 1)));
    let (refused, renewed) = provoke();
    let refused = refused.expect("no room");
    assert!(matches!(refused, Refused::Crowded(_)), "{refused}");
    assert!(refused.to_string().contains("another hash"), "{refused}");
    assert_eq!(renewed, 1);
    place.pass(PAUSE);
    assert!(matches!(provoke(), (None, 2)));
}

#[test]
fn a_table_that_was_too_large_for_long_becomes_a_smaller_one() {
    let place = Place::new(u64::MAX);
    let mut table = Table::new(place.clone(), 1 << 20).expect("a table");
    table.reserve(30_000).expect("room");
    let keys = dense(30_000);
    insert(&mut table, keys.iter().copied());
    let (kept, gone) = keys.split_at(2000);
    let large = table.writer().capacity();
    table.tend().expect("well");
    table.erase(gone);
    table.tend().expect("well");
    place.pass(SPARSE.saturating_sub(Duration::from_secs(1)));
    table.tend().expect("well");
    assert_eq!(table.writer().capacity(), large, "not yet");
    // It was in use in between: that is not for long.
    insert(&mut table, gone.iter().copied());
    table.tend().expect("well");
    table.erase(gone);
    place.pass(SPARSE);
    table.tend().expect("well");
    assert_eq!(table.writer().capacity(), large, "not yet");
    place.pass(SPARSE);
    table.tend().expect("well");
    assert!(table.writer().capacity() < 5000);
    assert!(kept.iter().all(|key| place.read(*key).is_some()));
    let renewed = table.renewed();
    place.pass(SPARSE);
    table.tend().expect("well");
    insert(&mut table, dense(3500));
    assert_eq!(table.renewed(), renewed, "neither smaller again nor larger");
}

#[test]
fn a_table_that_somebody_else_replaced_is_not_replaced_again() {
    let place = Place::new(u64::MAX);
    let mut table = Table::new(place.clone(), 100_000).expect("a table");
    insert(&mut table, dense(900));
    table.tend().expect("well");
    let other = Table::new(place.clone(), 100_000).expect("a table");
    let current = place.current().1;
    assert!(matches!(table.check(), Err(Refused::Foreign)));
    assert!(matches!(table.tend(), Err(Refused::Foreign)));
    let refused = table.reserve(10_000);
    assert!(matches!(refused, Err(Refused::Foreign)), "{refused:?}");
    assert_eq!(place.current().1, current);
    other.check().expect("the other one's");
}

/// What programs write while the next table is filled and before it is the current one.
#[test]
fn stamps_that_are_written_during_growth_are_taken_along() {
    let (old, new) = (memory(256), memory(512));
    let (from, to) = (geometry(256), geometry(512));
    let mut from = Writer::new(Shared(&old), from).expect("fits");
    let mut to = Writer::new(Shared(&new), to).expect("fits");
    for key in [1, 2, 3] {
        let mut record = record(key, 1);
        record.flags = if key == 3 { 0 } else { LookupRecord::ON_DEMAND };
        from.insert(key, record).expect("room");
        from.stamp(key, 0xfff0);
    }
    assert_eq!(copy::copy(&from, &mut to), Ok(true));
    from.stamp(1, 5);
    from.stamp(2, 5);
    from.stamp(3, 5);
    // Looked up in the new one since.
    to.stamp(2, 7);
    copy::restamp(&from, &mut to);
    let stamp = |key| to.get(key).map(|entry| entry.stamp);
    assert_eq!([1, 2, 3].map(stamp), [5, 7, 0xfff0].map(Some));
}

#[test]
fn adoption_changes_nothing_before_it_is_decided() {
    let (words, geometry) = (memory(4), geometry(4));
    let mut writer = Writer::new(Shared(&words), geometry).expect("fits");
    writer.insert(9, record(9, 1)).expect("room");
    let pair = geometry.pair(9);
    let place = slots::Place {
        bucket: pair.alternate,
        slot: 3,
    };
    let entry = Entry {
        key: 9,
        record: record(9, 2),
        stamp: 0,
    };
    writer.slots.spill(pair.home);
    writer.slots.fill(place, &entry);
    writer.slots.flip(place.bucket, place.bit(), 0);
    let look = || {
        words
            .iter()
            .map(|w| w.load(std::sync::atomic::Ordering::Relaxed))
    };
    let before: Vec<u64> = look().collect();
    let (mut writer, found) = Writer::examine(Shared(&words), geometry).expect("fits");
    assert_eq!((found.duplicates, writer.len()), (1, 1));
    assert!(look().eq(before.iter().copied()));
    writer.sweep();
    assert!(!look().eq(before));
    assert_eq!(read(&Shared(&words), &geometry, 9), Some(record(9, 1)));
    assert_eq!(writer.entries().count(), 1);
}
