//! The test programs: built once, then run one after the other.

use super::report::Report;
use super::tally::Tally;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use xtask::{lab, shell};

/// A program that takes longer hangs.
const LIMIT: Duration = Duration::from_mins(20);

/// One executable of tests.
#[derive(Debug)]
pub(super) struct Program {
    target: String,
    executable: PathBuf,
    /// The folder of its package, where its tests expect to run.
    folder: PathBuf,
}

/// Which of its tests to run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tier {
    /// Those that need nothing. `later`: the ignored ones have their turn in this run.
    Plain { later: bool },
    /// Those that are marked ignored because they need root.
    Privileged,
}

/// Builds all programs, and the binaries that tests start.
pub(super) fn build() -> Result<Vec<Program>> {
    shell::stream(&mut shell::cargo(["build"]))?;
    let messages = shell::cargo_messages(&["test", "--no-run"])?;
    Ok(messages.iter().filter_map(Program::from_message).collect())
}

/// Examples in the documentation; cargo alone knows how to build them.
pub(super) fn doctests(tally: &mut Tally) {
    let mut command = shell::cargo(["test", "--doc"]);
    eprintln!("+ {}", shell::line(&command));
    match watch(&mut command) {
        Ok(report) => count("doctests", &report, false, tally),
        Err(error) => drop(tally.check("doctests", Err::<(), _>(error))),
    }
}

impl Program {
    fn from_message(message: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let manifest = PathBuf::from(text(&message["manifest_path"])?);
        let folder = manifest.parent()?.to_owned();
        if message["profile"]["test"] != true {
            return None;
        }
        Some(Self {
            target: text(&message["target"]["name"])?,
            executable: text(&message["executable"])?.into(),
            folder,
        })
    }

    /// Its ignored tests are the privileged ones.
    pub(super) fn privileged(&self) -> bool {
        self.folder
            .file_name()
            .is_some_and(|folder| folder == "tests")
    }

    /// Runs it and counts.
    pub(super) fn run(&self, tier: Tier, filter: Option<&str>, tally: &mut Tally) {
        let package = self.folder.file_name().unwrap_or_default();
        let name = format!("{}/{}", package.display(), self.target);
        let mut command = Command::new(&self.executable);
        command
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .args(filter);
        if matches!(tier, Tier::Privileged) {
            // Two at a time: they share the machine's network stack and two cores.
            command.args(["--ignored", "--test-threads=2"]);
            eprintln!("+ {name} --ignored");
        } else {
            eprintln!("+ {name}");
        }
        let later = matches!(tier, Tier::Plain { later: true });
        let done = run_logged(&mut command, &name, later, tally);
        tally.check(&name, done);
    }
}

fn run_logged(command: &mut Command, name: &str, later: bool, tally: &mut Tally) -> Result<()> {
    let dir = lab::TempDir::new("skips")?;
    let log = dir.path().join("log");
    let report = watch(command.env(lab::SKIP_LOG, &log))?;
    count(name, &report, later, tally);
    tally.skipped_themselves(&std::fs::read_to_string(log).unwrap_or_default());
    Ok(())
}

fn count(name: &str, report: &Report, later: bool, tally: &mut Tally) {
    let failed: Vec<_> = report
        .failed
        .iter()
        .map(|test| format!("{name} {test}"))
        .collect();
    tally.add(report.passed, &failed);
    for (test, why) in report.ignored.iter().filter(|_| !later) {
        tally.skip(format!("{test}: {why}"));
    }
}

/// Runs a test program, repeats its output, and reads it on the way.
fn watch(command: &mut Command) -> Result<Report> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let report = read(&mut child);
    if report.is_err() {
        let _ = child.kill();
    }
    let status = child.wait()?;
    let report = report?;
    // A failed test is told by its line; a program that dies before the end is not.
    let told = report.complete && !report.failed.is_empty();
    if !status.success() && !told {
        bail!("ended early: {status}");
    }
    Ok(report)
}

fn read(child: &mut Child) -> Result<Report> {
    let stdout = child.stdout.take().context("no output to read")?;
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        lines
            .map(|line| sender.send(line))
            .take_while(Result::is_ok)
            .for_each(drop);
    });
    let deadline = Instant::now() + LIMIT;
    let mut report = Report::default();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                println!("{line}");
                report.line(&line);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(report),
            Err(RecvTimeoutError::Timeout) => bail!("did not end within {LIMIT:?}"),
        }
    }
}
