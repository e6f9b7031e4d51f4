//! `cargo xtask lint`: format, clippy, and the size of files.

use anyhow::{Context, Result, bail};
use std::process::Command;
use xtask::{lab, shell};

/// Longer files are hard to read and to review.
const MAX_LINES: usize = 400;

/// Fails on the first kind of finding.
pub(crate) fn run() -> Result<()> {
    shell::stream(&mut shell::cargo(["fmt", "--all", "--check"]))?;
    // The eBPF crate is no default member: it has no meaning for this machine's target.
    let clippy = ["clippy", "--all-targets", "--", "--deny", "warnings"];
    shell::stream(&mut shell::cargo(clippy))?;
    let long = long_files()?;
    if !long.is_empty() {
        bail!(
            "split these files, {MAX_LINES} lines are the limit:\n  {}",
            long.join("\n  ")
        );
    }
    Ok(())
}

fn long_files() -> Result<Vec<String>> {
    let mut list = Command::new("git");
    list.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        "*.rs",
    ]);
    let listed = lab::run(list.current_dir(shell::root())).context("cannot list the sources")?;
    let mut long = Vec::new();
    for name in listed.stdout.split_terminator('\0') {
        // A file that is deleted and not yet committed is still listed.
        let Ok(text) = std::fs::read_to_string(shell::root().join(name)) else {
            continue;
        };
        let lines = text.lines().count();
        if lines > MAX_LINES {
            long.push(format!("{name}: {lines} lines"));
        }
    }
    Ok(long)
}
