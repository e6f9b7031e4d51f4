//! The runner with made-up subjects and made-up noise.

use std::collections::VecDeque;

use anyhow::bail;

use super::*;
use crate::{
    noise::Limits,
    scenario::{Metric, Scenario},
};

const COMPARISON: Comparison = Comparison {
    scenario: Scenario::PLAIN,
    metric: Metric::PacketRate,
    ours: PathName::NveXdp,
    twin: PathName::TwinXdp,
};

const RULES: Rules = Rules {
    half: Duration::ZERO,
    max_pairs: 8,
    demands: Demands {
        min_pairs: 3,
        tolerance: 0.05,
        limits: Limits {
            calibration: 0.1,
            steal: 0.02,
        },
    },
};

/// Gives these figures in turn, then the last one again; fails at 0.
struct Fake(VecDeque<f64>);

impl Fake {
    fn of(values: &[f64]) -> Self {
        Self(values.iter().copied().collect())
    }
}

impl Subject for Fake {
    fn measure(&mut self, _: Duration) -> Result<Measured> {
        let next = self.0.pop_front();
        let value = next.or(self.0.back().copied()).unwrap_or(1.0);
        if self.0.is_empty() {
            self.0.push_back(value);
        }
        if value == 0.0 {
            bail!("nothing arrived");
        }
        Ok(Measured {
            value,
            ..Measured::default()
        })
    }
}

/// Writes so many of 1,000 records in turn, the last number again and again.
struct Churn(VecDeque<u64>);

impl Subject for Churn {
    fn measure(&mut self, _: Duration) -> Result<Measured> {
        let last = self.0.back().copied().unwrap_or(1000);
        let written = self.0.pop_front().unwrap_or(last);
        if self.0.is_empty() {
            self.0.push_back(written);
        }
        let details = [("updates", written), ("updates.due", 1000)];
        Ok(Measured {
            value: 1.0,
            details: details.map(|(name, count)| (name.to_owned(), count)).into(),
        })
    }
}

/// A machine whose calibration takes these times in turn, one a half.
struct Weather(VecDeque<u64>);

impl Watch for Weather {
    fn half(&mut self, subject: &mut dyn Subject, length: Duration) -> Result<(Measured, Quiet)> {
        let spin = self.0.pop_front().unwrap_or(100);
        let quiet = Quiet {
            calibration_before: spin,
            calibration_after: spin,
            ..Quiet::default()
        };
        Ok((subject.measure(length)?, quiet))
    }
}

fn run(ours: &[f64], twin: &[f64], weather: &[u64]) -> (Result<Verdict, Failure>, Vec<Trial>) {
    let subjects = Subjects {
        ours: &mut Fake::of(ours),
        twin: &mut Fake::of(twin),
    };
    run_with(subjects, weather)
}

fn run_with(subjects: Subjects, weather: &[u64]) -> (Result<Verdict, Failure>, Vec<Trial>) {
    let mut trials = Vec::new();
    let mut keep = |trial| {
        trials.push(trial);
        Ok(())
    };
    let runner = Runner {
        comparison: COMPARISON,
        rules: RULES,
        seed: 1,
        watch: &mut Weather(weather.iter().copied().collect()),
        keep: &mut keep,
    };
    let verdict = runner.run(subjects).expect("kept");
    (verdict, trials)
}

#[test]
fn a_clear_answer_ends_it_after_the_least_number_of_pairs() {
    let (verdict, trials) = run(&[2.0], &[4.0], &[]);
    let verdict = verdict.expect("measured");
    assert_eq!((verdict.used, verdict.doubt), (3, None));
    assert!((verdict.estimate.expect("pairs").median - 0.5).abs() < 1e-12);
    assert_eq!(trials.len(), 6);
}

#[test]
fn noise_ends_it_at_the_largest_number_inconclusive() {
    let (verdict, trials) = run(&[1.0, 2.0, 1.0, 3.0, 1.0, 2.0, 1.0, 3.0], &[1.0], &[]);
    let verdict = verdict.expect("measured");
    assert_eq!((verdict.used, trials.len()), (8, 16));
    assert!(verdict.doubt.is_some());
}

#[test]
fn both_halves_of_a_noisy_pair_are_kept_and_do_not_count() {
    let (verdict, trials) = run(&[2.0], &[4.0], &[100, 150]);
    assert_eq!(verdict.expect("measured").used, 3);
    let discarded: Vec<_> = trials
        .iter()
        .map(|trial| trial.discarded.is_some())
        .collect();
    assert_eq!(
        discarded,
        [true, true, false, false, false, false, false, false]
    );
    let why = trials[0].discarded.as_deref();
    assert_eq!(why, Some("calibration moved by 50 % (limit 10 %)"));
}

#[test]
fn without_a_calm_pair_it_is_inconclusive() {
    let (verdict, trials) = run(&[2.0], &[4.0], &[100, 150].repeat(8));
    let verdict = verdict.expect("measured");
    assert_eq!((verdict.used, trials.len()), (0, 16));
    assert_eq!(
        verdict.doubt.as_deref(),
        Some("too few pairs count (0 of at least 3)")
    );
}

#[test]
fn a_pair_without_its_updates_does_not_count() {
    let subjects = Subjects {
        ours: &mut Churn([1000, 500, 950].into()),
        twin: &mut Fake::of(&[2.0]),
    };
    let (verdict, trials) = run_with(subjects, &[]);
    assert_eq!(verdict.expect("measured").used, 3);
    let why = trials.iter().map(|trial| trial.discarded.as_deref());
    let few = "500 of 1000 records due were written (limit 90 %)";
    let counts = [None, None, Some(few), Some(few), None, None, None, None];
    assert_eq!(why.collect::<Vec<_>>(), counts);
}

#[test]
fn a_failure_names_its_path_and_keeps_the_half_before_it() {
    let (verdict, trials) = run(&[2.0, 0.0], &[4.0], &[]);
    let failure = verdict.expect_err("ours fails in the second pair");
    assert_eq!(failure.path, PathName::NveXdp);
    assert_eq!(failure.error.to_string(), "nothing arrived");
    let counting = trials
        .iter()
        .filter(|trial| trial.discarded.is_none())
        .count();
    assert_eq!(counting, 2);
    assert!(
        trials
            .iter()
            .skip(2)
            .all(|trial| trial.discarded.as_deref() == Some("the pair is not complete"))
    );
}

#[test]
fn pairs_alternate_who_goes_first() {
    let (_, trials) = run(&[1.0, 2.0, 1.0, 3.0], &[1.0], &[]);
    let first: Vec<_> = trials
        .iter()
        .filter(|trial| trial.half == 0)
        .map(|trial| trial.path)
        .collect();
    assert!(
        first.chunks(2).all(|block| block[0] != block[1]),
        "{first:?}"
    );
}
