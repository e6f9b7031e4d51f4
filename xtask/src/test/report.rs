//! Reads what a Rust test program prints.

use anyhow::{Result, bail};
use std::fmt::Display;

/// The result of one program, line by line.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Report {
    pub(super) passed: usize,
    pub(super) failed: Vec<String>,
    /// Name and reason.
    pub(super) ignored: Vec<(String, String)>,
    /// The last line was there, so the program ran to its end.
    pub(super) complete: bool,
}

impl Report {
    /// Takes the next line of output.
    pub(super) fn line(&mut self, line: &str) {
        if line.starts_with("test result: ") {
            self.complete = true;
        }
        let Some((name, verdict)) = outcome(line) else {
            return;
        };
        match verdict.split_once(", ").unwrap_or((verdict, "")) {
            ("ok", _) => self.passed += 1,
            ("FAILED", _) => self.failed.push(name.to_owned()),
            ("ignored", why) => self.ignored.push((name.to_owned(), why.to_owned())),
            _ => {}
        }
    }

    /// Fails when the program failed in a way that no line told.
    pub(super) fn agrees(&self, success: bool, status: impl Display) -> Result<()> {
        // A failed test is told by its line; a program that dies before the end is not.
        let told = self.complete && !self.failed.is_empty();
        if !success && !told {
            bail!("ended early: {status}");
        }
        Ok(())
    }
}

/// Name and verdict of `test NAME ... VERDICT`; what a test itself printed may stand between.
fn outcome(line: &str) -> Option<(&str, &str)> {
    let (name, verdict) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((name.trim_end_matches(" - should panic"), verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line() {
        let mut report = Report::default();
        let output = "running 4 tests\ntest a::good ... ok\ntest a::boom - should panic ... ok\n\
            test a::bad ... FAILED\ntest b::root ... ignored, needs root: cargo xtask test\n\n\
            failures:\n    a::bad\n\ntest result: FAILED. 2 passed; 1 failed; 1 ignored;\n";
        output.lines().for_each(|line| report.line(line));
        let ignored = (
            "b::root".to_owned(),
            "needs root: cargo xtask test".to_owned(),
        );
        let expected = Report {
            passed: 2,
            failed: vec!["a::bad".to_owned()],
            ignored: vec![ignored],
            complete: true,
        };
        assert_eq!(report, expected);
    }

    #[test]
    fn a_program_that_dies_is_not_complete() {
        let mut report = Report::default();
        report.line("running 1 test");
        assert!(!report.complete);
    }
}
