//! `bench run`, as `cargo xtask bench` calls it.

use anyhow::{Context, Result, ensure};
use dataplane_bench::{
    profile,
    results::{
        file::Results,
        row::{MachineKind, Row},
        summary::{Found, Summary},
    },
};
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};
use xtask::lab::{Proc, TempDir, bin_dir, wait_until};

/// A debug build on a busy machine sets paths up slowly.
const LIMIT: Duration = Duration::from_mins(5);

fn start(words: &[&str]) -> Result<Proc> {
    let mut command = Command::new(bin_dir()?.join("bench"));
    Proc::spawn(command.arg("run").args(words))
}

/// Namespaces that a process made, by its pid in their names.
fn namespaces(pid: u32) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir("/run/netns") else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().display().to_string();
        if name.contains(&format!("-{pid}-")) {
            names.push(name);
        }
    }
    Ok(names)
}

fn every_comparison_has_its_rows(results: &Results) -> Result<()> {
    let expected = profile::find("sanity")?.comparisons(MachineKind::Host);
    let summary = Summary::of(&results.runs[0]);
    let lines: Vec<_> = summary.lines.iter().map(|line| line.comparison).collect();
    ensure!(lines == expected, "{lines:#?} instead of {expected:#?}");
    for line in &summary.lines {
        if let Found::Missing { path, why, failed } = &line.found {
            ensure!(!failed, "{path}: {why}");
        }
    }
    let mut measured = 0;
    for row in &results.runs[0].rows {
        let Row::Trial(trial) = row else { continue };
        // A busy machine may let nothing through in the window itself.
        let some = trial.value > 0.0
            || trial
                .details
                .get("received")
                .is_some_and(|count| *count > 0);
        ensure!(some, "nothing was measured: {trial:?}");
        measured += 1;
    }
    // Our own paths and their twins can be had on every kernel that the tests run on.
    ensure!(measured >= 4, "hardly anything was measured: {summary:#?}");
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_sanity_run_has_rows_of_every_comparison_and_leaves_nothing() {
    let ran = || -> Result<()> {
        let folder = TempDir::new("benchcli")?;
        let file = folder.path().join("rows.jsonl");
        let bench = start(&["sanity", "--out", &file.to_string_lossy()])?;
        let pid = bench.pid();
        let said = bench.wait(LIMIT)?.success()?;
        ensure!(said.stderr.contains("rows are in"), "{}", said.stderr);
        let results = Results::read(&file)?;
        let run = &results.runs[0].run;
        ensure!(
            (run.profile.as_str(), run.machine) == ("sanity", MachineKind::Host),
            "{run:?}"
        );
        every_comparison_has_its_rows(&results)?;
        ensure!(namespaces(pid)?.is_empty(), "left: {:?}", namespaces(pid)?);
        Ok(())
    };
    ran().expect("a sanity run");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interrupted_run_keeps_its_rows_and_leaves_no_namespace() {
    let ran = || -> Result<()> {
        let folder = TempDir::new("benchint")?;
        let file = folder.path().join("rows.jsonl");
        let bench = start(&["quick", "--out", &file.to_string_lossy()])?;
        let pid = bench.pid();
        wait_until("the first namespace", LIMIT, || {
            Ok((!namespaces(pid)?.is_empty()).then_some(()))
        })?;
        let asked = Instant::now();
        Command::new("kill")
            .args(["-INT", &pid.to_string()])
            .status()?;
        let said = bench.wait(LIMIT)?;
        let took = asked.elapsed();
        ensure!(
            said.code() == 1,
            "exit code {} after {took:?}: {}",
            said.code(),
            said.stderr
        );
        let name = file.display().to_string();
        for part in ["interrupted", "the run is not complete", &name] {
            ensure!(said.stderr.contains(part), "no {part:?} in {}", said.stderr);
        }
        let left = namespaces(pid)?;
        ensure!(left.is_empty(), "left: {left:?}");
        let results = Results::read(&file)?;
        results.runs.first().context("the row of the run")?;
        Ok(())
    };
    ran().expect("an interrupted run");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_is_wrong_with_a_call_is_named() {
    let ran = || -> Result<()> {
        let said = start(&["fast", "--out", "/nowhere"])?.wait(LIMIT)?;
        ensure!(said.code() == 1, "{}", said.code());
        let told = "there is no profile \"fast\"; there are: quick, full, sanity";
        ensure!(said.stderr.contains(told), "{}", said.stderr);
        let said = start(&["quick", "--only", "no-such-path", "--out", "/nowhere"])?.wait(LIMIT)?;
        ensure!(
            said.stderr
                .contains("no comparison of profile quick has \"no-such-path\""),
            "{}",
            said.stderr
        );
        Ok(())
    };
    ran().expect("errors");
}
