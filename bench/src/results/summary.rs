//! What the raw rows of a run come to: one line a comparison.

use super::{
    file::Recorded,
    row::{Row, Run, Trial, Unavailable},
};
use crate::{
    compared::{Pair, Verdict},
    figures::Figure,
    rate::{OVERLOADED, share_received},
    scenario::{Comparison, PathName},
    stats::median,
};

/// A run in short.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary<'r> {
    /// Under which circumstances.
    pub run: &'r Run,
    /// In the order in which they were measured.
    pub lines: Vec<Line>,
    /// The same.
    pub figures: Vec<&'r Figure>,
}

/// A comparison and its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What was compared.
    pub comparison: Comparison,
    /// What was found.
    pub found: Found,
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// There are pairs.
    Measured {
        /// What they come to.
        verdict: Verdict,
        /// Pairs that do not count.
        discarded: usize,
        /// Paths that were sent far more than they carry, and the share that arrived.
        overloaded: Vec<(PathName, f64)>,
    },
    /// One of the paths cannot be had.
    Missing {
        /// Which.
        path: PathName,
        /// Why, and what to do.
        why: String,
        /// It should have worked.
        failed: bool,
    },
}

impl Line {
    /// The verdict, if it has no doubt.
    pub fn conclusive(&self) -> Option<&Verdict> {
        match &self.found {
            Found::Measured { verdict, .. } if verdict.doubt.is_none() => Some(verdict),
            Found::Measured { .. } | Found::Missing { .. } => None,
        }
    }
}

impl<'r> Summary<'r> {
    /// Sums a run up.
    pub fn of(recorded: &'r Recorded) -> Self {
        let mut gathered: Vec<Gathered> = Vec::new();
        let mut figures = Vec::new();
        for row in &recorded.rows {
            match row {
                Row::Trial(trial) => gather(&mut gathered, trial.comparison).trial(trial),
                Row::Unavailable(row) => gather(&mut gathered, row.comparison).missing = Some(row),
                Row::Figure(figure) => figures.push(figure),
                Row::Run(_) => {}
            }
        }
        let run = &recorded.run;
        let lines = gathered
            .into_iter()
            .map(|gathered| gathered.line(run))
            .collect();
        Self {
            run,
            lines,
            figures,
        }
    }
}

/// The rows of a comparison.
struct Gathered<'r> {
    comparison: Comparison,
    pairs: Vec<Pair>,
    /// Of each half that counts: the path, and the share of its packets that arrived.
    arrived: Vec<(PathName, f64)>,
    discarded: usize,
    first: Option<&'r Trial>,
    missing: Option<&'r Unavailable>,
}

fn gather<'g, 'r>(all: &'g mut Vec<Gathered<'r>>, comparison: Comparison) -> &'g mut Gathered<'r> {
    let known = all
        .iter()
        .position(|gathered| gathered.comparison == comparison);
    let index = known.unwrap_or_else(|| {
        all.push(Gathered {
            comparison,
            pairs: Vec::new(),
            arrived: Vec::new(),
            discarded: 0,
            first: None,
            missing: None,
        });
        all.len() - 1
    });
    &mut all[index]
}

impl<'r> Gathered<'r> {
    fn trial(&mut self, trial: &'r Trial) {
        if trial.half == 0 {
            // A pair whose run ended in its middle has no second half, and does not count.
            self.discarded += usize::from(trial.discarded.is_some());
            self.first = Some(trial);
            return;
        }
        let first = self
            .first
            .take()
            .filter(|first| first.pair == trial.pair && trial.discarded.is_none());
        let Some(first) = first else { return };
        let value = |path| {
            [first, trial]
                .into_iter()
                .find(|half| half.path == path)
                .map(|half| half.value)
        };
        let values = value(self.comparison.ours).zip(value(self.comparison.twin));
        self.pairs
            .extend(values.map(|(ours, twin)| Pair { ours, twin }));
        let shares = [first, trial].map(|half| Some((half.path, share_received(&half.details)?)));
        self.arrived.extend(shares.into_iter().flatten());
    }

    fn overloaded(&self) -> Vec<(PathName, f64)> {
        let of = |path: PathName| {
            let shares = self.arrived.iter().filter(|(other, _)| *other == path);
            let shares: Vec<f64> = shares.map(|(_, share)| *share).collect();
            Some((path, median(&shares)?))
        };
        [self.comparison.ours, self.comparison.twin]
            .into_iter()
            .filter_map(of)
            .filter(|(_, share)| *share < OVERLOADED)
            .collect()
    }

    fn line(self, run: &Run) -> Line {
        let overloaded = self.overloaded();
        let Self {
            comparison,
            discarded,
            ..
        } = self;
        let found = match self.missing {
            Some(missing) => Found::Missing {
                path: missing.path,
                why: missing.why.clone(),
                failed: missing.failed,
            },
            None => Found::Measured {
                verdict: Verdict::of(comparison.metric, &self.pairs, &run.demands, run.seed),
                discarded,
                overloaded,
            },
        };
        Line { comparison, found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{file::Results, sample};

    #[test]
    fn pairs_are_found_again_and_discarded_ones_counted() {
        let results = sample::results();
        let summary = Summary::of(&results.runs[0]);
        let Found::Measured {
            verdict, discarded, ..
        } = &summary.lines[0].found
        else {
            panic!("{:?}", summary.lines[0]);
        };
        assert_eq!((verdict.used, *discarded), (3, 1));
        assert!((verdict.estimate.expect("pairs").median - 0.8).abs() < 1e-9);
        assert_eq!(verdict.doubt, None);
        assert_eq!(summary.figures.len(), 1);
    }

    #[test]
    fn what_cannot_be_had_keeps_its_line() {
        let results = sample::results();
        let summary = Summary::of(&results.runs[0]);
        let missing: Vec<_> = summary
            .lines
            .iter()
            .filter(|line| matches!(line.found, Found::Missing { .. }))
            .collect();
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].comparison.twin, PathName::GretapBridge);
    }

    #[test]
    fn a_path_that_loses_most_of_what_it_is_sent_is_named() {
        let mut rows = sample::rows();
        for row in &mut rows {
            if let Row::Trial(trial) = row
                && trial.path == PathName::VxlanBridge
            {
                trial.details.insert("sent".to_owned(), 1000);
                trial.details.insert("received".to_owned(), 80);
            }
        }
        let results = sample::of(&rows);
        let lines = Summary::of(&results.runs[0]).lines;
        let told: Vec<_> = lines
            .iter()
            .filter_map(|line| match &line.found {
                Found::Measured { overloaded, .. } => overloaded.first().copied(),
                Found::Missing { .. } => None,
            })
            .collect();
        assert_eq!(told, [(PathName::VxlanBridge, 0.08)]);
    }

    #[test]
    fn a_half_without_its_other_half_does_not_count() {
        let rows = sample::rows();
        let text: Vec<_> = rows[..2]
            .iter()
            .map(|row| serde_json::to_string(row).expect("JSON"))
            .collect();
        let results = Results::parse(&text.join("\n"), "half").expect("rows");
        let summary = Summary::of(&results.runs[0]);
        let Found::Measured { verdict, .. } = &summary.lines[0].found else {
            panic!("{:?}", summary.lines[0]);
        };
        assert_eq!(verdict.used, 0);
        assert!(verdict.doubt.is_some());
    }
}
