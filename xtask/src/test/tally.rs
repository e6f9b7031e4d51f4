//! What passed, what failed and what was skipped, over all tiers.

use anyhow::Result;
use std::collections::BTreeSet;

/// The running count.
#[derive(Debug, Default)]
pub(super) struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Tally {
    /// Counts tests that passed, and those that failed by name.
    pub(super) fn add(&mut self, passed: usize, failed: &[String]) {
        self.passed += passed;
        self.failed.extend_from_slice(failed);
    }

    /// Counts a test that did not run, or gave up at once: `NAME: WHY`.
    pub(super) fn skip(&mut self, why: String) {
        self.skipped.push(why);
    }

    /// Takes tests that called themselves passed, but had logged that they skip themselves.
    pub(super) fn skipped_themselves(&mut self, log: &str) {
        let lines: BTreeSet<_> = log
            .lines()
            .filter_map(|line| line.strip_prefix("skipped: "))
            .collect();
        self.passed = self.passed.saturating_sub(lines.len());
        self.skipped.extend(lines.into_iter().map(str::to_owned));
    }

    /// A step that is not a test counts only when it fails.
    pub(super) fn check<T>(&mut self, step: &str, result: Result<T>) -> Option<T> {
        result
            .map_err(|error| {
                eprintln!("{step}: {error:#}");
                self.failed.push(step.to_owned());
            })
            .ok()
    }

    pub(super) fn failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// The reasons, the failures, and the last line.
    pub(super) fn print(&self) {
        for why in &self.skipped {
            println!("skipped: {why}");
        }
        for name in &self.failed {
            println!("failed: {name}");
        }
        println!("{}", self.summary());
    }

    #[cfg(test)]
    pub(super) fn failures(&self) -> &[String] {
        &self.failed
    }

    #[cfg(test)]
    pub(super) fn skips(&self) -> &[String] {
        &self.skipped
    }

    pub(super) fn summary(&self) -> String {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        format!(
            "{passed} passed, {} failed, {} skipped",
            failed.len(),
            skipped.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_skips_itself_did_not_pass() {
        let mut tally = Tally::default();
        tally.add(3, &["overlay::ping".to_owned()]);
        tally.skipped_themselves("skipped: tap: no /dev/net/tun\nskipped: tap: no /dev/net/tun\n");
        assert_eq!(tally.summary(), "2 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn a_step_counts_when_it_fails() {
        let mut tally = Tally::default();
        assert_eq!(tally.check("lint", Ok(1)), Some(1));
        assert_eq!(
            tally.check("build", Err::<(), _>(anyhow::anyhow!("no compiler"))),
            None
        );
        assert_eq!(tally.summary(), "0 passed, 1 failed, 0 skipped");
    }
}
