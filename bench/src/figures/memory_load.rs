//! What one load from memory takes here: no look-up in a table of that size can be faster, whatever
//! the table is made of.
//!
//! Each load is from another bucket, drawn evenly, and where it is hangs on the one before. The same
//! loop over a single bucket is taken off.

use std::{hint::black_box, time::Instant};

use anyhow::Result;
use dataplane_common::records::bucket::{SLOTS, WORDS};
use rustix::mm::{Advice, madvise};
use xtask::lab::interrupted;

use super::{Figure, Plan, Unit};
use crate::stats::median;

/// The name of the figure.
pub const NAME: &str = "memory-load";
/// Loads of one turn.
const LOADS: u32 = 1 << 20;
/// Turns of a trial; their median counts.
const TURNS: u32 = 5;
/// Slots of a table of records that are in use, of 16.
const LOAD: u64 = 15;

/// Memory in pages of 4 KiB, as maps are made of, and in large ones, over the size of the table of so
/// many records.
pub fn measure(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for records in &plan.records {
        let buckets = u64::from(*records) * 16 / (LOAD * u64::from(SLOTS)) + 1;
        for (pages, advice) in [
            ("4 KiB", Advice::LinuxNoHugepage),
            ("2 MiB", Advice::LinuxHugepage),
        ] {
            let memory = Memory::new(buckets, advice)?;
            let mut figure = Figure::new(NAME, Unit::Nanoseconds)
                .with("records", records)
                .with("pages", pages);
            for _ in 0..plan.trials {
                interrupted()?;
                figure.trials.extend(trial(&memory));
            }
            figures.push(figure);
        }
    }
    Ok(figures)
}

fn trial(memory: &Memory) -> Option<f64> {
    let turns: Vec<f64> = (0..TURNS)
        .map(|_| memory.time(memory.buckets) - memory.time(1))
        .collect();
    median(&turns)
}

/// Ones, by buckets.
struct Memory {
    words: Vec<u64>,
    buckets: u64,
}

impl Memory {
    fn new(buckets: u64, advice: Advice) -> Result<Self> {
        let mut words = vec![0_u64; usize::try_from(buckets)? * WORDS];
        let pages = words.as_mut_ptr_range();
        // Whole pages alone can be advised about.
        let skipped = pages.start.align_offset(PAGE);
        let rest = words.len().saturating_sub(skipped) * size_of::<u64>() / PAGE * PAGE;
        if rest > 0 {
            // SAFETY: the range is inside of the list, which is this function's alone, and the advice
            // changes nothing but the size of its pages.
            unsafe { madvise(pages.start.add(skipped).cast(), rest, advice) }?;
        }
        // What was never written is one page of zeroes again and again.
        words.fill(1);
        Ok(Self { words, buckets })
    }

    /// Nanoseconds a load, from so many of the buckets.
    fn time(&self, buckets: u64) -> f64 {
        let words = black_box(self.words.as_slice());
        let mut state = black_box(0_u64);
        let started = Instant::now();
        for _ in 0..LOADS {
            let word = usize::try_from(drawn(state, buckets)).unwrap_or_default() * WORDS;
            state = state.wrapping_add(words.get(word).copied().unwrap_or_default());
        }
        black_box(state);
        started.elapsed().as_secs_f64() * 1e9 / f64::from(LOADS)
    }
}

/// Bytes of a small page.
const PAGE: usize = 4096;

/// One of so many buckets.
const fn drawn(state: u64, buckets: u64) -> u64 {
    ((mixed(state) >> 32) * buckets) >> 32
}

/// The next number of `SplitMix64`.
const fn mixed(state: u64) -> u64 {
    let x = state.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_go_everywhere() {
        let mut seen = [0_u32; 64];
        for state in 0..6400 {
            seen[usize::try_from(drawn(state, 64)).expect("small")] += 1;
        }
        assert!(seen.iter().all(|n| (50..200).contains(n)), "{seen:?}");
    }

    #[test]
    fn memory_is_timed_in_either_kind_of_pages() {
        for advice in [Advice::LinuxNoHugepage, Advice::LinuxHugepage] {
            let memory = Memory::new(4096, advice).expect("memory");
            assert!(trial(&memory).is_some_and(f64::is_finite));
        }
    }
}
