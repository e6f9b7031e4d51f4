//! Any operations, against the standard library's table.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Op {
    Insert(usize, u32),
    Remove(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let insert = (any::<usize>(), any::<u32>()).prop_map(|(key, n)| Op::Insert(key, n));
    let remove = any::<usize>().prop_map(Op::Remove);
    prop::collection::vec(prop_oneof![4 => insert, 1 => remove], 1..400)
}

/// Performs the operations on both and compares after each; returns how often the table was full.
fn compare(buckets: u64, keys: &[u64], ops: &[Op]) -> u32 {
    let (words, geometry) = (memory(buckets), geometry(buckets));
    let shared = Shared(&words);
    let mut writer = Writer::new(shared, geometry).expect("fits");
    let mut model = HashMap::new();
    let mut full = 0;
    for op in ops {
        match *op {
            Op::Insert(key, n) => {
                let key = keys[key % keys.len()];
                match writer.insert(key, record(key, n)) {
                    Ok(()) => drop(model.insert(key, record(key, n))),
                    Err(Full { len, .. }) => {
                        assert_eq!(len, model.len() as u64);
                        full += 1;
                    }
                }
            }
            Op::Remove(key) => {
                let key = keys[key % keys.len()];
                let removed = writer.remove(key).map(|entry| entry.record);
                assert_eq!(removed, model.remove(&key));
            }
        }
        for key in keys {
            assert_eq!(read(&shared, &geometry, *key), model.get(key).copied());
        }
        assert_eq!(writer.len(), model.len() as u64);
    }
    let entries = |writer: &Writer<Shared>| -> HashMap<u64, LookupRecord> {
        let entries: Vec<_> = writer.entries().collect();
        assert_eq!(entries.len(), model.len(), "each key once");
        entries.iter().map(|e| (e.key, e.record)).collect()
    };
    assert_eq!(entries(&writer), model);
    let (adopted, swept) = adopted(shared, geometry).expect("fits");
    assert_eq!(swept, Swept::default());
    assert_eq!(adopted.len(), model.len() as u64);
    assert_eq!(entries(&adopted), model);
    full
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn few_buckets_and_more_keys_than_slots(bits in 1_u32..5, ops in ops()) {
        compare(1 << bits, &dense(5 << bits), &ops);
    }

    #[test]
    fn many_buckets(ops in ops()) {
        prop_assert_eq!(compare(1 << 10, &dense(64), &ops), 0);
    }

    #[test]
    fn keys_that_share_a_home(bits in 1_u32..8, ops in ops()) {
        let keys = hostile(&geometry(1 << bits), 24);
        compare(1 << bits, &keys, &ops);
    }
}

/// Keys of one pair of buckets fill these and no more, whatever the table's size.
#[test]
fn a_full_pair_refuses_and_keeps_what_it_has() {
    let (words, geometry) = (memory(256), geometry(256));
    let mut writer = Writer::new(Shared(&words), geometry).expect("fits");
    let pair = geometry.pair(1);
    let keys: Vec<u64> = (0..)
        .filter(|key| geometry.pair(*key) == pair)
        .take(9)
        .collect();
    for key in &keys[..8] {
        writer
            .insert(*key, record(*key, 1))
            .expect("room for eight");
    }
    let full = Full {
        len: 8,
        slots: 1024,
    };
    assert_eq!(writer.insert(keys[8], record(keys[8], 1)), Err(full));
    assert_eq!(writer.insert(keys[0], record(keys[0], 2)), Err(full));
    assert_eq!(
        read(&Shared(&words), &geometry, keys[0]),
        Some(record(keys[0], 1))
    );
    assert_eq!(
        writer.insert(keys[0], record(keys[0], 1)),
        Ok(()),
        "nothing to write"
    );
    writer.remove(keys[5]).expect("is there");
    assert_eq!(writer.insert(keys[0], record(keys[0], 2)), Ok(()));
    assert_eq!(
        read(&Shared(&words), &geometry, keys[0]),
        Some(record(keys[0], 2))
    );
}

#[test]
fn nine_tenths_of_the_slots_can_be_used() {
    for seed in 1..=4 {
        let (words, geometry) = (memory(1 << 12), geometry(1 << 12));
        let mut writer = Writer::new(Shared(&words), geometry).expect("fits");
        let mut random = Random(seed);
        let full = loop {
            random.below(1);
            let key = random.0;
            if let Err(full) = writer.insert(key, record(key, 0)) {
                break full;
            }
        };
        println!("full at {} of {} slots", full.len, full.slots);
        assert!(full.len * 10 >= full.slots * 9, "{full}");
    }
}

#[test]
fn an_update_keeps_the_stamp() {
    let (words, geometry) = (memory(2), geometry(2));
    let mut writer = Writer::new(Shared(&words), geometry).expect("fits");
    for key in 0..6 {
        writer.insert(key, record(key, 1)).expect("room");
    }
    for (bucket, stamps) in [0x0004_0003_0002_0001, 0x0008_0007_0006_0005]
        .iter()
        .enumerate()
    {
        words[bucket * WORDS + 1].store(*stamps, std::sync::atomic::Ordering::Relaxed);
    }
    let stamps = |writer: &Writer<Shared>| {
        [0, 1, 2, 3, 4, 5].map(|k| writer.get(k).expect("is there").stamp)
    };
    let before = stamps(&writer);
    for n in 2..9 {
        for key in 0..6 {
            writer.insert(key, record(key, n)).expect("room");
        }
    }
    assert_eq!(stamps(&writer), before);
    writer.remove(3);
    writer.insert(3, record(3, 1)).expect("room");
    assert_eq!(writer.get(3).expect("is there").stamp, 0);
}

#[test]
fn memory_of_another_size_is_refused() {
    let words = memory(4);
    let misfit = Writer::new(Shared(&words), geometry(8)).err();
    assert_eq!(
        misfit,
        Some(Misfit {
            buckets: 8,
            words: 64
        })
    );
    let shown = misfit.map(|misfit| misfit.to_string());
    assert_eq!(
        shown.as_deref(),
        Some("8 buckets need 128 words of memory, not 64")
    );
}
