//! A run: every comparison of a profile, one after the other, each row kept at once.

pub mod environment;
pub mod progress;
mod standing;

use anyhow::{Context, Result};
use xtask::lab::interrupted;

use crate::{
    compared::Verdict,
    noise::Watch,
    pairs::{Failure, Rules, Runner, Subjects},
    paths::Absence,
    results::{
        file::Writer,
        row::{Row, Unavailable},
    },
    scenario::{Comparison, Metric, PathName, Scenario},
    subject::Subject,
};
use progress::Progress;
use standing::Standing;

/// Builds what is measured.
pub trait Workshop {
    /// A path for a scenario, ready to be measured.
    fn subject(
        &mut self,
        path: PathName,
        scenario: &Scenario,
        metric: Metric,
    ) -> Result<Box<dyn Subject>, Absence>;
}

/// What a run works with.
pub struct Session<'s> {
    /// How often and how long.
    pub rules: Rules,
    /// Of the orders and the intervals.
    pub seed: u64,
    /// Builds.
    pub workshop: &'s mut dyn Workshop,
    /// Looks for noise.
    pub watch: &'s mut dyn Watch,
    /// Keeps rows.
    pub writer: &'s mut Writer,
    /// Tells a person.
    pub progress: &'s mut dyn Progress,
}

/// How the comparisons ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// With a result that counts.
    pub clear: usize,
    /// Inconclusive.
    pub doubtful: usize,
    /// Without one of the paths.
    pub unavailable: usize,
    /// With an error.
    pub failed: usize,
}

impl Session<'_> {
    /// Runs them all; an error is one of writing, or Ctrl-C.
    pub fn run(&mut self, comparisons: &[Comparison]) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut standing = Standing::default();
        for (index, comparison) in comparisons.iter().enumerate() {
            interrupted()?;
            self.progress.begin(index, comparison);
            standing.keep_for(comparison);
            match self.compare(comparison, &mut standing)? {
                Ok(verdict) => {
                    let clear = verdict.doubt.is_none();
                    tally.clear += usize::from(clear);
                    tally.doubtful += usize::from(!clear);
                    self.progress.measured(comparison, &verdict);
                }
                Err(missing) => {
                    tally.failed += usize::from(missing.failed);
                    tally.unavailable += usize::from(!missing.failed);
                    self.progress.missing(&missing);
                    self.writer.row(&Row::Unavailable(missing))?;
                    // What failed may be broken for the next one.
                    standing.clear();
                }
            }
        }
        Ok(tally)
    }

    fn compare(
        &mut self,
        comparison: &Comparison,
        standing: &mut Standing,
    ) -> Result<Result<Verdict, Unavailable>> {
        for path in [comparison.ours, comparison.twin] {
            let built = standing.build(path, comparison, self.workshop);
            // Whatever an interrupted set-up calls the cause, it is none of the path's.
            interrupted()?;
            if let Err(absence) = built {
                return Ok(Err(unavailable(comparison, path, absence)));
            }
        }
        let [ours, twin] = standing
            .both(comparison)
            .context("a path that was built does not stand")?;
        let (writer, progress) = (&mut *self.writer, &mut *self.progress);
        let mut keep = |trial| {
            progress.trial(&trial);
            writer.row(&Row::Trial(trial))
        };
        let runner = Runner {
            comparison: *comparison,
            rules: self.rules,
            seed: self.seed,
            watch: self.watch,
            keep: &mut keep,
        };
        let done = runner.run(Subjects { ours, twin })?;
        let failed = |failure: Failure| {
            unavailable(comparison, failure.path, Absence::Failed(failure.error))
        };
        Ok(done.map_err(failed))
    }
}

fn unavailable(comparison: &Comparison, path: PathName, absence: Absence) -> Unavailable {
    let (why, failed) = match absence {
        Absence::NotAvailable(why) => (why, false),
        Absence::Failed(error) => (format!("{error:#}"), true),
    };
    Unavailable {
        comparison: *comparison,
        path,
        why,
        failed,
    }
}

#[cfg(test)]
mod tests;
