//! How the two paths of a comparison are set against each other, and when that says something.

use crate::{
    results::row::Demands,
    scenario::Metric,
    stats::{Estimate, median},
};

/// The two figures of a pair, in the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// What is measured.
    pub ours: f64,
    /// What it is compared with.
    pub twin: f64,
}

/// What becomes of the two figures of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Ours over the twin: more is better.
    Ratio,
    /// Ours less the twin, in the metric's unit: less is better. What a path adds to a latency does
    /// not scale with the latency of the stacks at its ends.
    Difference,
}

impl Metric {
    /// How two figures of this metric are compared.
    pub const fn compared(self) -> Compared {
        match self {
            Self::PacketRate | Self::TcpBulk(_) => Compared::Ratio,
            Self::RoundTripP50 | Self::RoundTripP99 => Compared::Difference,
        }
    }
}

impl Compared {
    /// Of one pair.
    pub fn of(self, pair: Pair) -> f64 {
        match self {
            Self::Ratio => pair.ours / pair.twin,
            Self::Difference => pair.ours - pair.twin,
        }
    }

    /// The half width of an interval as a share: of the ratio, or of the twin's figure.
    pub fn spread(self, estimate: Estimate, twin: f64) -> f64 {
        let base = match self {
            Self::Ratio => estimate.median,
            Self::Difference => twin,
        };
        if base == 0.0 {
            f64::INFINITY
        } else {
            estimate.half_width() / base.abs()
        }
    }
}

/// What the pairs that count come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How the two were compared.
    pub compared: Compared,
    /// Ratio or difference; `None` without a pair.
    pub estimate: Option<Estimate>,
    /// Pairs that count.
    pub used: usize,
    /// Median of ours, in the metric's unit.
    pub ours: Option<f64>,
    /// Median of the twin's.
    pub twin: Option<f64>,
    /// Why the result is inconclusive; `None`: it is not.
    pub doubt: Option<String>,
}

impl Verdict {
    /// Judges the pairs that count.
    pub fn of(metric: Metric, pairs: &[Pair], demands: &Demands, seed: u64) -> Self {
        let compared = metric.compared();
        let figures = |pick: fn(&Pair) -> f64| median(&pairs.iter().map(pick).collect::<Vec<_>>());
        let values: Vec<f64> = pairs.iter().map(|pair| compared.of(*pair)).collect();
        let finite = values.iter().all(|value| value.is_finite());
        let mut verdict = Self {
            compared,
            estimate: Estimate::of(&values, seed).filter(|_| finite),
            used: pairs.len(),
            ours: figures(|pair| pair.ours),
            twin: figures(|pair| pair.twin),
            doubt: None,
        };
        verdict.doubt = verdict.doubts(demands, finite);
        verdict
    }

    fn doubts(&self, demands: &Demands, finite: bool) -> Option<String> {
        let Demands {
            min_pairs,
            tolerance,
            ..
        } = *demands;
        if !finite || (self.compared == Compared::Ratio && self.ours == Some(0.0)) {
            return Some("one of the paths let nothing through".to_owned());
        }
        if self.used < min_pairs {
            return Some(format!(
                "too few pairs count ({} of at least {min_pairs})",
                self.used
            ));
        }
        let (estimate, twin) = (self.estimate?, self.twin?);
        let spread = self.compared.spread(estimate, twin);
        (spread > tolerance).then(|| {
            let (spread, tolerance) = (spread * 100.0, tolerance * 100.0);
            format!("the interval is ±{spread:.0} % wide, more than ±{tolerance:.0} %")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Limits;

    const DEMANDS: Demands = Demands {
        min_pairs: 3,
        tolerance: 0.05,
        limits: Limits {
            calibration: 0.1,
            steal: 0.02,
        },
    };

    fn pairs(ours: &[f64], twin: f64) -> Vec<Pair> {
        ours.iter().map(|ours| Pair { ours: *ours, twin }).collect()
    }

    fn verdict(metric: Metric, pairs: &[Pair]) -> Verdict {
        Verdict::of(metric, pairs, &DEMANDS, 1)
    }

    #[test]
    fn a_rate_is_a_ratio_and_a_latency_a_difference() {
        let of = |metric| {
            verdict(metric, &pairs(&[20.0; 4], 10.0))
                .estimate
                .expect("pairs")
                .median
        };
        assert!((of(Metric::PacketRate) - 2.0).abs() < 1e-12);
        assert!((of(Metric::TcpBulk(4)) - 2.0).abs() < 1e-12);
        assert!((of(Metric::RoundTripP50) - 10.0).abs() < 1e-12);
    }

    #[test]
    fn noise_makes_it_inconclusive() {
        let noisy = pairs(&[1.0, 1.5, 0.7, 1.2, 0.8, 1.4], 1.0);
        let doubt = verdict(Metric::PacketRate, &noisy).doubt.expect("doubt");
        assert!(doubt.contains("more than ±5 %"), "{doubt}");
        let calm = pairs(&[1.0, 1.01, 0.99, 1.0, 1.02], 1.0);
        assert_eq!(verdict(Metric::PacketRate, &calm).doubt, None);
    }

    #[test]
    fn a_difference_is_judged_by_the_twins_figure() {
        // Half a microsecond of doubt beside 25: nothing, although more than the difference is.
        let some = pairs(&[25.0, 25.5, 24.5, 25.1, 24.9], 25.0);
        assert_eq!(verdict(Metric::RoundTripP50, &some).doubt, None);
    }

    #[test]
    fn too_few_pairs_say_nothing() {
        let doubt = verdict(Metric::PacketRate, &pairs(&[1.0, 1.0], 1.0)).doubt;
        assert_eq!(
            doubt.as_deref(),
            Some("too few pairs count (2 of at least 3)")
        );
        let none = verdict(Metric::PacketRate, &[]);
        assert_eq!((none.estimate, none.ours), (None, None));
    }

    #[test]
    fn a_path_that_lets_nothing_through_is_no_ratio() {
        let ours = verdict(Metric::PacketRate, &pairs(&[0.0; 5], 1.0));
        assert_eq!(
            ours.doubt.as_deref(),
            Some("one of the paths let nothing through")
        );
        let verdict = verdict(Metric::PacketRate, &pairs(&[1.0; 5], 0.0));
        assert_eq!(verdict.estimate, None);
        assert_eq!(
            verdict.doubt.as_deref(),
            Some("one of the paths let nothing through")
        );
    }
}
