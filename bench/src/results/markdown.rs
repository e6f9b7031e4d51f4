//! The report as Markdown: a section a kernel, a table a question. Nothing that was tried is left out.

use std::fmt::Write as _;

use super::{
    file::Results,
    goals,
    questions::QUESTIONS,
    row::Run,
    summary::{Found, Line, Summary},
    words,
};
use crate::{compared::Verdict, scenario::PathName};

pub mod figures;

const COLUMNS: [&str; 7] = [
    "conditions",
    "paths",
    "result",
    "95 % interval",
    "pairs",
    "ours",
    "other",
];

/// The whole report.
pub fn report(results: &Results) -> String {
    let mut out = String::from("# Results\n");
    out += &goals::section(results);
    for recorded in &results.runs {
        let summary = Summary::of(recorded);
        out += &heading(summary.run);
        for question in &QUESTIONS {
            let lines: Vec<&Line> = summary
                .lines
                .iter()
                .filter(|line| question.asks(&line.comparison))
                .collect();
            section(&mut out, (question.title, question.about), &lines);
        }
        let asked = |line: &Line| {
            QUESTIONS
                .iter()
                .any(|question| question.asks(&line.comparison))
        };
        let rest: Vec<&Line> = summary.lines.iter().filter(|line| !asked(line)).collect();
        section(
            &mut out,
            (
                "Others",
                "More than one condition differs from the plain point.",
            ),
            &rest,
        );
        out += &figures::section(&summary.figures);
    }
    out
}

/// Under which circumstances, and how to read the columns.
fn heading(run: &Run) -> String {
    let Run {
        kernel,
        machine,
        cpu,
        cores,
        seed,
        profile,
        started,
        ..
    } = run;
    let demands = run.demands;
    let mut tools = String::new();
    for (name, version) in &run.tools {
        let _ = write!(tools, ", {name} {version}");
    }
    if run.dirty {
        tools += ", with changes that no commit has";
    }
    format!(
        "\n## Kernel {kernel}, {machine}\n\n\
         {cpu}, {cores} CPUs; revision {revision}{tools}; profile {profile}, seed {seed}, {started}.\n\n\
         *Pairs*: those that count of those that were run; a pair does not count when the calibration around it moved by more than \
         {calibration:.0} % or more than {steal:.0} % of the CPU time was stolen. *Inconclusive*: fewer than {min} pairs count, or half \
         of the interval is more than ±{tolerance:.0} %. *Interval*: of few pairs it is their range, which holds the true median 75 times in \
         100 with three of them, 94 with five, 97 with six. *Overloaded*: a path that does not slow its sender down got more than it \
         carries, and may carry more when it gets less. *Ours* and *other* are medians for orientation: they say little beyond this \
         machine and this hour.\n",
        revision = run.revision,
        calibration = demands.limits.calibration * 100.0,
        steal = demands.limits.steal * 100.0,
        min = demands.min_pairs,
        tolerance = demands.tolerance * 100.0,
    )
}

fn section(out: &mut String, (title, about): (&str, &str), lines: &[&Line]) {
    if lines.is_empty() {
        return;
    }
    let _ = write!(out, "\n### {title}\n\n{about}\n\n");
    table(out, &COLUMNS);
    for line in lines {
        let _ = writeln!(out, "| {} |", cells(line).join(" | "));
    }
}

/// The first lines of a table.
fn table(out: &mut String, columns: &[&str]) {
    let _ = writeln!(out, "| {} |", columns.join(" | "));
    let _ = writeln!(out, "|{}", "---|".repeat(columns.len()));
}

fn cells(line: &Line) -> [String; 7] {
    let comparison = &line.comparison;
    let conditions = words::conditions(comparison);
    let paths = words::paths(comparison.ours, comparison.twin);
    match &line.found {
        Found::Missing { path, why, failed } => {
            let none = || "-".to_owned();
            [
                conditions,
                paths,
                missing(path.as_str(), why, *failed),
                none(),
                none(),
                none(),
                none(),
            ]
        }
        Found::Measured {
            verdict,
            discarded,
            overloaded,
        } => {
            let of = |figure: Option<f64>| {
                figure.map_or("-".to_owned(), |value| {
                    words::value(comparison.metric, value)
                })
            };
            let interval = verdict
                .estimate
                .map(|estimate| words::interval(verdict.compared, estimate));
            [
                conditions,
                paths,
                result(verdict) + &beyond(overloaded),
                interval.unwrap_or_else(|| "-".to_owned()),
                format!("{} of {}", verdict.used, verdict.used + discarded),
                of(verdict.ours),
                of(verdict.twin),
            ]
        }
    }
}

/// What to know of paths that got far more than they carry.
pub(super) fn beyond(overloaded: &[(PathName, f64)]) -> String {
    let told = overloaded.iter().map(|(path, share)| {
        let share = share * 100.0;
        format!(" ({path} overloaded: {share:.0} % of what it was sent arrived)")
    });
    told.collect()
}

/// The figure in bold, or the doubt.
fn result(verdict: &Verdict) -> String {
    let middle = verdict
        .estimate
        .map(|estimate| words::middle(verdict.compared, estimate));
    match (&verdict.doubt, middle) {
        (None, Some(middle)) => format!("**{middle}**"),
        (Some(doubt), Some(middle)) => format!("inconclusive ({middle}): {doubt}"),
        (doubt, None) => format!(
            "inconclusive: {}",
            doubt.as_deref().unwrap_or("no pair counts")
        ),
    }
}

/// Why there is no result, in one line of a table.
pub(super) fn missing(path: &str, why: &str, failed: bool) -> String {
    let why = cell(why);
    if failed {
        format!("failed: {path}: {why}")
    } else {
        format!("not available: {path}: {why}")
    }
}

/// Text that stays within its cell.
pub(super) fn cell(text: &str) -> String {
    let lines: Vec<&str> = text.split_whitespace().collect();
    lines.join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests;
