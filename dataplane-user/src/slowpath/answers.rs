//! How often a port is told that its packets do not fit (RFC 1812, section 4.3.2.8).

use std::{collections::BTreeMap, time::Instant};

use dataplane_common::abi::bucket::{self, Take};

/// Nanoseconds between two answers to a port in the long run, and answers at once: a sender needs
/// one for each destination, and goes by it for minutes.
const INTERVAL: u32 = 10_000_000;
const BURST: u32 = 20;

/// The answers to each port, by slot.
#[derive(Debug)]
pub struct AnswerLimit {
    start: Instant,
    full_at: BTreeMap<u32, u64>,
}

impl AnswerLimit {
    /// Nobody was answered yet.
    pub const fn new(start: Instant) -> Self {
        Self {
            start,
            full_at: BTreeMap::new(),
        }
    }

    /// Whether the port in `slot` may be answered once more.
    pub fn allows(&mut self, slot: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.start).as_nanos();
        let now = u64::try_from(passed).unwrap_or(u64::MAX / 2);
        let word = self.full_at.entry(slot).or_default();
        match bucket::take(*word, now, 1, (INTERVAL, BURST)) {
            Take::Granted(next) => {
                *word = next;
                true
            }
            Take::Refused => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_port_is_answered_a_hundred_times_a_second_whatever_another_sends() {
        let start = Instant::now();
        let mut limit = AnswerLimit::new(start);
        let mut told = [0, 0];
        for tick in 0..10_000_u64 {
            let now = start + Duration::from_micros(100 * tick);
            told[0] += u32::from(limit.allows(1, now));
            if tick % 200 == 0 {
                told[1] += u32::from(limit.allows(2, now));
            }
        }
        assert_eq!(told, [100 + BURST - 1, 50]);
    }
}
