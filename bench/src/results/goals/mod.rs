//! What the dataplane is to reach, and whether a result file shows that it does.

mod list;
mod table;

use super::{
    file::Results,
    markdown::{self, figures},
    row::MachineKind,
    summary::{Found, Line, Summary},
    words,
};
use crate::{
    compared::Verdict,
    figures::{Figure, Unit},
    scenario::Comparison,
    stats::Estimate,
};

pub use list::goals;
pub(super) use table::section;
#[cfg(test)]
pub(super) use table::{BEGIN, END, text};
pub use table::{table, tally};

/// One thing to reach.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// What is to be reached.
    pub metric: &'static str,
    /// How far.
    pub wanted: Wanted,
    /// Further still, in the same direction.
    pub stretch: Option<f64>,
    /// The row that tells.
    pub reads: Reads,
}

/// How far, in the unit of the row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
    /// It is only told: how far others get, or what the limit is.
    Told,
}

/// A row of a result file.
#[derive(Clone, Debug, PartialEq)]
pub enum Reads {
    /// The result of a comparison on this kind of machine.
    Comparison(MachineKind, Comparison),
    /// A figure of one path alone, on the machine itself.
    Figure {
        /// Its name.
        name: &'static str,
        /// Its conditions by name, all of them.
        parameters: Vec<(&'static str, String)>,
    },
}

/// What a file says of a goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The whole interval is on the right side; of the stretch too.
    Met(bool),
    /// The whole interval is on the wrong side.
    NotMet,
    /// It may be either, and why.
    Inconclusive(String),
    /// There is no such result, and why.
    Absent(String),
    /// Nothing was wanted.
    Told,
}

/// A goal with what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The goal.
    pub goal: Goal,
    /// The row in words.
    pub row: String,
    /// What was measured, with its interval.
    pub measured: Option<String>,
    /// Whether it is reached.
    pub judgement: Judgement,
}

impl Wanted {
    /// Whether an interval reaches it.
    fn judge(self, stretch: Option<f64>, estimate: Estimate) -> Judgement {
        // As if more were better.
        let (goal, sign, worst, best) = match self {
            Self::AtLeast(goal) => (goal, 1.0, estimate.low, estimate.high),
            Self::AtMost(goal) => (goal, -1.0, -estimate.high, -estimate.low),
            Self::Told => return Judgement::Told,
        };
        let reached = |goal: f64| worst >= sign * goal;
        if reached(goal) {
            Judgement::Met(stretch.is_some_and(reached))
        } else if best < sign * goal {
            Judgement::NotMet
        } else {
            Judgement::Inconclusive("the goal is inside the interval".to_owned())
        }
    }
}

/// Every goal with what a file says of it.
pub fn judge(results: &Results) -> Vec<Judged> {
    let summaries: Vec<Summary> = results.runs.iter().map(Summary::of).collect();
    let judge = |goal| judged(goal, &summaries);
    goals().into_iter().map(judge).collect()
}

fn judged(goal: Goal, summaries: &[Summary]) -> Judged {
    let (row, found) = match &goal.reads {
        Reads::Comparison(machine, comparison) => {
            let place = match machine {
                MachineKind::Host => "",
                MachineKind::Guest => ", in the guest",
            };
            let paths = words::paths(comparison.ours, comparison.twin);
            let row = format!("{paths}, {}{place}", words::conditions(comparison));
            (row, line(&goal, (*machine, comparison), summaries))
        }
        Reads::Figure { name, parameters } => {
            let mut wanted = Figure::new(name, Unit::Nanoseconds);
            for (name, value) in parameters {
                wanted = wanted.with(name, value);
            }
            let row = format!("{name}: {}", figures::parameters(&wanted));
            let mut all = summaries.iter().rev().flat_map(|summary| &summary.figures);
            let alike = |figure: &&&Figure| {
                figure.name == wanted.name && figure.parameters == wanted.parameters
            };
            (row, all.find(alike).map(|figure| of_figure(&goal, figure)))
        }
    };
    let none = || (None, Judgement::Absent("no row has it".to_owned()));
    let (measured, judgement) = found.unwrap_or_else(none);
    Judged {
        goal,
        row,
        measured,
        judgement,
    }
}

/// What was measured, and what that means.
type Outcome = (Option<String>, Judgement);

/// Of the last run on such a machine that has the comparison.
fn line(
    goal: &Goal,
    (machine, comparison): (MachineKind, &Comparison),
    summaries: &[Summary],
) -> Option<Outcome> {
    let runs = summaries.iter().rev();
    let mut there = runs.filter(|summary| summary.run.machine == machine);
    there.find_map(|summary| {
        let mut lines = summary.lines.iter();
        let line = lines.find(|line| line.comparison == *comparison)?;
        Some(of_line(goal, line, summary.run.demands.min_pairs))
    })
}

fn of_line(goal: &Goal, line: &Line, least: usize) -> Outcome {
    match &line.found {
        Found::Missing { path, why, failed } => {
            let why = markdown::missing(path.as_str(), why, *failed);
            (None, Judgement::Absent(why))
        }
        Found::Measured {
            verdict,
            overloaded,
            ..
        } => {
            let Verdict {
                estimate,
                used,
                compared,
                ..
            } = verdict;
            let Some(estimate) = *estimate else {
                return (None, Judgement::Inconclusive(doubt(verdict)));
            };
            let (middle, interval) = (
                words::middle(*compared, estimate),
                words::interval(*compared, estimate),
            );
            let measured = format!("{middle} ({interval}){}", markdown::beyond(overloaded));
            let judgement = if *used < least {
                Judgement::Inconclusive(doubt(verdict))
            } else {
                goal.wanted.judge(goal.stretch, estimate)
            };
            (Some(measured), judgement)
        }
    }
}

/// Why pairs say nothing.
fn doubt(verdict: &Verdict) -> String {
    let doubt = verdict.doubt.clone();
    doubt.unwrap_or_else(|| "no pair counts".to_owned())
}

fn of_figure(goal: &Goal, figure: &Figure) -> Outcome {
    let Some(estimate) = Estimate::of(&figure.trials, 0).filter(|_| figure.absence.is_none())
    else {
        let why = figure.absence.as_deref().unwrap_or("no trials");
        return (None, Judgement::Absent(markdown::cell(why)));
    };
    let Estimate { median, low, high } = estimate;
    let [median, low, high] = [median, low, high].map(figures::scaled);
    let trials = figure.trials.len();
    let measured = match trials {
        1 => format!("{median} {}", figure.unit),
        _ => format!(
            "{median} {} ({low} to {high}, {trials} trials)",
            figure.unit
        ),
    };
    (Some(measured), goal.wanted.judge(goal.stretch, estimate))
}

#[cfg(test)]
mod tests;
