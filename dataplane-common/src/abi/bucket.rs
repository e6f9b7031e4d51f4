//! `BUCKETS`: by slot, how much of user space a port used lately.
//!
//! A token bucket in its one-word form (GCRA, ITU-T I.371): the word is the time at which the
//! bucket would be full again. So one load and one store take tokens, and nobody refills.

use super::stats::SLOTS;

/// Entries of `BUCKETS`: one a slot, as many that routing domains share for what comes from the
/// underlay, and one a slot for broadcast.
pub const BUCKETS_LEN: u32 = 3 * SLOTS;

/// The bucket of a port.
#[inline(always)]
pub const fn of_port(slot: u32) -> u32 {
    slot % SLOTS
}

/// The bucket of a routing domain's packets from the underlay. The indexes are dense, so domains
/// share one only beyond [`SLOTS`] of them.
#[inline(always)]
pub const fn of_domain(rdid: u32) -> u32 {
    SLOTS.wrapping_add(rdid % SLOTS)
}

/// The bucket of a port's broadcast.
#[inline(always)]
pub const fn of_flood(slot: u32) -> u32 {
    (2 * SLOTS).wrapping_add(slot % SLOTS)
}

/// What became of a request for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Granted; the word becomes this one.
    Granted(u64),
    /// The bucket has not so many.
    Refused,
}

/// Asks for tokens at `now`; all of a full bucket are enough for any number of them. `full_at`: the
/// bucket's word; all times in nanoseconds of one clock. `interval`: between two tokens; `burst`:
/// tokens of a full bucket, at least 1.
///
/// A word that is much further away than a bucket is deep is of another setting: the bucket is full.
/// Not a little further, for clocks of CPUs differ by as much.
#[inline(always)]
pub const fn take(full_at: u64, now: u64, tokens: u32, (interval, burst): (u32, u32)) -> Take {
    let depth = (interval as u64).wrapping_mul(burst as u64);
    let empty = now.wrapping_add(depth);
    let tokens = if tokens < burst { tokens } else { burst };
    let other_setting = full_at > empty.wrapping_add(depth).wrapping_add(SECOND);
    let from = if full_at < now || other_setting {
        now
    } else {
        full_at
    };
    let next = from.wrapping_add((interval as u64).wrapping_mul(tokens as u64));
    if next > empty {
        Take::Refused
    } else {
        Take::Granted(next)
    }
}

const SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens granted out of `asks`, one each `step` nanoseconds.
    fn granted(asks: u32, step: u64, interval: u32, burst: u32) -> u32 {
        let mut word = 0;
        let mut count = 0;
        for ask in 0..asks {
            let now = 1_000_000 + u64::from(ask) * step;
            if let Take::Granted(next) = take(word, now, 1, (interval, burst)) {
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
    fn many_tokens_cost_as_many_and_never_more_than_a_bucket_has() {
        let Take::Granted(word) = take(0, 5_000, 7, (1000, 10)) else {
            panic!("a full bucket")
        };
        assert_eq!(take(word, 5_000, 4, (1000, 10)), Take::Refused);
        assert_eq!(take(word, 5_000, 3, (1000, 10)), Take::Granted(15_000));
        assert_eq!(take(0, 5_000, 44, (1000, 10)), Take::Granted(15_000));
        assert_eq!(take(5_001, 5_000, 44, (1000, 10)), Take::Refused);
    }

    #[test]
    fn a_clock_that_stands_still_grants_no_more() {
        let Take::Granted(word) = take(0, 5_000, 1, (1000, 1)) else {
            panic!("a full bucket")
        };
        assert_eq!(take(word, 5_000, 1, (1000, 1)), Take::Refused);
    }

    #[test]
    fn a_debt_of_hours_ends_with_the_setting_that_it_is_of() {
        let (now, hours) = (5_000, 65_536 * SECOND);
        let deep = take(now + hours - SECOND, now, 1, (1_000_000_000, 65_536));
        assert_eq!(deep, Take::Granted(now + hours));
        let shallow = take(now + hours, now, 1, (1000, 10));
        assert_eq!(shallow, Take::Granted(now + 1000));
        // The clock of another CPU is a little behind.
        let behind = take(now + 10_000, now - 50, 1, (1000, 10));
        assert_eq!(behind, Take::Refused);
    }
}
