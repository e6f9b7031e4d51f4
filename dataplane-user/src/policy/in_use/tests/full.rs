//! A full table.

use super::*;

#[test]
fn a_full_table_costs_the_tenant_that_has_most_of_it() {
    let start = Instant::now();
    let mut in_use = InUse::new(LIVES, 6);
    let mut table = whole(&[(1, record(2)), (2, record(2)), (3, record(2))]);
    let other = LookupKey { rdid: 2, ..key(1) };
    table.lookup.insert(other, record(3));
    in_use.ask(&table, (other, 7001), start);
    for (second, last) in [(3, 1), (1, 2), (2, 3)] {
        let now = start + Duration::from_secs(second);
        in_use.ask(&table, (key(last), 6001), now);
    }
    assert!(in_use.is_over());
    assert_eq!(
        in_use.evict(None),
        Some(key(2)),
        "of the larger one, the oldest"
    );
    assert_eq!(in_use.by_domain(), [(1, (2, 0)), (2, (1, 0))].into());
    assert!(!in_use.is_over());
    let rest = [in_use.evict(None), in_use.evict(None), in_use.evict(None)];
    assert!(rest.iter().all(Option::is_some));
    assert_eq!(in_use.evict(None), None);
}

#[test]
fn the_record_that_is_being_written_is_not_the_one_that_goes() {
    let start = Instant::now();
    let mut in_use = InUse::new(LIVES, 64);
    let table = whole(&[(1, record(2)), (2, record(2))]);
    for last in [1, 2] {
        in_use.ask(&table, (key(last), 6001), start);
    }
    // A negative answer is due first of all.
    in_use.ask(&table, (key(9), 6001), start);
    assert_eq!(in_use.evict(Some(key(9))), Some(key(1)));
    assert_eq!(in_use.counts(), (1, 1));
}

#[test]
fn records_that_are_always_there_get_their_room_and_nothing_else_goes_meanwhile() {
    let start = Instant::now();
    let mut in_use = InUse::new(LIVES, 8);
    let mut table = whole(&[
        (1, record(2)),
        (2, record(2)),
        (3, record(2)),
        (4, record(2)),
    ]);
    for last in 1..=4 {
        in_use.ask(&table, (key(last), 6001), start);
    }
    assert!(!in_use.is_over());
    let always = LookupRecord {
        flags: 0,
        ..record(2)
    };
    for last in 1..=6 {
        let other = LookupKey {
            rdid: 2,
            ..key(last)
        };
        table.lookup.insert(other, always);
    }
    assert_eq!(in_use.reserve(&table), [key(1), key(2)]);
    assert_eq!(in_use.evict(None), None, "held still");
    assert_eq!(in_use.follow(&table), []);
    assert_eq!(in_use.evict(None), Some(key(3)));
}
