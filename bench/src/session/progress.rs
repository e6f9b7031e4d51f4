//! What a person sees of a run.

use std::{collections::BTreeSet, io::IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    compared::Verdict,
    results::{
        row::{Trial, Unavailable},
        words,
    },
    scenario::Comparison,
};

/// Hears of each step.
pub trait Progress {
    /// The comparison of this index begins.
    fn begin(&mut self, index: usize, comparison: &Comparison);
    /// A half was measured.
    fn trial(&mut self, trial: &Trial);
    /// A comparison has its verdict.
    fn measured(&mut self, comparison: &Comparison, verdict: &Verdict);
    /// A comparison has none.
    fn missing(&mut self, missing: &Unavailable);
}

/// A bar on a terminal, a line a comparison elsewhere; on standard error.
pub struct Bar {
    shown: ProgressBar,
    total: usize,
    index: usize,
    pairs: BTreeSet<usize>,
}

impl Bar {
    /// For so many comparisons.
    pub fn new(total: usize) -> Self {
        let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
        bar.set_draw_target(ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(
            "{bar:24} {pos}/{len} {elapsed} (about {eta} to go) {wide_msg}",
        );
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(std::time::Duration::from_millis(500));
        Self {
            shown: bar,
            total,
            index: 0,
            pairs: BTreeSet::new(),
        }
    }

    /// One line that stays.
    pub fn say(&self, line: &str) {
        if std::io::stderr().is_terminal() {
            self.shown.println(line);
        } else {
            eprintln!("{line}");
        }
    }

    /// What goes on after the comparisons.
    pub fn announce(&self, what: &str) {
        self.shown.set_message(what.to_owned());
        if !std::io::stderr().is_terminal() {
            eprintln!("{what}");
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.shown.finish_and_clear();
    }

    fn done(&mut self, told: &str) {
        self.shown.inc(1);
        self.say(&format!("[{}/{}] {told}", self.index + 1, self.total));
    }
}

impl Progress for Bar {
    fn begin(&mut self, index: usize, comparison: &Comparison) {
        (self.index, self.pairs) = (index, BTreeSet::new());
        self.shown
            .set_message(format!("setting up {}", title(comparison)));
    }

    fn trial(&mut self, trial: &Trial) {
        self.pairs.insert(trial.pair);
        self.shown.set_message(format!(
            "pair {} of {}",
            self.pairs.len(),
            title(&trial.comparison)
        ));
    }

    fn measured(&mut self, comparison: &Comparison, verdict: &Verdict) {
        let told = told(verdict);
        let pairs = format!("{} of {} pairs count", verdict.used, self.pairs.len());
        self.done(&format!("{}: {told}, {pairs}", title(comparison)));
    }

    fn missing(&mut self, missing: &Unavailable) {
        let word = if missing.failed {
            "failed"
        } else {
            "not available"
        };
        let told = format!(
            "{}: {word}: {}: {}",
            title(&missing.comparison),
            missing.path,
            missing.why
        );
        self.done(&told);
    }
}

fn title(comparison: &Comparison) -> String {
    format!(
        "{}, {}",
        words::paths(comparison.ours, comparison.twin),
        words::conditions(comparison)
    )
}

fn told(verdict: &Verdict) -> String {
    let figure = verdict.estimate.map(|estimate| {
        let (middle, interval) = (
            words::middle(verdict.compared, estimate),
            words::interval(verdict.compared, estimate),
        );
        format!("{middle} ({interval})")
    });
    let parts = [
        figure,
        verdict
            .doubt
            .as_ref()
            .map(|doubt| format!("inconclusive: {doubt}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
