//! What a demo leaves behind, on purpose or by a crash, and its removal.
//!
//! Everything is found by the demo's own names and by the pids that it recorded.

use super::tenants::{PREFIX, TENANTS};
use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use xtask::{lab, shell};

/// How long a process has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// State of the demo that is up.
pub(super) fn dir() -> PathBuf {
    Path::new("/run").join(PREFIX)
}

/// Only one demo at a time: its names are fixed. Held as long as the file is open.
pub(super) fn lock() -> Result<File> {
    let dir = dir();
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let lock = File::open(&dir).with_context(|| format!("cannot open {}", dir.display()))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("another `cargo xtask demo` is running; wait for it or end it");
    }
    Ok(lock)
}

/// Remembers a process, so that a later run can end it.
pub(super) fn record(pid: u32) -> Result<()> {
    let started = started(pid).with_context(|| format!("process {pid} has ended already"))?;
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(dir().join("pids"))?;
    writeln!(file, "{pid} {started}").context("cannot write the list of pids")
}

/// Ends recorded processes, and removes namespaces, pins and files with the demo's names.
pub(super) fn clean(_lock: &File) -> Result<()> {
    let recorded = std::fs::read_to_string(dir().join("pids")).unwrap_or_default();
    let ours: Vec<_> = recorded.lines().filter_map(running).collect();
    if !ours.is_empty() {
        eprintln!("removing an earlier demo");
    }
    ours.into_iter().try_for_each(end)?;
    for name in names_in("/run/netns") {
        lab::run_always(Command::new("ip").args(["netns", "delete", &name]))?;
    }
    for name in names_in(lab::BPFFS) {
        lab::remove_pins(&Path::new(lab::BPFFS).join(name))?;
    }
    // The folder itself bears the lock.
    for entry in std::fs::read_dir(dir())?.flatten() {
        let path = entry.path();
        let folder = entry.file_type()?.is_dir();
        let removed = if folder {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// [`clean`], and then there is no demo any more.
pub(super) fn finish(lock: &File) -> Result<()> {
    clean(lock)?;
    std::fs::remove_dir(dir()).with_context(|| format!("cannot remove {}", dir().display()))
}

/// What one can do with a demo that stays up.
pub(super) fn what_next() {
    let nvectl = lab::bin_dir().unwrap_or_default().join("nvectl");
    let socket = dir().join("host-a/nved.sock");
    let nvectl = format!("{} --socket {}", nvectl.display(), socket.display());
    let tenant = format!("{PREFIX}-{}", TENANTS[0].client());
    println!("\neverything stays up; try next:");
    for words in [
        "status",
        "get ports -o wide",
        "get lookuprecords",
        "get drops",
    ] {
        println!("  {nvectl} {words}");
    }
    println!("  ip netns exec {tenant} ping 10.0.0.7");
    println!("  ip netns exec {PREFIX}-host-a tcpdump -n -i eth0 proto gre");
    println!(
        "the other host: {}",
        dir().join("host-b/nved.sock").display()
    );
    println!("remove it: cargo xtask demo --down");
}

fn names_in(dir: &str) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name.starts_with(&format!("{PREFIX}-")))
        .collect()
}

/// The pid of a record, if it is still the same process that has it.
fn running(record: &str) -> Option<u32> {
    let (pid, recorded) = record.split_once(' ')?;
    let pid = pid.parse().ok()?;
    (started(pid)? == recorded).then_some(pid)
}

/// When a process began, in ticks since boot: field 22 of its stat file. `None` for a zombie.
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses that may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18).map(str::to_owned))?
}

fn end(pid: u32) -> Result<()> {
    let begun = started(pid);
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let raw = raw.with_context(|| format!("{pid} is no pid"))?;
    for signal in [Signal::TERM, Signal::KILL] {
        // Fails when the process has just ended, which is what we want.
        let _ = kill_process(raw, signal);
        let deadline = std::time::Instant::now() + GRACE;
        while std::time::Instant::now() < deadline {
            if started(pid) != begun || begun.is_none() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    bail!(
        "process {pid} does not end; see {}",
        shell::line(Command::new("ps").arg(pid.to_string()))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_pid_that_was_reused_is_not_ours() {
        let pid = std::process::id();
        let begun = started(pid).unwrap();
        assert_eq!(running(&format!("{pid} {begun}")), Some(pid));
        assert_eq!(running(&format!("{pid} 1{begun}")), None);
        assert_eq!(running("not a record"), None);
    }

    #[test]
    fn end_ends_it() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        end(child.id()).unwrap();
        child.wait().unwrap();
    }
}
