//! The part of a run that takes place in a guest: peers that this machine's kernel lacks.

use super::{Measure, attend};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;
use xtask::lab;
use xtask::shell;
use xtask::vm::{Guest, Outcome, Series, print};

const KERNEL: Series = Series::V6_12;
/// MiB; nothing with large tables is measured here.
const MEMORY: u32 = 4096;
/// A guest that takes longer hangs.
const LIMIT: Duration = Duration::from_mins(30);

/// Measures in a guest and appends its rows to `out`; where there is no guest, rows that say why.
/// The exit status of the last command that wrote rows.
pub(super) fn measure(bench: &Path, options: &Measure, out: &Path) -> Result<ExitStatus> {
    // Not among the temporary folders of this process: the guest, which does not see it run, would
    // sweep them away.
    let folder = shell::root().canonicalize()?.join("target/bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let rows = folder.join(format!("guest-{}.jsonl", std::process::id()));
    let measured = part(bench, options, (&rows, &revision(out)?));
    // What there is belongs to the file, also after an interrupt.
    if rows.exists() {
        append(&rows, out)?;
        fs::remove_file(&rows).with_context(|| format!("cannot remove {}", rows.display()))?;
    }
    measured
}

/// The rows of the guest in a file of their own.
fn part(bench: &Path, options: &Measure, (rows, revision): (&Path, &str)) -> Result<ExitStatus> {
    let folder = rows.parent().context("the rows have no folder")?;
    let mut run = Command::new(bench);
    run.arg("run")
        .args(options.words())
        .args(["--machine", "guest", "--revision", revision]);
    run.arg("--out").arg(rows).current_dir(shell::root());
    let ended = in_guest(&run, folder);
    lab::interrupted()?;
    let missing = match &ended {
        Ok(Outcome::Exited(_)) => None,
        Ok(Outcome::Died(why)) => Some(format!("the guest ended early: {}", first_line(why))),
        Ok(Outcome::TimedOut(_)) => Some(format!("the guest did not end within {LIMIT:?}")),
        Err(error) => Some(format!("no guest: {error:#}")),
    };
    let mut note = Command::new(bench);
    note.arg("absent")
        .args(options.words())
        .args(["--machine", "guest", "--revision", revision]);
    note.args(["--kernel", KERNEL.name(), "--why"]);
    note.arg(
        missing
            .as_deref()
            .unwrap_or("the run in the guest ended before it"),
    )
    .arg("--out")
    .arg(rows);
    let status = attend(&mut note)?;
    Ok(match ended {
        Ok(Outcome::Exited(code)) => {
            std::os::unix::process::ExitStatusExt::from_raw(i32::from(code) << 8)
        }
        Ok(Outcome::Died(_) | Outcome::TimedOut(_)) | Err(_) => status,
    })
}

fn in_guest(run: &Command, writable: &Path) -> Result<Outcome> {
    let guest = Guest {
        memory: MEMORY,
        limit: LIMIT,
        writable: vec![writable.to_owned()],
        ..Guest::new(KERNEL)
    };
    eprintln!("+ in a guest with kernel {KERNEL}: {}", shell::line(run));
    let outcome = guest.run(run, &mut print);
    match &outcome {
        Ok(Outcome::Died(why) | Outcome::TimedOut(why)) => eprintln!("guest: {why}"),
        Err(error) => eprintln!("guest: {error:#}"),
        Ok(Outcome::Exited(_)) => {}
    }
    outcome
}

/// The revision that the host's run has written: both parts are of the same sources.
fn revision(out: &Path) -> Result<String> {
    let text = fs::read_to_string(out).with_context(|| format!("cannot read {}", out.display()))?;
    let mut rows = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let run = rows
        .rfind(|row| row["row"] == "run")
        .context("the host's run has no row")?;
    let dirty = if run["dirty"] == true { "-dirty" } else { "" };
    Ok(format!(
        "{}{dirty}",
        run["revision"].as_str().unwrap_or("unknown")
    ))
}

fn append(rows: &Path, out: &Path) -> Result<()> {
    let rows = fs::read(rows).with_context(|| format!("cannot read {}", rows.display()))?;
    let file = File::options().append(true).open(out);
    let written = file.and_then(|mut file| file.write_all(&rows));
    written.with_context(|| format!("cannot write {}", out.display()))
}

fn first_line(text: &str) -> &str {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("nothing was said")
}
