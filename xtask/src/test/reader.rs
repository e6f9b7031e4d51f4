//! What the guest tells of its programs.

use super::programs::count;
use super::report::Report;
use super::tally::Tally;
use anyhow::{Context, Result};
use xtask::vm::Series;

/// Lines that the guest says around a program's own.
pub(super) const BEGIN: &str = "::begin ";
pub(super) const END: &str = "::end ";

/// Reads what the programs print, repeats it, and counts.
pub(super) struct Reader<'a> {
    series: Series,
    tally: &'a mut Tally,
    unfinished: Vec<u8>,
    current: Option<(String, Report)>,
    ran: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(series: Series, tally: &'a mut Tally) -> Self {
        Self {
            series,
            tally,
            unfinished: Vec::new(),
            current: None,
            ran: 0,
        }
    }

    /// How many programs have ended.
    pub(super) fn ran(&self) -> usize {
        self.ran
    }

    /// Takes more output.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.unfinished.extend_from_slice(bytes);
        while let Some(end) = self.unfinished.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unfinished.drain(..=end).collect();
            self.line(String::from_utf8_lossy(&line).trim_end())?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<()> {
        if let Some(name) = line.strip_prefix(BEGIN) {
            let name = format!("{name} on {}", self.series);
            eprintln!("+ {name}");
            self.current = Some((name, Report::default()));
        } else if let Some(status) = line.strip_prefix(END) {
            let (name, report) = self.current.take().context("an end without a beginning")?;
            self.ran += 1;
            count(&name, &report, false, self.tally);
            self.tally
                .check(&name, report.agrees(status == "0", status));
        } else {
            println!("{line}");
            if let Some((_, report)) = &mut self.current {
                report.line(line);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> Tally {
        let mut tally = Tally::default();
        let mut reader = Reader::new(Series::V6_1, &mut tally);
        for piece in pieces {
            reader.take(piece.as_bytes()).unwrap();
        }
        tally
    }

    #[test]
    fn programs_are_counted_by_name_and_kernel() {
        let tally = read(&[
            "::begin tests/load\ntest a ... o",
            "k\ntest b ... FAILED\ntest result: FAILED. 1 passed\n\n::end 101\n",
        ]);
        assert_eq!(tally.summary(), "1 passed, 1 failed, 0 skipped");
        assert_eq!(tally.failures(), ["tests/load on 6.1 b"]);
    }

    #[test]
    fn a_program_that_dies_is_a_failure() {
        let tally = read(&["::begin tests/load\ntest a ... \n::end 134\n"]);
        assert_eq!(tally.failures(), ["tests/load on 6.1"]);
    }
}
