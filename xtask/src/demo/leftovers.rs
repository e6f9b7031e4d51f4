//! What a demo leaves behind, on purpose or by a crash, and its removal.
//!
//! Everything is found by the demo's own names and by the pids that it recorded.

use super::tenants::{PREFIX, TENANTS};
use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::lab::{self, Recorded};

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
    let process = Recorded::of(pid)?;
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(dir().join("pids"))?;
    writeln!(file, "{process}").context("cannot write the list of pids")
}

/// Ends recorded processes, and removes namespaces, pins and files with the demo's names.
pub(super) fn clean(_lock: &File) -> Result<()> {
    let recorded = std::fs::read_to_string(dir().join("pids")).unwrap_or_default();
    let recorded = recorded.lines().filter_map(Recorded::parse);
    let ours: Vec<_> = recorded.filter(Recorded::runs).collect();
    if !ours.is_empty() {
        eprintln!("removing an earlier demo");
    }
    ours.iter().try_for_each(Recorded::end)?;
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
    println!("  ip netns exec {PREFIX}-host-a tcpdump -n -i eth0 not proto gre");
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
