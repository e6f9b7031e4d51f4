//! A writer that stopped between any two stores, and damage.

use super::history::History;
use super::*;

#[test]
fn every_prefix_is_readable_and_adopted() {
    let mut duplicates = 0;
    for (buckets, keys, operations) in [
        (2, dense(8), 150),
        (8, dense(31), 400),
        (4, hostile(&geometry(4), 12), 200),
    ] {
        let history = History::make(buckets, keys, operations, 7);
        for count in 0..=history.stores.len() {
            duplicates += cut(&history, count);
        }
    }
    println!("{duplicates} duplicates swept");
    assert!(duplicates > 0, "some stop must have left two copies");
}

/// The table after `count` stores, before and after adoption; returns the duplicates swept.
fn cut(history: &History, count: usize) -> u64 {
    let words = history.words(count);
    let (shared, geometry) = (Shared(&words), geometry(history.buckets));
    let look = || -> Vec<_> {
        let keys = history.keys.iter();
        keys.map(|key| read(&shared, &geometry, *key)).collect()
    };
    let before = look();
    for (key, found) in history.keys.iter().zip(&before) {
        let allowed = history.allowed(*key, count, count);
        assert!(allowed.contains(found), "{key:#x} after {count}: {found:?}");
    }
    let (mut writer, swept) = adopted(shared, geometry).expect("fits");
    assert_eq!(look(), before, "after {count}: adoption changes no answer");
    assert_eq!(writer.len(), before.iter().flatten().count() as u64);
    assert_eq!(writer.entries().count() as u64, writer.len());
    assert_eq!(swept.strays, 0);
    for key in &history.keys {
        writer.remove(*key);
    }
    assert!(writer.is_empty() && look().iter().all(Option::is_none));
    swept.duplicates
}

#[test]
fn copies_in_one_bucket_and_entries_out_of_reach_are_swept() {
    let (words, geometry) = (memory(4), geometry(4));
    let writer = Writer::new(Shared(&words), geometry).expect("fits");
    let key = (0..100)
        .find(|key| geometry.pair(*key).home == 0)
        .expect("one");
    let pair = geometry.pair(key);
    let neither = (0..4).find(|b| *b != pair.home && *b != pair.alternate);
    let put = |bucket, slot, n| {
        let place = slots::Place { bucket, slot };
        let record = record(key, n);
        writer.slots.fill(
            place,
            &Entry {
                key,
                record,
                stamp: 0,
            },
        );
        writer.slots.flip(bucket, place.bit(), 0);
    };
    put(neither.expect("four less two"), 0, 1);
    put(pair.alternate, 2, 2);
    put(pair.home, 1, 3);
    put(pair.home, 3, 4);
    let (writer, swept) = adopted(Shared(&words), geometry).expect("fits");
    // Home has not spilled: the copy in the alternate is out of reach as well.
    assert_eq!(
        swept,
        Swept {
            duplicates: 1,
            strays: 2
        }
    );
    assert_eq!(writer.len(), 1);
    assert_eq!(read(&Shared(&words), &geometry, key), Some(record(key, 3)));
}
