//! Packets a second over the last seconds, in one word and one time: each packet's weight decays.

use std::time::{Duration, Instant};

/// A packet that came so long ago weighs 1/e of one that comes now.
const MEMORY: Duration = Duration::from_secs(3);

/// How often something happens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    /// Packets a second at `then`; `None`: there was none yet.
    last: Option<(Instant, f64)>,
}

impl Rate {
    /// It happens once more.
    pub(super) fn add(&mut self, now: Instant) {
        let before = self.decayed(now);
        self.last = Some((now, before + 1.0 / MEMORY.as_secs_f64()));
    }

    /// Times a second, rounded.
    pub(super) fn at(&self, now: Instant) -> u64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a sum of what is positive, far below 2^64"
        )]
        let rounded = self.decayed(now).round() as u64;
        rounded
    }

    fn decayed(&self, now: Instant) -> f64 {
        self.last.map_or(0.0, |(then, rate)| {
            let passed = now.saturating_duration_since(then);
            rate * (-passed.div_duration_f64(MEMORY)).exp()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_told_and_forgotten() {
        let start = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.at(start), 0);
        for tick in 0..20_000 {
            rate.add(start + Duration::from_millis(tick));
        }
        let end = start + Duration::from_secs(20);
        assert!((990..=1010).contains(&rate.at(end)), "{}", rate.at(end));
        let later = end + MEMORY;
        assert!((360..=375).contains(&rate.at(later)), "{}", rate.at(later));
        assert_eq!(rate.at(end + 10 * MEMORY), 0);
    }

    #[test]
    fn a_clock_that_stands_still_is_no_trouble() {
        let now = Instant::now();
        let mut rate = Rate::default();
        for _ in 0..30 {
            rate.add(now);
        }
        assert_eq!(rate.at(now), 10);
    }
}
