//! What `load` remembers, so that the next `load` and `unload` know what to do.

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use xtask::lab::Recorded;

/// An `nved` that was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// As [`Recorded`] writes it; empty before the start.
    process: String,
    /// The boot of the machine; what was loaded before another boot is gone.
    boot: String,
    /// The network namespace.
    netns: u64,
    /// Where relative paths among the flags begin.
    pub(super) folder: PathBuf,
    /// The program: a copy that no build overwrites.
    pub(super) nved: PathBuf,
    /// All of its flags.
    pub(super) flags: Vec<String>,
    /// The one among them that nvectl needs.
    pub(super) socket: PathBuf,
    /// What was loaded before; until this one has answered.
    #[serde(default)]
    pub(super) former: Option<Box<Record>>,
}

impl Record {
    /// What is to be started here and now.
    pub(super) fn new(nved: PathBuf, flags: Vec<String>, socket: PathBuf) -> Result<Self> {
        Ok(Self {
            process: String::new(),
            boot: boot()?,
            netns: netns()?,
            folder: std::env::current_dir().context("the working folder is gone")?,
            nved,
            flags,
            socket,
            former: None,
        })
    }

    /// The running process, if it is this one: same pid, same begin, and an `nved`.
    pub(crate) fn process(&self) -> Option<Recorded> {
        let process = Recorded::parse(&self.process)?;
        let exe = fs::read_link(format!("/proc/{}/exe", process.pid())).ok()?;
        // A program that was built anew since is said to be deleted.
        let name = exe.file_name()?.to_str()?;
        let nved = name.trim_end_matches(" (deleted)") == "nved";
        (nved && process.runs()).then_some(process)
    }

    /// The control socket, from the root of the file system.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(&self.socket)
    }

    pub(super) fn started(&mut self, process: &Recorded) {
        self.process = process.to_string();
    }

    /// Whether the machine still has what was loaded.
    pub(crate) fn lasts(&self) -> Result<bool> {
        Ok(self.boot == boot()?)
    }

    /// Fails in another network namespace: there `eth0` is another.
    pub(super) fn here(&self) -> Result<()> {
        if self.netns != netns()? {
            bail!(
                "it was loaded in another network namespace ({}); run this there",
                self.netns
            );
        }
        Ok(())
    }
}

/// The folder with state of what is loaded. One verb at a time has it.
#[derive(Debug)]
pub(crate) struct State {
    dir: PathBuf,
    _lock: File,
}

impl State {
    /// Makes the folder if need be.
    pub(crate) fn open() -> Result<Self> {
        let dir = dir()?;
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        // Not the folder itself: nved locks that for a moment when it makes its socket there.
        let lock = dir.join("lock");
        let lock = File::options()
            .create(true)
            .append(true)
            .open(&lock)
            .with_context(|| format!("cannot open {}", lock.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another `cargo xtask load` or `unload` is running; wait for it");
        }
        Ok(Self { dir, _lock: lock })
    }

    /// A file of it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// What is loaded. After a `load` that was killed before its nved answered, it is the former
    /// one unless the new one runs.
    pub(crate) fn record(&self) -> Result<Option<Record>> {
        let file = self.file(RECORD);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        };
        let record: Result<Record, _> = serde_json::from_str(&text);
        let mut record = record.with_context(|| format!("{} is no record", file.display()))?;
        let former = record.former.take().filter(|_| record.process().is_none());
        Ok(Some(former.map_or(record, |former| *former)))
    }

    /// Remembers; a verb that is killed meanwhile leaves the old record or the new one.
    pub(super) fn remember(&self, record: &Record) -> Result<()> {
        let (file, new) = (self.file(RECORD), self.file("new"));
        let written = fs::write(&new, serde_json::to_string_pretty(record)?);
        let done = written.and_then(|()| fs::rename(new, &file));
        done.with_context(|| format!("cannot write {}", file.display()))
    }

    /// Removes the record, the copies, and the socket that an nved which was killed left.
    pub(crate) fn forget(&self, socket: &Path) -> Result<()> {
        remove(&self.file(RECORD))?;
        remove(socket)?;
        self.remove_copies(None)
    }

    /// Removes the folder with all that nved wrote to it.
    pub(crate) fn purge(self) -> Result<()> {
        let removed = fs::remove_dir_all(&self.dir);
        removed.with_context(|| format!("cannot remove {}", self.dir.display()))
    }
}

const RECORD: &str = "loaded.json";

/// `NVE_STATE_DIR`, or `nve` in the target folder that we were built to.
fn dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("NVE_STATE_DIR") {
        return std::path::absolute(dir).context("NVE_STATE_DIR");
    }
    let exe = std::env::current_exe().context("cannot tell where this program is")?;
    let target = exe.ancestors().nth(2).context("no target folder")?;
    Ok(target.join("nve"))
}

fn remove(file: &Path) -> Result<()> {
    let removed = match fs::remove_file(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    };
    removed.with_context(|| format!("cannot remove {}", file.display()))
}

fn boot() -> Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    Ok(id.context("the kernel tells no boot id")?.trim().to_owned())
}

fn netns() -> Result<u64> {
    let meta: io::Result<_> = fs::metadata("/proc/self/ns/net");
    Ok(meta.context("the kernel tells no network namespace")?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::lab::TempDir;

    #[test]
    fn a_load_that_was_killed_leaves_the_former_unless_the_new_one_runs() {
        let folder = TempDir::new("state").unwrap();
        let state = State {
            dir: folder.path().to_owned(),
            _lock: File::open(folder.path()).unwrap(),
        };
        let record = |nved: &str| Record::new(nved.into(), Vec::new(), "s".into()).unwrap();
        let mut new = record("bin/2/nved");
        new.former = Some(Box::new(record("bin/1/nved")));
        state.remember(&new).unwrap();
        assert_eq!(state.record().unwrap(), new.former.map(|former| *former));
        new.former = None;
        state.remember(&new).unwrap();
        assert_eq!(state.record().unwrap(), Some(new));
    }
}
