//! `cargo xtask vm`, as a user runs it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use xtask::lab::{Netns, Output, PATIENCE, Proc, TempDir, bin_dir, output, unique, wait_until};
use xtask::vm::{Guest, Series};
use xtask::{lab, packages, shell};

/// A boot on a busy machine without KVM, and more.
const LIMIT: Duration = Duration::from_mins(3);

/// Can there be guests here? Says so if not.
fn guests() -> bool {
    let why = Series::TESTED.map(|series| Guest::new(series).prepare().err());
    let why = why.into_iter().flatten().next();
    why.map(|why| lab::skip(&format!("{why:#}"))).is_none()
}

fn vm(words: &[&str]) -> Result<Command> {
    let mut command = Command::new(bin_dir()?.join("xtask"));
    command.arg("vm").args(words).current_dir(shell::root());
    Ok(command)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

fn holds(output: &Output, code: i32, words: &[&str]) -> Result<()> {
    ensure!(output.code() == code, "{output:#?}");
    for word in words {
        ensure!(output.stderr.contains(word), "no {word:?} in {output:#?}");
    }
    Ok(())
}

/// Processes that have a path among their arguments, as QEMU has those of shared folders.
fn processes_with(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("processes").flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(text(path))).collect()
}

fn gone(path: &Path) -> Result<()> {
    wait_until("the end of QEMU", PATIENCE, || {
        Ok(processes_with(path).is_empty().then_some(()))
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_command_ends_and_says_what_it_would_here() -> Result<()> {
    if !guests() {
        return Ok(());
    }
    let shared = TempDir::new("shared")?;
    let trace = shell::root().join(unique("trace"));
    let script = "uname -r; id -u; pwd; printf '<%s>' \"$@\"; echo told >&2
        echo kept > \"$1\"; echo lost > \"$2\"; cat \"$2\"; exit 3";
    let kept = shared.path().join("kept");
    let run = vm(&["--kernel", "6.1", "--writable", text(shared.path()), "--"])?
        .args(["sh", "-c", script, "sh", text(&kept), text(&trace)])
        .args(["a b", "it's", "$HOME", ""])
        .output()?;
    let (out, err) = (
        String::from_utf8(run.stdout)?,
        String::from_utf8(run.stderr)?,
    );
    ensure!(run.status.code() == Some(3), "{:?} {out} {err}", run.status);
    let (kernel, rest) = out.split_once('\n').context("no line")?;
    ensure!(kernel.starts_with("6.1."), "{kernel}");
    let root = shell::root().canonicalize()?;
    let said = format!(
        "0\n{}\n<{}><{}><a b><it's><$HOME><>lost\n",
        root.display(),
        kept.display(),
        trace.display()
    );
    ensure!(rest == said, "{rest:?} instead of {said:?}");
    ensure!(err.ends_with("told\n") && !out.contains("told"), "{err}");
    ensure!(std::fs::read_to_string(kept)? == "kept\n");
    ensure!(!trace.exists(), "the checkout was written to");
    gone(shared.path())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_newest_kernel_is_taken_unless_told_otherwise() -> Result<()> {
    if !guests() {
        return Ok(());
    }
    let run = output(&mut vm(&["--", "uname", "-r"])?, LIMIT)?;
    holds(&run, 0, &[])?;
    ensure!(run.stdout.starts_with("6.12."), "{run:#?}");
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_guest_that_hangs_or_dies_is_told_apart() -> Result<()> {
    if !guests() {
        return Ok(());
    }
    let shared = TempDir::new("shared")?;
    let hang = ["--timeout", "3", "--writable", text(shared.path()), "--"];
    let run = output(vm(&hang)?.args(["sleep", "1000"]), LIMIT)?;
    holds(&run, 124, &["did not end within 3 s", "--- console"])?;
    gone(shared.path())?;
    let die = ["--", "sh", "-c", "echo c > /proc/sysrq-trigger"];
    let run = output(&mut vm(&die)?, LIMIT)?;
    holds(
        &run,
        125,
        &["ended before its command did", "sysrq triggered crash"],
    )
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_run_that_is_ended_leaves_nothing() -> Result<()> {
    if !guests() {
        return Ok(());
    }
    let ends: [fn(Proc) -> Result<()>; 3] = [
        |run| holds(&run.terminate(PATIENCE)?, 1, &["interrupted"]),
        |run| holds(&run.interrupt()?, 1, &["interrupted"]),
        Proc::kill,
    ];
    for end in ends {
        let (shared, temporary) = (TempDir::new("shared")?, TempDir::new("tmp")?);
        let up = shared.path().join("up");
        let mut command = vm(&["--writable", text(shared.path()), "--"])?;
        command.args(["sh", "-c", "touch \"$0\"; sleep 1000", text(&up)]);
        let mut run = Proc::spawn(command.env("TMPDIR", temporary.path()))?;
        wait_until("the command in the guest", LIMIT, || {
            run.still_running()?;
            Ok(up.exists().then_some(()))
        })?;
        end(run)?;
        gone(shared.path())?;
        let left = std::fs::read_dir(temporary.path())?.count();
        ensure!(left == 0, "{left} temporary folders are left");
    }
    Ok(())
}

#[test]
fn an_unknown_kernel_is_refused_with_the_known_ones() -> Result<()> {
    let run = output(&mut vm(&["--kernel", "5.10", "--", "true"])?, PATIENCE)?;
    holds(&run, 2, &["no guest kernel \"5.10\"", "6.1, 6.12, 6.18"])
}

#[test]
fn a_machine_without_apt_is_told_so() -> Result<()> {
    let cache = TempDir::new("cache")?;
    let mut command = vm(&["--", "true"])?;
    command
        .env_remove(packages::FAILURES)
        .env("XDG_CACHE_HOME", cache.path())
        .env("PATH", "/nowhere");
    let run = output(&mut command, PATIENCE)?;
    holds(
        &run,
        1,
        &["cannot have guests here", "apt-get is not there"],
    )
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_machine_without_a_network_is_told_what_to_check() -> Result<()> {
    let (cache, netns) = (TempDir::new("cache")?, Netns::new(&unique("nonet"))?);
    let mut command = netns.command(text(&bin_dir()?.join("xtask")));
    command
        .args(["vm", "--", "true"])
        .env_remove(packages::FAILURES)
        .env("XDG_CACHE_HOME", cache.path());
    let run = output(&mut command, LIMIT)?;
    holds(
        &run,
        1,
        &["cannot fetch Debian's package lists", "check the network"],
    )?;
    let left = std::fs::read_dir(cache.path().join("nve"))?.count();
    ensure!(left == 0, "{left} folders are left in the cache");
    Ok(())
}
