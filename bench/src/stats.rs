//! A median, and how sure it is: percentile bootstrap, seeded, so that a file always gives the same.

use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde::{Deserialize, Serialize};

/// How often the values are drawn again.
const RESAMPLES: usize = 2000;
/// Share of the resampled medians that lies outside of the interval, on each side.
const TAIL: f64 = 0.025;

/// A median with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The median of the values.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// Of values, by the percentile bootstrap of their median; `None` of no values.
    pub fn of(values: &[f64], seed: u64) -> Option<Self> {
        let median = median(values)?;
        let mut random = SmallRng::seed_from_u64(seed);
        let mut drawn = vec![0.0; values.len()];
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .filter_map(|_| {
                for value in &mut drawn {
                    *value = values[random.random_range(0..values.len())];
                }
                middle(&mut drawn)
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let (low, high) = (
            percentile(&medians, TAIL)?,
            percentile(&medians, 1.0 - TAIL)?,
        );
        Some(Self { median, low, high })
    }

    /// Half the width of the interval.
    pub fn half_width(self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// Whether the two intervals have a value in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// The middle value, or the mean of the two in the middle; `None` of no values.
pub fn median(values: &[f64]) -> Option<f64> {
    middle(&mut values.to_vec())
}

/// The value below which that share (0 to 1) of sorted values lies: nearest rank.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index of a slice in memory, between 0 and its last"
    )]
    let index = (share * last as f64).round() as usize;
    sorted.get(index.min(last)).copied()
}

fn middle(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(values[half - 1], upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        assert_eq!(Estimate::of(&[], 1), None);
    }

    #[test]
    fn equal_values_leave_no_doubt() {
        let estimate = Estimate::of(&[0.9; 7], 1).expect("values");
        assert_eq!(
            (estimate.low, estimate.median, estimate.high),
            (0.9, 0.9, 0.9)
        );
        assert!(estimate.half_width().abs() < 1e-12);
    }

    #[test]
    fn a_seed_gives_the_same_interval_again() {
        let values: Vec<f64> = (0..15).map(|n| 1.0 + f64::from(n * n % 7) / 10.0).collect();
        assert_eq!(Estimate::of(&values, 7), Estimate::of(&values, 7));
    }

    /// The interval must hold the true median in about 95 of 100 experiments; with 25 values the
    /// percentile bootstrap does so a little less or more often.
    #[test]
    fn the_interval_covers_the_true_median_of_a_uniform_distribution() {
        let mut random = SmallRng::seed_from_u64(42);
        let covered = (0..200).filter(|seed| {
            let values: Vec<f64> = (0..25).map(|_| random.random_range(0.0..2.0)).collect();
            let estimate = Estimate::of(&values, *seed).expect("values");
            estimate.low <= 1.0 && 1.0 <= estimate.high
        });
        let covered = covered.count();
        assert!((176..=199).contains(&covered), "{covered} of 200");
    }

    #[test]
    fn more_values_narrow_the_interval() {
        let mut random = SmallRng::seed_from_u64(1);
        let values: Vec<f64> = (0..400).map(|_| random.random_range(0.0..1.0)).collect();
        let few = Estimate::of(&values[..10], 1).expect("values").half_width();
        let many = Estimate::of(&values, 1).expect("values").half_width();
        assert!(many < few / 2.0, "{few} with 10, {many} with 400");
    }

    #[test]
    fn intervals_that_touch_overlap() {
        let of = |low, high| Estimate {
            median: low,
            low,
            high,
        };
        assert!(of(1.0, 2.0).overlaps(of(2.0, 3.0)));
        assert!(!of(1.0, 2.0).overlaps(of(2.1, 3.0)));
        assert!(!of(2.1, 3.0).overlaps(of(1.0, 2.0)));
    }
}
