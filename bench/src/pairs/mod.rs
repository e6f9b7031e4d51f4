//! Runs a comparison: two subjects that stand at the same time take turns until the answer is
//! clear, or there were enough turns.

mod order;

use std::time::Duration;

use anyhow::{Context, Result};
use xtask::lab::interrupted;

use crate::{
    compared::{Pair, Verdict},
    noise::{Quiet, Watch},
    rate::lacks_updates,
    results::row::{Demands, Trial},
    scenario::{Comparison, PathName},
    subject::{Measured, Subject},
};
use order::{Order, seed_of};

/// How long, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Length of a half.
    pub half: Duration,
    /// Pairs at most, those that do not count among them.
    pub max_pairs: usize,
    /// When the answer is clear.
    pub demands: Demands,
}

/// The two of a comparison.
pub struct Subjects<'s> {
    /// What is measured.
    pub ours: &'s mut dyn Subject,
    /// What it is compared with.
    pub twin: &'s mut dyn Subject,
}

/// Which of the two failed, and how.
#[derive(Debug)]
pub struct Failure {
    /// The path.
    pub path: PathName,
    /// What happened.
    pub error: anyhow::Error,
}

/// A comparison under way.
pub struct Runner<'r> {
    /// The comparison.
    pub comparison: Comparison,
    /// Its rules.
    pub rules: Rules,
    /// Of the order, and of the intervals.
    pub seed: u64,
    /// Looks for noise.
    pub watch: &'r mut dyn Watch,
    /// Takes each trial as soon as its pair is complete.
    pub keep: &'r mut dyn FnMut(Trial) -> Result<()>,
}

/// The halves of a pair in the order of time.
type Halves = Vec<(PathName, Measured, Quiet)>;

impl Runner<'_> {
    /// Measures pairs until the verdict has no doubt, at least as many as demanded.
    ///
    /// The inner result is of the subjects; the outer one of writing and of Ctrl-C.
    pub fn run(mut self, mut subjects: Subjects) -> Result<Result<Verdict, Failure>> {
        let mut order = Order::new(seed_of(self.seed, &self.comparison)?);
        let mut pairs = Vec::new();
        let mut verdict = self.verdict(&pairs);
        for number in 0..self.rules.max_pairs {
            let mut halves = Halves::new();
            let measured = self.pair(order.ours_first(), &mut subjects, &mut halves);
            let interruption = interrupted();
            let failed = measured.is_err() || interruption.is_err();
            let discarded = if failed {
                Some("the pair is not complete".to_owned())
            } else {
                self.doubt(&halves)
            };
            pairs.extend(self.pair_of(&halves).filter(|_| discarded.is_none()));
            self.keep_all(number, halves, discarded.as_ref())?;
            interruption?;
            if let Err(failure) = measured {
                return Ok(Err(failure));
            }
            verdict = self.verdict(&pairs);
            if verdict.doubt.is_none() {
                break;
            }
        }
        Ok(Ok(verdict))
    }

    fn pair(
        &mut self,
        ours_first: bool,
        subjects: &mut Subjects,
        halves: &mut Halves,
    ) -> Result<(), Failure> {
        for ours in [ours_first, !ours_first] {
            let (path, subject) = if ours {
                (self.comparison.ours, &mut *subjects.ours)
            } else {
                (self.comparison.twin, &mut *subjects.twin)
            };
            let (measured, quiet) = self
                .watch
                .half(subject, self.rules.half)
                .map_err(|error| Failure { path, error })?;
            halves.push((path, measured, quiet));
        }
        Ok(())
    }

    fn verdict(&self, pairs: &[Pair]) -> Verdict {
        Verdict::of(
            self.comparison.metric,
            pairs,
            &self.rules.demands,
            self.seed,
        )
    }

    /// Why a complete pair does not count: noise, or updates that were not made.
    fn doubt(&self, halves: &Halves) -> Option<String> {
        let quiet: Vec<Quiet> = halves.iter().map(|(_, _, quiet)| *quiet).collect();
        let noise = self.rules.demands.limits.exceeded(&quiet);
        let mut measured = halves.iter().map(|(_, measured, _)| measured);
        noise.or_else(|| measured.find_map(|measured| lacks_updates(&measured.details)))
    }

    fn pair_of(&self, halves: &Halves) -> Option<Pair> {
        let value = |path| {
            halves
                .iter()
                .find(|half| half.0 == path)
                .map(|half| half.1.value)
        };
        Some(Pair {
            ours: value(self.comparison.ours)?,
            twin: value(self.comparison.twin)?,
        })
    }

    fn keep_all(&mut self, pair: usize, halves: Halves, discarded: Option<&String>) -> Result<()> {
        for (half, (path, measured, quiet)) in (0..).zip(halves) {
            let trial = Trial {
                comparison: self.comparison,
                pair,
                half,
                path,
                value: measured.value,
                details: measured.details,
                quiet,
                discarded: discarded.cloned(),
            };
            (self.keep)(trial).context("a trial cannot be kept")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
