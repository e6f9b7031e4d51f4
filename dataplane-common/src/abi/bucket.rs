//! `BUCKETS`: by slot, how much of user space a port used lately.
//!
//! A token bucket in its one-word form (GCRA, ITU-T I.371): the word is the time at which the
//! bucket would be full again. So one compare-and-swap takes a token, and nobody refills.

use super::stats::SLOTS;

/// Entries of `BUCKETS`: one a slot, and as many that VSIDs share for what comes from the underlay.
pub const BUCKETS_LEN: u32 = 2 * SLOTS;

/// The bucket of a port.
#[inline(always)]
pub const fn of_port(slot: u32) -> u32 {
    slot % SLOTS
}

/// The bucket of a virtual subnet's packets from the underlay.
#[inline(always)]
pub const fn of_subnet(vsid: u32) -> u32 {
    SLOTS.wrapping_add(vsid % SLOTS)
}

/// What became of a request for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Granted; the word becomes this one.
    Granted(u64),
    /// The bucket is empty.
    Refused,
}

/// Asks for one token at `now`. `full_at`: the bucket's word; all times in nanoseconds of one clock.
/// `interval`: between two tokens; `burst`: tokens of a full bucket, at least 1.
#[inline(always)]
pub const fn take(full_at: u64, now: u64, interval: u32, burst: u32) -> Take {
    let depth = (interval as u64).wrapping_mul(burst as u64);
    let from = if full_at > now { full_at } else { now };
    let next = from.wrapping_add(interval as u64);
    if next.wrapping_sub(now) > depth {
        Take::Refused
    } else {
        Take::Granted(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens granted out of `asks`, one each `step` nanoseconds.
    fn granted(asks: u32, step: u64, interval: u32, burst: u32) -> u32 {
        let mut word = 0;
        let mut count = 0;
        for ask in 0..asks {
            let now = 1_000_000 + u64::from(ask) * step;
            if let Take::Granted(next) = take(word, now, interval, burst) {
                word = next;
                count += 1;
            }
        }
        count
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        assert_eq!(granted(100, 0, 1000, 10), 10);
        // Ten at once, and one each microsecond of the hundred.
        assert_eq!(granted(1001, 100, 1000, 10), 10 + 100);
        assert_eq!(granted(50, 1000, 1000, 1), 50);
    }

    #[test]
    fn a_clock_that_stands_still_or_starts_anew_grants_no_more() {
        let Take::Granted(word) = take(0, 5_000, 1000, 1) else {
            panic!("a full bucket")
        };
        assert_eq!(take(word, 5_000, 1000, 1), Take::Refused);
        assert_eq!(take(word, 0, 1000, 1), Take::Refused);
    }
}
