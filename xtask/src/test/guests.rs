//! The tier of guests: test programs on stock kernels, in virtual machines.
//!
//! One guest of each kernel runs all programs, one after the other. It has the network devices eth0
//! and eth1, cabled to each other, if this machine can make them.

use super::programs::{Program, count};
use super::report::Report;
use super::tally::Tally;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use xtask::vm::{Guest, Nics, Outcome, Series, Stream};
use xtask::{lab, shell};

/// All programs of one kernel together take no longer.
const LIMIT: Duration = Duration::from_mins(20);
/// Lines that the guest says around a program's own.
const BEGIN: &str = "::begin ";
const END: &str = "::end ";

/// Runs the programs in a guest of each kernel, and counts under the name of the kernel.
pub(super) fn run(programs: &[Program], filter: Option<&str>, tally: &mut Tally) {
    let chosen: Vec<_> = programs
        .iter()
        .filter(|program| program.in_guests() && program.has_ignored(filter))
        .collect();
    if chosen.is_empty() {
        return;
    }
    for series in Series::ALL {
        let guest = guest(series);
        if let Err(why) = guest.prepare() {
            for program in &chosen {
                tally.skip(format!("{} on {series}: {why:#}", program.name()));
            }
            continue;
        }
        let done = boot(guest, &chosen, filter, tally);
        tally.check(&format!("guest {series}"), done);
    }
}

fn guest(series: Series) -> Guest {
    let cable = Path::new("/dev/net/tun").exists();
    Guest {
        limit: LIMIT,
        nics: if cable { Nics::Pair } else { Nics::None },
        ..Guest::new(series)
    }
}

fn boot(
    mut guest: Guest,
    programs: &[&Program],
    filter: Option<&str>,
    tally: &mut Tally,
) -> Result<()> {
    let skips = lab::TempDir::new("skips")?;
    let log = skips.path().join("log");
    guest.writable.push(skips.path().to_owned());
    let mut command = Command::new("sh");
    command.arg("-c").arg(script(programs, filter));
    command.env(lab::SKIP_LOG, &log);
    let series = guest.series;
    eprintln!(
        "+ {} vm --kernel {series}",
        shell::line(&shell::cargo(["xtask"]))
    );
    let mut reader = Reader::new(series, tally);
    let outcome = guest.run(&command, &mut |stream, bytes| match stream {
        Stream::Out => reader.take(bytes),
        Stream::Err => xtask::vm::print(stream, bytes),
    })?;
    let ran = reader.ran;
    let skipped = std::fs::read_to_string(log).unwrap_or_default();
    tally.skipped_themselves(&on(series, &skipped));
    match outcome {
        Outcome::Exited(0) if ran == programs.len() => Ok(()),
        Outcome::Exited(status) => {
            bail!(
                "ran {ran} of {} programs, exit status {status}",
                programs.len()
            )
        }
        Outcome::Died(why) => bail!("ended early, after {ran} programs\n{why}"),
        Outcome::TimedOut(why) => bail!("did not end within {LIMIT:?}\n{why}"),
    }
}

/// Runs all programs, whether or not one fails.
fn script(programs: &[&Program], filter: Option<&str>) -> String {
    let one = |program: &&Program| {
        let line = shell::line(&program.ignored_tests(filter));
        let name = program.name();
        // A program that dies may leave a line unfinished.
        format!("echo '{BEGIN}{name}'\n{line}\nprintf '\\n{END}%s\\n' $?\n")
    };
    programs
        .iter()
        .map(one)
        .chain(["exit 0\n".to_owned()])
        .collect()
}

/// The log of skipped tests, with the kernel beside the reason.
fn on(series: Series, log: &str) -> String {
    let lines = log.lines().map(|line| format!("{line} (on {series})\n"));
    lines.collect()
}

/// Reads what the programs print, repeats it, and counts.
struct Reader<'a> {
    series: Series,
    tally: &'a mut Tally,
    unfinished: Vec<u8>,
    current: Option<(String, Report)>,
    ran: usize,
}

impl<'a> Reader<'a> {
    fn new(series: Series, tally: &'a mut Tally) -> Self {
        Self {
            series,
            tally,
            unfinished: Vec::new(),
            current: None,
            ran: 0,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
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
