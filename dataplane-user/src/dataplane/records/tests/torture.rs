//! A reader against a writer at full speed, on the machine as it is.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use dataplane_common::records::read::Bucket;

use super::memory::Words;
use super::*;

/// A reader that checks versions, or one that believes they never change.
struct Reader<'m, const CHECK: bool>(Shared<'m>);

struct One<'m, const CHECK: bool> {
    words: Words<'m>,
    control: Cell<u64>,
}

impl<'m, const CHECK: bool> Buckets for Reader<'m, CHECK> {
    type Bucket = One<'m, CHECK>;

    fn bucket(&self, index: u32) -> Option<One<'m, CHECK>> {
        let words = self.0.bucket(index)?;
        let control = Cell::new(0);
        Some(One { words, control })
    }
}

impl<const CHECK: bool> Bucket for One<'_, CHECK> {
    fn control(&self) -> u64 {
        self.control.set(self.words.control());
        self.control.get()
    }

    fn word(&self, index: usize) -> u64 {
        self.words.word(index)
    }

    fn control_again(&self) -> u64 {
        if CHECK {
            self.words.control_again()
        } else {
            self.control.get()
        }
    }
}

/// A table under load.
struct Scene {
    buckets: u64,
    /// Keys that are always there.
    present: u64,
    /// Keys that come and go.
    passing: u64,
}

const HOT: Scene = Scene {
    buckets: 2,
    present: 3,
    passing: 0,
};
const CROWDED: Scene = Scene {
    buckets: 64,
    present: 225,
    passing: 20,
};

#[derive(Default, Debug)]
struct Tally {
    looked: u64,
    busy: u64,
    torn: u64,
    /// Records older than the one read of the key before.
    fallen: u64,
    missed: u64,
    written: u64,
    full: u64,
    moves: u64,
}

impl Scene {
    /// Reads until the deadline, or until an answer is wrong.
    fn run<const CHECK: bool>(&self, lasting: Duration) -> Tally {
        let words = memory(self.buckets);
        let geometry = geometry(self.buckets);
        let keys = dense(self.present + self.passing);
        let mut writer = Writer::new(Shared(&words), geometry).expect("fits");
        let (present, passing) = keys.split_at(usize::try_from(self.present).expect("few"));
        for key in present {
            writer.insert(*key, record(*key, 0)).expect("room");
        }
        let (stop, start) = (AtomicBool::new(false), Barrier::new(2));
        let tally = thread::scope(|scope| {
            let writing = scope.spawn(|| {
                start.wait();
                write(&mut writer, present, passing, &stop)
            });
            let reader = Reader::<CHECK>(Shared(&words));
            // The writer may come late to a busy machine.
            start.wait();
            let mut tally = watch(&reader, &geometry, present, lasting);
            stop.store(true, Relaxed);
            (tally.written, tally.full) = writing.join().expect("the writer");
            tally
        });
        let tally = Tally {
            moves: writer.moves(),
            ..tally
        };
        println!("check {CHECK}: {tally:?}");
        tally
    }
}

/// Flips records until told to stop; returns how many, and how often there was no room.
fn write(
    writer: &mut Writer<Shared>,
    present: &[u64],
    passing: &[u64],
    stop: &AtomicBool,
) -> (u64, u64) {
    let mut random = Random(99);
    let (mut written, mut full) = (0, 0);
    let mut n = 0_u32;
    while n < 1000 || !stop.load(Relaxed) {
        n = n.wrapping_add(1);
        let key = present[random.below(present.len())];
        let mut done = writer.insert(key, record(key, n));
        if !passing.is_empty() && n.is_multiple_of(4) {
            let key = passing[random.below(passing.len())];
            if writer.remove(key).is_none() {
                done = done.and(writer.insert(key, record(key, n)));
            }
        }
        written += 1;
        full += u64::from(done.is_err());
    }
    (written, full)
}

fn watch<B: Buckets>(
    buckets: &B,
    geometry: &Geometry,
    present: &[u64],
    lasting: Duration,
) -> Tally {
    let mut random = Random(7);
    let mut tally = Tally::default();
    let mut seen = HashMap::new();
    let deadline = Instant::now() + lasting;
    while Instant::now() < deadline && tally.torn + tally.missed + tally.fallen == 0 {
        for _ in 0..1000 {
            let key = present[random.below(present.len())];
            let mut found = LookupRecord::negative(0);
            let answer = lookup(buckets, geometry, key, &mut found);
            tally.looked += 1;
            if answer.is_hit() {
                tally.torn += u64::from(found != record(key, found.vsid));
                let seen = seen.entry(key).or_insert(found.vsid);
                tally.fallen += u64::from(found.vsid < *seen);
                *seen = found.vsid;
            } else if answer == Answer::BUSY {
                tally.busy += 1;
            } else {
                tally.missed += 1;
            }
        }
    }
    tally
}

#[test]
fn no_record_is_torn_and_none_is_missed() {
    for (scene, moves) in [(HOT, false), (CROWDED, true)] {
        let tally = scene.run::<true>(Duration::from_millis(900));
        let wrong = (tally.torn, tally.missed, tally.fallen);
        assert_eq!(wrong, (0, 0, 0), "{tally:?}");
        assert!(tally.looked > tally.busy && tally.written > 0, "{tally:?}");
        assert_eq!(tally.moves > 0, moves, "{tally:?}");
    }
}

/// The test above can fail: without the check of the control words, some record is torn.
#[test]
fn without_the_check_a_record_is_torn() {
    let tally = HOT.run::<false>(Duration::from_secs(20));
    assert!(tally.torn + tally.missed + tally.fallen > 0, "{tally:?}");
}
