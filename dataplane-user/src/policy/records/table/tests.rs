use dataplane_common::id::Mac;

use super::*;

fn key(last: u16) -> LookupKey {
    let [high, low] = last.to_be_bytes();
    v4_key(1, [10, 0, high, low])
}

fn key6(last: u8) -> LookupKey {
    let mut ca = [0; 16];
    (ca[0], ca[15]) = (0xFD, last);
    v6_key(1, ca)
}

fn record(pa_index: u32, flags: u16) -> LookupRecord {
    LookupRecord {
        vsid: 6001,
        pa_index,
        ifindex: 3,
        mac: Mac([2, 0, 0, 0, 0, 7]),
        flags,
    }
}

fn changes(new: &RecordTable, old: &RecordTable) -> Vec<RecordChange> {
    let mut changes = Vec::new();
    new.each_change(old, |change| changes.push(change));
    changes
}

/// A table and another one with the same records, whose sites have other numbers.
fn twins() -> [RecordTable; 2] {
    let records = [
        (key(1), record(1, 0)),
        (key(2), record(2, LookupRecord::LOCAL)),
        (key(3), record(3, 0)),
        (key6(1), record(3, 0)),
        (key6(2), record(1, 0)),
        (v4_key(2, [10, 0, 0, 1]), record(4, LookupRecord::GATEWAY)),
    ];
    let back = records.iter().rev().copied();
    [records.iter().copied().collect(), back.collect()]
}

#[test]
fn records_come_back_as_they_were() {
    let own = LookupRecord {
        vsid: u32::MAX - 2,
        pa_index: u32::MAX,
        ifindex: u32::MAX - 1,
        mac: Mac([0xFE, 1, 2, 3, 4, 5]),
        flags: u16::MAX,
    };
    for key in [key(9), key6(9)] {
        let [mut table, _] = twins();
        assert_eq!(table.insert(key, own), None);
        assert_eq!((table.get(&key), table.len()), (Some(own), 7));
        assert_eq!(table.insert(key, record(1, 0)), Some(own));
        assert_eq!(table.remove(&key), Some(record(1, 0)));
        assert_eq!((table.remove(&key), table.len()), (None, 6));
        assert!(!table.contains_key(&key));
        assert_eq!(table, twins()[0]);
    }
}

#[test]
fn tables_are_compared_by_what_their_numbers_mean() {
    let [one, two] = twins();
    let numbers = |table: &RecordTable| {
        table.domains[&1]
            .v4
            .get([10, 0, 0, 1])
            .map(|entry| entry.site)
    };
    assert_ne!(numbers(&one), numbers(&two));
    assert_eq!(one, two);
    assert_eq!(changes(&one, &two), []);
    // Their numbers are alike, what they mean is not.
    let only = |record| RecordTable::from_iter([(key(1), record), (key6(1), record)]);
    for other in [
        record(2, 0),
        record(1, LookupRecord::LOCAL),
        LookupRecord {
            vsid: 6002,
            ..record(1, 0)
        },
        LookupRecord {
            ifindex: 4,
            ..record(1, 0)
        },
        LookupRecord {
            mac: Mac([2, 0, 0, 0, 0, 8]),
            ..record(1, 0)
        },
    ] {
        let (new, old) = (only(other), only(record(1, 0)));
        assert_ne!(new, old);
        let puts = [key(1), key6(1)].map(|key| RecordChange::Put(key, other));
        assert_eq!(changes(&new, &old), puts);
    }
}

#[test]
fn changes_make_the_old_table_the_new_one() {
    let [mut new, old] = twins();
    new.insert(key(2), record(9, 0));
    new.insert(key6(2), record(9, 0));
    new.insert(key(4), record(1, 0));
    new.remove(&key(3));
    new.remove(&key6(1));
    new.remove(&v4_key(2, [10, 0, 0, 1]));
    let expected = [
        RecordChange::Put(key(2), record(9, 0)),
        RecordChange::Delete(key(3)),
        RecordChange::Put(key(4), record(1, 0)),
        RecordChange::Delete(key6(1)),
        RecordChange::Put(key6(2), record(9, 0)),
        RecordChange::Delete(v4_key(2, [10, 0, 0, 1])),
    ];
    assert_eq!(changes(&new, &old), expected);
    let mut turned = old;
    for change in expected {
        match change {
            RecordChange::Put(key, record) => drop(turned.insert(key, record)),
            RecordChange::Delete(key) => drop(turned.remove(&key)),
        }
    }
    assert_eq!(turned, new);
}

#[test]
fn copies_that_went_apart_give_a_number_to_different_sites() {
    let [mut one, _] = twins();
    let mut two = one.clone();
    one.insert(key(8), record(8, 0));
    two.insert(key(8), record(9, 0));
    assert_eq!(one.get(&key(8)), Some(record(8, 0)));
    assert_ne!(one, two);
    let put = RecordChange::Put(key(8), record(8, 0));
    assert_eq!(changes(&one, &two), [put]);
    two.insert(key(8), record(8, 0));
    assert_eq!(one, two);
}

#[test]
fn a_known_site_leaves_what_copies_share() {
    let [mut one, _] = twins();
    let two = one.clone();
    one.insert(key(8), record(2, LookupRecord::LOCAL));
    assert!(Arc::ptr_eq(&one.sites, &two.sites));
    assert!(Arc::ptr_eq(&one.lasting().sites, &two.sites));
}

#[test]
fn stations_of_a_pa_are_at_one_site_whatever_their_subnets() {
    let of = |vsid: u16| LookupRecord {
        vsid: 6000 + u32::from(vsid),
        ..record(1, 0)
    };
    let mut table: RecordTable = (0..300).map(|vsid| (key(vsid), of(vsid))).collect();
    assert_eq!(table.sites.len(), 1);
    assert!(table.values().eq((0..300).map(of)));
    table.insert(key(300), record(2, 0));
    assert_eq!(table.sites.len(), 2);
}

#[test]
fn what_is_on_demand_does_not_last() {
    let [mut table, same] = twins();
    let kept = table.clone();
    table.insert(key(7), record(1, LookupRecord::ON_DEMAND));
    table.insert(key6(7), record(1, LookupRecord::ON_DEMAND));
    assert_eq!(table.len(), 8);
    assert_eq!(table.lasting(), kept);
    assert_eq!(table.lasting().len(), 6);
    assert_eq!(changes(&table, &same), []);
    let gone = [key(7), key6(7)].map(RecordChange::Delete);
    let mut held = table.clone();
    // It was in the table always.
    for key in [key(7), key6(7)] {
        held.insert(key, record(1, 0));
    }
    assert_eq!(changes(&table, &held), gone);
    let on_demand = |_: &LookupKey, record: &LookupRecord| record.has(LookupRecord::ON_DEMAND);
    assert_eq!(table.take(1, on_demand).len(), 1);
    assert_eq!(table.take(usize::MAX, on_demand).len(), 1);
    assert_eq!(table, kept);
}

#[test]
fn sites_that_no_record_is_at_are_forgotten() {
    let [mut table, _] = twins();
    for pa_index in 0..20_000 {
        table.insert(key(5), record(pa_index, 0));
        assert!(table.sites.len() < SPARE + 2 * table.len());
        assert_eq!(table.get(&key(5)), Some(record(pa_index, 0)));
    }
    table.remove(&key(5));
    assert_eq!(table, twins()[0]);
    // Of many records with sites of their own few are left.
    let records = (0..10_000).map(|last| (key(last), record(last.into(), 0)));
    let mut many: RecordTable = records.collect();
    assert_eq!(many.sites.len(), 10_000);
    for last in 10..10_000 {
        assert_eq!(many.remove(&key(last)), Some(record(last.into(), 0)));
    }
    assert!(many.sites.len() < SPARE + 2 * many.len());
    assert!((0..10).all(|last| many.get(&key(last)) == Some(record(last.into(), 0))));
}
