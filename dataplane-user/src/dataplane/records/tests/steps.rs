//! A look-up that a writer overtakes: every place of the look-up, every place of the writer.
//!
//! This is one order of all loads and stores, as TSO and the atomics give it to the reader; what the
//! machine makes of it is the task of [`super::torture`].

use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;

use dataplane_common::records::bucket::CONTROL;
use dataplane_common::records::read::Bucket;

use super::history::{History, Replay};
use super::*;

/// A reader that checks versions, or one that believes they never change.
struct Reader<'r, const CHECK: bool>(&'r Replay<'r>);

struct One<'r, const CHECK: bool> {
    replay: &'r Replay<'r>,
    first: usize,
    control: Cell<u64>,
}

impl<'r, const CHECK: bool> Buckets for Reader<'r, CHECK> {
    type Bucket = One<'r, CHECK>;

    fn bucket(&self, index: u32) -> Option<One<'r, CHECK>> {
        let (replay, first) = (self.0, index as usize * WORDS);
        let control = Cell::new(0);
        Some(One {
            replay,
            first,
            control,
        })
    }
}

impl<const CHECK: bool> Bucket for One<'_, CHECK> {
    fn control(&self) -> u64 {
        self.control.set(self.word(CONTROL));
        self.control.get()
    }

    fn word(&self, index: usize) -> u64 {
        self.replay.load(self.first + index)
    }

    fn control_again(&self) -> u64 {
        let now = self.word(CONTROL);
        if CHECK { now } else { self.control.get() }
    }
}

/// Look-ups, and those of them with an answer that was never right.
#[derive(Default, Debug)]
struct Tally {
    looked: u64,
    again: u64,
    wrong: u64,
}

const LOADS: u32 = 16;
const JUMPS: [usize; 9] = [1, 2, 3, 7, 8, 14, 16, 24, 40];

fn walk<const CHECK: bool>(history: &History) -> Tally {
    let mut tally = Tally::default();
    for from in 0..history.stores.len() {
        let words = history.words(from);
        let mut keys = vec![history.keys[from % history.keys.len()]];
        keys.extend(history.key_at(from));
        for key in keys {
            for at in 1..=LOADS {
                for jump in JUMPS {
                    overtake::<CHECK>(history, &words, (from, at, jump), key, &mut tally);
                }
            }
        }
    }
    println!("check {CHECK}: {tally:?}, {} stores", history.stores.len());
    tally
}

fn overtake<const CHECK: bool>(
    history: &History,
    words: &[AtomicU64],
    (from, at, jump): (usize, u32, usize),
    key: u64,
    tally: &mut Tally,
) {
    let words: Vec<_> = words
        .iter()
        .map(|word| Cell::new(word.load(Relaxed)))
        .collect();
    let replay = Replay {
        words: &words,
        history,
        done: Cell::new(from),
        at,
        jump,
        loads: Cell::new(0),
    };
    let geometry = geometry(history.buckets);
    let found = read(&Reader::<CHECK>(&replay), &geometry, key);
    let allowed = history.allowed(key, from, replay.done.get());
    tally.looked += 1;
    tally.again += u64::from(replay.loads.get() > LOADS);
    if !allowed.contains(&found) {
        assert!(
            !CHECK,
            "{key:#x} from {from} at {at} by {jump}: {found:?}, not of {allowed:?}"
        );
        tally.wrong += 1;
    }
}

fn histories() -> [History; 3] {
    [
        History::make(2, dense(8), 60, 1),
        History::make(8, dense(31), 150, 2),
        History::make(4, hostile(&geometry(4), 12), 80, 3),
    ]
}

#[test]
fn no_look_up_is_misled() {
    for history in histories() {
        let tally = walk::<true>(&history);
        assert!(
            tally.again > 0,
            "some must have been tried again: {tally:?}"
        );
    }
}

/// The test above can fail: without the check of the control words, look-ups are misled.
#[test]
fn without_the_check_look_ups_are_misled() {
    for history in histories() {
        let tally = walk::<false>(&history);
        assert!(tally.wrong > 0, "{tally:?}");
    }
}
