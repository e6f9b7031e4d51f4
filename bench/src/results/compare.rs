//! Two result files: what changed from the one to the other.

use std::fmt::Write as _;

use anyhow::{Result, ensure};

use super::{
    file::{Recorded, Results},
    markdown,
    row::Run,
    summary::{Line, Summary},
    words,
};
use crate::{
    compared::{Compared, Verdict},
    figures::{Figure, Unit},
    stats::Estimate,
};

/// What a row of both files shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The intervals have a value in common.
    NoneShown,
    /// Better beyond the intervals.
    Better,
    /// Worse beyond the intervals.
    Worse,
}

/// All differences of two files.
#[derive(Debug, Default)]
pub struct Comparison {
    /// For a person to read.
    pub text: String,
    /// Rows that are worse.
    pub worse: usize,
    /// Of the runs that are compared: changes up to it are none.
    tolerance: f64,
}

/// A figure with fewer trials says too little of how it wobbles.
const TRIALS: usize = 5;

/// Compares the runs that both files have, kernel by kernel. An error: they have none in common.
pub fn compare(old: &Results, new: &Results) -> Result<Comparison> {
    let mut comparison = Comparison::default();
    let mut compared = 0;
    for after in &new.runs {
        let Some(before) = old
            .runs
            .iter()
            .find(|before| same_place(&before.run, &after.run))
        else {
            continue;
        };
        compared += 1;
        comparison.runs(before, after);
    }
    ensure!(
        compared > 0,
        "there is nothing to compare: the first file is of {}, the second of {}; results are compared within one kernel, machine kind and profile only",
        places(old),
        places(new)
    );
    Ok(comparison)
}

/// Results of two runs mean the same only on the same kernel and kind of machine, by one profile.
fn same_place(one: &Run, two: &Run) -> bool {
    let place = |run: &Run| (run.kernel.clone(), run.machine, run.profile.clone());
    place(one) == place(two)
}

fn places(results: &Results) -> String {
    let place = |recorded: &Recorded| {
        let Run {
            kernel,
            machine,
            profile,
            ..
        } = &recorded.run;
        format!("kernel {kernel} ({machine}, profile {profile})")
    };
    results
        .runs
        .iter()
        .map(place)
        .collect::<Vec<_>>()
        .join(" and ")
}

impl Comparison {
    fn runs(&mut self, before: &Recorded, after: &Recorded) {
        let (old, new) = (Summary::of(before), Summary::of(after));
        self.tolerance = old.run.demands.tolerance.max(new.run.demands.tolerance);
        let (from, to) = (&old.run.revision, &new.run.revision);
        let _ = writeln!(
            self.text,
            "kernel {} ({}), {from} to {to}",
            new.run.kernel, new.run.machine
        );
        for line in &new.lines {
            let same = old
                .lines
                .iter()
                .find(|other| other.comparison == line.comparison);
            self.line(same, line);
        }
        for line in &old.lines {
            if !new
                .lines
                .iter()
                .any(|other| other.comparison == line.comparison)
            {
                self.say(&title(line), "only in the first file");
            }
        }
        self.figures(&old, &new);
    }

    fn line(&mut self, old: Option<&Line>, new: &Line) {
        let title = title(new);
        let Some(old) = old else {
            return self.say(&title, "only in the second file");
        };
        let (Some(before), Some(after)) = (old.conclusive(), new.conclusive()) else {
            return self.say(
                &title,
                "not compared: inconclusive or not available in one of the files",
            );
        };
        if let (Some(from), Some(to)) = (before.estimate, after.estimate) {
            let tolerance = match after.compared {
                Compared::Ratio => self.tolerance * from.median,
                Compared::Difference => self.tolerance * after.twin.unwrap_or_default(),
            };
            let change = changed(
                (from, to),
                tolerance,
                after.compared == Compared::Difference,
            );
            self.change(&title, change, &told(after, from, to));
        }
    }

    /// Absolute figures mean nothing on another machine.
    fn figures(&mut self, old: &Summary, new: &Summary) {
        if old.figures.is_empty() || new.figures.is_empty() {
            return;
        }
        let machine = |run: &Run| format!("{}, {} CPUs", run.cpu, run.cores);
        if machine(old.run) != machine(new.run) {
            let (from, to) = (machine(old.run), machine(new.run));
            return self.say(
                "figures",
                &format!("not compared: measured on {from} and on {to}"),
            );
        }
        for figure in &new.figures {
            let same = |other: &&&Figure| {
                (&other.name, &other.parameters) == (&figure.name, &figure.parameters)
            };
            let Some(before) = old.figures.iter().find(same) else {
                continue;
            };
            let title = format!("{} {}", figure.name, markdown::figures::parameters(figure));
            if before.trials.len().min(figure.trials.len()) < TRIALS {
                self.say(&title, &format!("not compared: fewer than {TRIALS} trials"));
                continue;
            }
            let both = Estimate::of(&before.trials, 0).zip(Estimate::of(&figure.trials, 0));
            let Some((from, to)) = both.filter(|_| before.unit == figure.unit) else {
                continue;
            };
            let told = format!("{} {}", ratio(from, to), figure.unit);
            let tolerance = self.tolerance * from.median;
            let change = changed((from, to), tolerance, less_is_better(figure));
            self.change(&title, change, &told);
        }
    }

    fn change(&mut self, title: &str, change: Change, told: &str) {
        let word = match change {
            Change::NoneShown => "no difference shown",
            Change::Better => "better",
            Change::Worse => "WORSE",
        };
        self.worse += usize::from(change == Change::Worse);
        self.say(title, &format!("{word}: {told}"));
    }

    fn say(&mut self, title: &str, told: &str) {
        let _ = writeln!(self.text, "  {title}: {told}");
    }
}

fn title(line: &Line) -> String {
    let comparison = &line.comparison;
    let paths = words::paths(comparison.ours, comparison.twin);
    format!("{paths}, {}", words::conditions(comparison))
}

/// Judges by intervals that have nothing in common, and medians further apart than `tolerance`: of
/// very many rows some have disjoint intervals by chance.
pub fn changed((from, to): (Estimate, Estimate), tolerance: f64, less_is_better: bool) -> Change {
    if from.overlaps(to) || (to.median - from.median).abs() <= tolerance {
        return Change::NoneShown;
    }
    if (to.median < from.median) == less_is_better {
        Change::Better
    } else {
        Change::Worse
    }
}

fn told(after: &Verdict, from: Estimate, to: Estimate) -> String {
    match after.compared {
        Compared::Ratio => ratio(from, to),
        Compared::Difference => format!(
            "{:+.1} µs to {:+.1} µs, {:+.1} µs ({:+.1} to {:+.1})",
            from.median,
            to.median,
            to.median - from.median,
            to.low - from.high,
            to.high - from.low
        ),
    }
}

/// The change as a share. Its interval is that of the two ends furthest apart, so that it holds no
/// change exactly where the two intervals overlap.
fn ratio(from: Estimate, to: Estimate) -> String {
    let share = |to: f64, from: f64| (to / from - 1.0) * 100.0;
    format!(
        "{} to {}, {:+.1} % ({:+.1} to {:+.1} %)",
        markdown::figures::scaled(from.median),
        markdown::figures::scaled(to.median),
        share(to.median, from.median),
        share(to.low, from.high),
        share(to.high, from.low)
    )
}

fn less_is_better(figure: &Figure) -> bool {
    figure.unit != Unit::RecordsPerSecond
}

#[cfg(test)]
mod tests;
