use dataplane_common::id::{Address, Mac};

use super::*;

mod full;

const LIVES: Lives = Lives {
    idle: Duration::from_mins(1),
    negative: Duration::from_secs(2),
    negatives: 3,
};

fn key(last: u8) -> LookupKey {
    LookupKey {
        rdid: 1,
        ca: Address::v4([10, 0, 0, last]),
    }
}

fn record(pa_index: u32) -> LookupRecord {
    LookupRecord {
        vsid: 6001,
        pa_index,
        ifindex: 0,
        mac: Mac([2, 0, 0, 0, 0, 7]),
        flags: LookupRecord::ON_DEMAND,
    }
}

fn whole(records: &[(u8, LookupRecord)]) -> TableImage {
    let mut image = TableImage::default();
    let keyed = records.iter().map(|(last, record)| (key(*last), *record));
    image.lookup.extend(keyed);
    image
}

#[test]
fn an_idle_record_goes_and_a_used_one_stays() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut in_use = InUse::new(LIVES, 64);
    let table = whole(&[(7, record(2)), (8, record(2))]);
    for last in [7, 8] {
        let answer = in_use.ask(&table, (key(last), 6001), start);
        assert_eq!(answer, Answer::Write(record(2)));
    }
    assert_eq!(in_use.expire(at(59), 9, |_| unreachable!()).0, []);
    // One had its last hit 10 s before.
    let hit = |k: &LookupKey| Duration::from_secs(if *k == key(7) { 10 } else { 60 });
    assert_eq!(in_use.expire(at(60), 9, hit).0, [key(8)]);
    assert_eq!(in_use.counts(), (1, 0));
    assert_eq!(in_use.expire(at(109), 9, |_| unreachable!()).0, []);
    let idle = |_: &LookupKey| Duration::from_mins(1);
    assert_eq!(in_use.expire(at(110), 9, idle).0, [key(7)]);
    assert_eq!(in_use.counts(), (0, 0));
    assert!(in_use.domains.is_empty());
}

#[test]
fn a_negative_answer_stands_its_time_however_often_it_is_given() {
    let start = Instant::now();
    let mut in_use = InUse::new(LIVES, 64);
    let table = whole(&[]);
    let negative = Answer::Write(LookupRecord::negative(6001));
    for _ in 0..5 {
        assert_eq!(in_use.ask(&table, (key(9), 6001), start), negative);
    }
    assert_eq!(in_use.counts(), (0, 1));
    let soon = start + Duration::from_secs(1);
    assert_eq!(in_use.expire(soon, 9, |_| unreachable!()).0, []);
    let over = start + LIVES.negative;
    assert_eq!(in_use.expire(over, 9, |_| unreachable!()).0, [key(9)]);
}

#[test]
fn a_scan_takes_no_more_room_than_its_routing_domain_has() {
    let start = Instant::now();
    let mut in_use = InUse::new(LIVES, 64);
    let table = whole(&[]);
    for last in 0..=255 {
        let answer = in_use.ask(&table, (key(last), 6001), start);
        assert_eq!(answer == Answer::Nobody, last >= 3, "{last}");
    }
    let other = LookupKey { rdid: 2, ..key(9) };
    let answer = in_use.ask(&table, (other, 7001), start);
    assert_eq!(answer, Answer::Write(LookupRecord::negative(7001)));
    assert_eq!(in_use.by_domain(), [(1, (0, 3)), (2, (0, 1))].into());
}

#[test]
fn a_change_reaches_what_is_in_use_and_nothing_else() {
    let start = Instant::now();
    let mut in_use = InUse::new(LIVES, 64);
    let before = whole(&[(7, record(2)), (8, record(2)), (9, record(2))]);
    for last in [7, 8, 44] {
        in_use.ask(&before, (key(last), 6001), start);
    }
    assert_eq!(in_use.follow(&before), []);
    // 7 moves, 8 goes, 9 moves but nobody uses it, 44 comes to be.
    let after = whole(&[(7, record(3)), (9, record(3)), (44, record(3))]);
    let mut changes = in_use.follow(&after);
    changes.sort_by_key(|change| match change {
        Change::Put(key, _) | Change::Delete(key) => *key,
    });
    let expected = [
        Change::Put(key(7), record(3)),
        Change::Delete(key(8)),
        Change::Put(key(44), record(3)),
    ];
    assert_eq!(changes, expected);
    assert_eq!(in_use.counts(), (2, 0));
    assert_eq!(in_use.follow(&after), []);
}

#[test]
fn what_is_in_the_table_always_is_let_go() {
    let start = Instant::now();
    let mut in_use = InUse::new(LIVES, 64);
    in_use.ask(&whole(&[(7, record(2))]), (key(7), 6001), start);
    let full = LookupRecord {
        flags: 0,
        ..record(2)
    };
    let after = whole(&[(7, full)]);
    assert_eq!(in_use.follow(&after), [Change::Put(key(7), full)]);
    assert_eq!(in_use.counts(), (0, 0));
    let empty = |domain: &Domain| domain.due.is_empty();
    assert!(in_use.domains.values().all(empty));
}

#[test]
fn what_was_in_the_table_always_stays_until_nobody_uses_it() {
    let start = Instant::now();
    let mut in_use = InUse::new(LIVES, 4);
    let always = |pa| LookupRecord {
        flags: 0,
        ..record(pa)
    };
    let mut image = whole(&[
        (1, always(2)),
        (2, always(2)),
        (3, always(2)),
        (9, always(2)),
    ]);
    let after = whole(&[
        (1, record(2)),
        (2, record(3)),
        (3, record(2)),
        (9, always(2)),
    ]);
    in_use.take_over(&mut image, &after, start);
    // Two find room; the third is removed by the difference of the images.
    assert_eq!(image, whole(&[(3, always(2)), (9, always(2))]));
    let changes = [
        Change::Put(key(1), record(2)),
        Change::Put(key(2), record(3)),
    ];
    assert_eq!(in_use.follow(&after), changes);
    assert_eq!(in_use.counts(), (2, 0));
}

#[test]
fn what_an_earlier_nved_left_is_adopted() {
    let start = Instant::now();
    let mut in_use = InUse::new(LIVES, 64);
    let local = LookupRecord {
        flags: LookupRecord::LOCAL,
        ..record(1)
    };
    let negative = LookupRecord::negative(6001);
    let mut image = whole(&[(5, local), (7, record(2)), (9, negative)]);
    in_use.adopt(&mut image, start);
    assert_eq!(image, whole(&[(5, local)]));
    assert_eq!(in_use.counts(), (1, 1));
}

#[test]
fn many_tenants_that_scan_leave_most_of_the_table_to_records() {
    let start = Instant::now();
    let mut in_use = InUse::new(LIVES, 40);
    let table = whole(&[]);
    for rdid in 1..=20 {
        for last in 0..3 {
            let key = LookupKey { rdid, ..key(last) };
            in_use.ask(&table, (key, 6001), start);
        }
    }
    // Half of what is free at most, so that the twentieth finds some as the first did.
    let (_, all) = in_use.counts();
    assert!(all <= 10, "{all}");
    assert!(
        in_use.by_domain().contains_key(&5),
        "{:?}",
        in_use.by_domain()
    );
}
