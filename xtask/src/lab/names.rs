//! Names that parallel runs do not share, and the removal of what a killed run left.

use super::{BPFFS, remove_pins, run_always};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// What all names begin with, so that a sweep touches nothing else.
const MARK: &str = "nvet-";

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A name of this process only: mark, prefix, pid, counter.
pub fn unique(prefix: &str) -> String {
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{MARK}{prefix}-{}-{count}", std::process::id())
}

/// Is there a process with this id?
pub fn pid_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// A folder for temporary files, removed with everything in it when dropped.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes a new folder with a unique name.
    pub fn new(prefix: &str) -> Result<Self> {
        Self::new_in(&std::env::temp_dir(), prefix)
    }

    /// The same inside a folder of the caller's choice.
    pub fn new_in(parent: &Path, prefix: &str) -> Result<Self> {
        let dir = parent.join(unique(prefix));
        std::fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self(dir))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Removes namespaces, pins and files of runs that ended without doing so themselves.
pub fn sweep() -> Result<()> {
    for name in left_in(Path::new("/run/netns")) {
        run_always(Command::new("ip").args(["netns", "delete", &name]))?;
    }
    let pins = Path::new(BPFFS);
    for name in left_in(pins) {
        remove_pins(&pins.join(name))?;
    }
    sweep_folders(&std::env::temp_dir())
}

/// Removes the folders that dead runs left in another one.
pub(crate) fn sweep_folders(parent: &Path) -> Result<()> {
    for name in left_in(parent) {
        let dir = parent.join(name);
        match std::fs::remove_dir_all(&dir) {
            // Another run sweeps too.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed.with_context(|| format!("cannot remove {}", dir.display()))?,
        }
    }
    Ok(())
}

fn left_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| owner(name).is_some_and(|pid| !pid_alive(pid)))
        .collect()
}

/// The pid in a name that [`unique`] made, or a longer name that begins with one.
fn owner(name: &str) -> Option<u32> {
    let mut parts = name.strip_prefix(MARK)?.split('-');
    parts.find_map(|part| part.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_tell_their_owner() {
        let (one, two) = (unique("blue-vm"), unique("blue-vm"));
        assert_ne!(one, two);
        assert_eq!(owner(&one), Some(std::process::id()));
        assert_eq!(owner(&format!("{two}-host-a")), Some(std::process::id()));
        assert_eq!(owner("blue-vm-1-0"), None);
    }

    #[test]
    fn a_sweep_removes_only_what_the_dead_left() {
        let mut child = Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        let left = std::env::temp_dir().join(format!("{MARK}left-{dead}-0"));
        std::fs::create_dir(&left).unwrap();
        let ours = TempDir::new("sweep").unwrap();
        let names = left_in(&std::env::temp_dir());
        let contains = |dir: &Path| names.iter().any(|name| dir.ends_with(name));
        assert!(contains(&left) && !contains(ours.path()), "{names:?}");
        std::fs::remove_dir(left).unwrap();
    }
}
