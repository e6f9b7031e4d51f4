//! The vertical axis.

use crate::stats::Estimate;

/// Maps values to 0 (bottom) to 1 (top).
#[derive(Clone, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// Values that have a line and a label.
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// A scale that has room for the estimates and for 1, no difference; from 0 where it is linear.
    pub(super) fn new(estimates: impl Iterator<Item = Estimate>, logarithmic: bool) -> Self {
        let ends: Vec<f64> = estimates.flat_map(|of| [of.low, of.high]).collect();
        let least = ends.iter().copied().fold(1.0, f64::min);
        let most = ends.iter().copied().fold(1.0, f64::max);
        if logarithmic {
            return Self::logarithmic(least, most);
        }
        let step = nice(most / 5.0);
        let ticks = (0..=10).map(|count| f64::from(count) * step);
        let ticks: Vec<f64> = ticks
            .take_while(|tick| *tick < most * 1.08 + step / 2.0)
            .collect();
        Self {
            low: 0.0,
            high: most * 1.08,
            logarithmic,
            ticks,
        }
        .trimmed()
    }

    fn logarithmic(least: f64, most: f64) -> Self {
        // Wide enough for a tick on each side of 1.
        let (low, high) = ((least / 1.25).clamp(1e-3, 0.45), (most * 1.25).max(2.2));
        let decades =
            (-3..=6).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)));
        Self {
            low,
            high,
            logarithmic: true,
            ticks: decades.collect(),
        }
        .trimmed()
    }

    /// Without ticks outside of the axis.
    fn trimmed(mut self) -> Self {
        let Self { low, high, .. } = self;
        self.ticks.retain(|tick| (low..=high).contains(tick));
        self
    }

    /// How far up a value is.
    pub(super) fn height(&self, value: f64) -> f64 {
        let of = |value: f64| {
            if self.logarithmic {
                value.max(self.low).ln()
            } else {
                value
            }
        };
        (of(value) - of(self.low)) / (of(self.high) - of(self.low))
    }
}

/// The next of 1, 2, 5 and their tenfolds.
fn nice(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let digits = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|digit| digit * power >= step);
    digits.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(low: f64, high: f64) -> Estimate {
        Estimate {
            median: low,
            low,
            high,
        }
    }

    #[test]
    fn a_linear_scale_begins_at_zero_and_holds_all() {
        let scale = Scale::new([of(0.7, 0.8)].into_iter(), false);
        assert!(scale.height(0.0).abs() < 1e-9);
        assert!(scale.height(1.0) < 1.0);
        assert!(scale.ticks.len() >= 4, "{:?}", scale.ticks);
    }

    #[test]
    fn equal_ratios_are_equally_far_apart() {
        let scale = Scale::new([of(0.5, 8.0)].into_iter(), true);
        let apart = |one, two| scale.height(two) - scale.height(one);
        assert!((apart(1.0, 2.0) - apart(4.0, 8.0)).abs() < 1e-9);
        assert!(scale.height(8.0) < 1.0 && scale.height(0.5) > 0.0);
        assert_eq!(scale.ticks, [0.5, 1.0, 2.0, 5.0, 10.0]);
    }
}
