use super::*;
use crate::id::Mac;
use core::cell::Cell;

/// Buckets at rest, but for what a test does to them after a number of loads.
struct Table<'t> {
    buckets: &'t [[Cell<u64>; bucket::WORDS]],
    loads: &'t Cell<u32>,
    upset: &'t dyn Fn(u32),
}

struct One<'t> {
    words: &'t [Cell<u64>; bucket::WORDS],
    loads: &'t Cell<u32>,
    upset: &'t dyn Fn(u32),
}

impl<'t> Buckets for Table<'t> {
    type Bucket = One<'t>;

    fn bucket(&self, index: u32) -> Option<One<'t>> {
        let words = self.buckets.get(index as usize)?;
        let (loads, upset) = (self.loads, self.upset);
        Some(One {
            words,
            loads,
            upset,
        })
    }
}

impl Bucket for One<'_> {
    fn control(&self) -> u64 {
        self.word(bucket::CONTROL)
    }

    fn word(&self, index: usize) -> u64 {
        self.loads.set(self.loads.get() + 1);
        (self.upset)(self.loads.get());
        self.words[index].get()
    }

    fn control_again(&self) -> u64 {
        self.word(bucket::CONTROL)
    }
}

const EMPTY: LookupRecord = LookupRecord::negative(0);

fn record(n: u32) -> LookupRecord {
    LookupRecord {
        vsid: n,
        pa_index: n + 1,
        ifindex: n + 2,
        mac: Mac([3; 6]),
        flags: 4,
    }
}

fn geometry() -> Geometry {
    Geometry::new([5, 6, 7], 2).expect("a good size")
}

fn buckets() -> [[Cell<u64>; bucket::WORDS]; 2] {
    Default::default()
}

fn put(words: &[Cell<u64>; bucket::WORDS], slot: u32, key: u64, record: LookupRecord) {
    let (head, tail) = bucket::split(record);
    let (word, shift) = bucket::head(slot);
    words[bucket::key(slot)].set(key);
    words[word].set(words[word].get() & !(0xffff_ffff << shift) | u64::from(head) << shift);
    words[bucket::tail(slot)].set(tail[0]);
    words[bucket::tail(slot) + 1].set(tail[1]);
    flip(words, 1 << slot, 0);
}

fn flip(words: &[Cell<u64>; bucket::WORDS], set: u64, clear: u64) {
    words[0].set(bucket::flipped(words[0].get(), set, clear));
}

fn look(buckets: &[[Cell<u64>; 16]], key: u64, upset: &dyn Fn(u32)) -> (Answer, LookupRecord) {
    let loads = Cell::new(0);
    let table = Table {
        buckets,
        loads: &loads,
        upset,
    };
    let mut found = EMPTY;
    let answer = lookup(&table, &geometry(), key, &mut found);
    (answer, found)
}

#[test]
fn each_slot_of_both_buckets_answers() {
    let pair = geometry().pair(9);
    for at in [pair.home, pair.alternate] {
        for slot in 0..SLOTS {
            let buckets = buckets();
            flip(&buckets[pair.home as usize], SPILLED, 0);
            put(&buckets[at as usize], slot, 9, record(slot));
            let (answer, found) = look(&buckets, 9, &|_| ());
            assert!(answer.is_hit());
            assert_eq!((answer.bucket(pair), answer.slot()), (at, slot));
            assert_eq!(found, record(slot));
        }
    }
}

#[test]
fn the_lowest_of_two_copies_is_picked() {
    let buckets = buckets();
    let home = &buckets[geometry().pair(9).home as usize];
    for slot in [1, 2, 3] {
        put(home, slot, 9, record(10 * slot));
    }
    assert_eq!(look(&buckets, 9, &|_| ()).1, record(10));
    flip(home, 0, 0b10);
    assert_eq!(look(&buckets, 9, &|_| ()).1, record(20));
}

#[test]
fn what_is_not_valid_is_not_there() {
    let buckets = buckets();
    let pair = geometry().pair(9);
    put(&buckets[pair.home as usize], 2, 9, record(1));
    flip(&buckets[pair.home as usize], SPILLED, 0b100);
    assert_eq!(look(&buckets, 9, &|_| ()).0, Answer::MISS);
    assert_eq!(look(&buckets, 0, &|_| ()).0, Answer::MISS);
}

#[test]
fn the_alternate_is_read_only_if_home_has_spilled() {
    let buckets = buckets();
    let pair = geometry().pair(9);
    put(&buckets[pair.alternate as usize], 0, 9, record(1));
    assert_eq!(look(&buckets, 9, &|_| ()).0, Answer::MISS);
    flip(&buckets[pair.home as usize], SPILLED, 0);
    assert!(look(&buckets, 9, &|_| ()).0.is_hit());
}

#[test]
fn a_bucket_that_always_changes_is_busy() {
    let buckets = buckets();
    let pair = geometry().pair(9);
    for change in [pair.home, pair.alternate] {
        for found in [false, true] {
            if found {
                put(&buckets[change as usize], 0, 9, record(1));
            }
            flip(&buckets[pair.home as usize], SPILLED, 0);
            let changing = &buckets[change as usize];
            let (answer, _) = look(&buckets, 9, &|_| flip(changing, 0, 0));
            assert_eq!(answer, Answer::BUSY, "{change} {found}");
            flip(changing, 0, VALID);
        }
    }
}

#[test]
fn a_table_that_is_too_small_is_busy() {
    assert_eq!(look(&[], 9, &|_| ()).0, Answer::BUSY);
}

/// The record is replaced and its slot reused at each load in turn; the answer is whole.
#[test]
fn a_slot_reused_during_the_look_up_is_noticed() {
    for at in 1..=12 {
        let buckets = buckets();
        let home = &buckets[geometry().pair(9).home as usize];
        put(home, 0, 9, record(100));
        let (answer, found) = look(&buckets, 9, &|load| {
            if load == at {
                put(home, 1, 9, record(200));
                flip(home, 0, 0b01);
                put(home, 0, 8, record(300));
            }
        });
        assert!(answer.is_hit(), "at load {at}");
        assert!(
            found == record(100) || found == record(200),
            "at load {at}: {found:?}"
        );
    }
}

/// The key's slot in the alternate is reused by another key while the keys are compared.
#[test]
fn a_change_in_the_alternate_alone_is_no_miss() {
    let pair = geometry().pair(9);
    for at in 1..=14 {
        let buckets = buckets();
        let there = &buckets[pair.alternate as usize];
        flip(&buckets[pair.home as usize], SPILLED, 0);
        put(there, 0, 9, record(100));
        let (answer, found) = look(&buckets, 9, &|load| {
            if load == at {
                put(there, 1, 9, record(200));
                flip(there, 0, 0b01);
                put(there, 0, 8, record(300));
            }
        });
        assert!(answer.is_hit(), "at load {at}: {answer:?}");
        assert!(
            found == record(100) || found == record(200),
            "at load {at}: {found:?}"
        );
    }
}
