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
use xtask::vm::Series;
use xtask::{lab, packages, shell};

/// A program that takes longer hangs.
const LIMIT: Duration = Duration::from_mins(20);

/// What the names of programs begin with that run in guests only.
const GUEST: &str = "guest_";
/// Programs that run here, and in guests as well: the dataplane on all kernels.
const EVERYWHERE: [&str; 5] = ["fixtures", "given_back", "hash", "load", "punts"];
/// Programs that run here, and start guests or peers.
const STARTERS: [&str; 3] = ["bench_cli", "bench_peers", "vm"];

/// The program about what only newer drivers have.
const NEWER: &str = "guest_zero_copy";

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
    /// A test program in a message of cargo.
    pub(super) fn from_message(message: &Value) -> Option<Self> {
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

    /// Its ignored tests are for guests, and for nothing else.
    pub(super) fn only_in_guests(&self) -> bool {
        self.privileged() && self.target.starts_with(GUEST)
    }

    /// Its ignored tests run in guests.
    pub(super) fn in_guests(&self) -> bool {
        self.only_in_guests() || self.privileged() && EVERYWHERE.contains(&self.target.as_str())
    }

    /// The kernels of the guests that it needs, if it needs guests.
    pub(super) fn kernels(&self) -> &'static [Series] {
        match self.target.as_str() {
            NEWER => &[Series::V6_18],
            _ => &Series::TESTED,
        }
    }

    /// It needs packages that this machine may not have.
    pub(super) fn needs_packages(&self) -> bool {
        self.in_guests() || self.privileged() && STARTERS.contains(&self.target.as_str())
    }

    /// Package and target.
    pub(super) fn name(&self) -> String {
        let package = self.folder.file_name().unwrap_or_default();
        format!("{}/{}", package.display(), self.target)
    }

    /// Has it ignored tests for this filter?
    pub(super) fn has_ignored(&self, filter: Option<&str>) -> bool {
        let mut command = self.ignored_tests(filter);
        let listed = command.args(["--list", "--format=terse"]).output();
        listed.is_ok_and(|listed| !listed.stdout.is_empty())
    }

    /// The command that runs its ignored tests, with everything in its arguments.
    pub(super) fn ignored_tests(&self, filter: Option<&str>) -> Command {
        let mut command = Command::new("env");
        command.arg("-C").arg(&self.folder);
        command.arg(format!("CARGO_MANIFEST_DIR={}", self.folder.display()));
        command.arg(&self.executable).args(self.own(filter));
        // Two at a time: they share the machine's network stack and two cores.
        command.args(["--ignored", "--test-threads=2"]);
        command
    }

    /// The filter for its tests; a word in its own name means all of them.
    fn own<'a>(&self, filter: Option<&'a str>) -> Option<&'a str> {
        filter.filter(|word| !self.target.contains(word))
    }

    /// Runs it and counts.
    pub(super) fn run(&self, tier: Tier, filter: Option<&str>, tally: &mut Tally) {
        let name = self.name();
        let mut command = if matches!(tier, Tier::Privileged) {
            eprintln!("+ {name} --ignored");
            self.ignored_tests(filter)
        } else {
            eprintln!("+ {name}");
            let mut command = Command::new(&self.executable);
            command
                .current_dir(&self.folder)
                .env("CARGO_MANIFEST_DIR", &self.folder)
                .args(self.own(filter));
            command
        };
        let later = matches!(tier, Tier::Plain { later: true });
        let done = run_logged(&mut command, &name, later, tally);
        tally.check(&name, done);
    }
}

fn run_logged(command: &mut Command, name: &str, later: bool, tally: &mut Tally) -> Result<()> {
    let dir = lab::TempDir::new("skips")?;
    let log = dir.path().join("log");
    command.env(lab::SKIP_LOG, &log);
    command.envs(packages::failures().map(|told| (packages::FAILURES, told)));
    let report = watch(command)?;
    count(name, &report, later, tally);
    tally.skipped_themselves(&std::fs::read_to_string(log).unwrap_or_default());
    Ok(())
}

/// Adds a report to the count. `later`: ignored tests have their turn in another tier.
pub(super) fn count(name: &str, report: &Report, later: bool, tally: &mut Tally) {
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
    report.agrees(status.success(), status)?;
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
