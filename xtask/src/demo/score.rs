//! The checks of the demo and their table.

use anyhow::Result;
use xtask::lab;

/// What the demo found.
#[derive(Debug, Default)]
pub(crate) struct Score {
    /// How many checks hold.
    pub(crate) passed: usize,
    /// Those that do not, by name.
    pub(crate) failed: Vec<String>,
    rows: Vec<[String; 3]>,
}

/// What a check says when it holds, and what it hands on.
pub(super) trait Finding {
    type Value;
    fn split(self) -> (Self::Value, String);
}

impl Finding for String {
    type Value = ();
    fn split(self) -> ((), String) {
        ((), self)
    }
}

impl<T> Finding for (T, String) {
    type Value = T;
    fn split(self) -> (T, String) {
        self
    }
}

impl Score {
    /// Runs a check and notes how it went; the error of one that fails is shown at once.
    pub(super) fn check<F: Finding>(
        &mut self,
        name: &str,
        check: impl FnOnce() -> Result<F>,
    ) -> Option<F::Value> {
        match lab::interrupted().and_then(|()| check()) {
            Ok(finding) => {
                let (value, detail) = finding.split();
                println!("ok    {name}: {detail}");
                self.passed += 1;
                self.rows.push([name.to_owned(), "ok".to_owned(), detail]);
                Some(value)
            }
            // Says nothing about what was to be checked.
            Err(_) if lab::interrupted().is_err() => None,
            Err(error) => {
                println!("FAIL  {name}: {error:#}");
                self.failed.push(format!("demo {name}"));
                let first = error
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                self.rows.push([name.to_owned(), "FAIL".to_owned(), first]);
                None
            }
        }
    }

    /// The table, and the line with the count.
    pub(super) fn print(&self) {
        println!();
        for line in table(&self.rows) {
            println!("{line}");
        }
        println!("{}", self.summary());
    }

    fn summary(&self) -> String {
        format!(
            "demo: {} checks passed, {} failed",
            self.passed,
            self.failed.len()
        )
    }
}

/// Rows in columns as wide as their widest cell.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_is_counted_and_named() {
        let mut score = Score::default();
        assert_eq!(score.check("one", || Ok((7, "seven".to_owned()))), Some(7));
        assert_eq!(
            score.check("two", || Err::<String, _>(anyhow::anyhow!("no\nreply"))),
            None
        );
        assert_eq!(score.summary(), "demo: 1 checks passed, 1 failed");
        assert_eq!(table(&score.rows), ["one  ok    seven", "two  FAIL  no"]);
    }
}
