//! One nved for one pin folder.

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// Why the folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("pin folder {path} is in use by another nved; stop it, or give this one its own --pin", path = .0.display())]
    InUse(PathBuf),
    /// It cannot be made or opened.
    #[error("pin folder {path}: {source}", path = path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// How long an nved that was killed may take to let go: the kernel closes its `AF_XDP` sockets,
/// which waits for readers, before it gives up the lock.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How often the lock is tried.
const STEP: Duration = Duration::from_millis(20);

/// Makes the folder if need be and keeps others away from it until the file is dropped.
/// Waits for somebody who has it and may be about to end, `patience` long.
pub fn folder(path: &Path, patience: Duration) -> Result<File, LockError> {
    let end = Instant::now() + patience;
    let failed = |source| LockError::Io {
        path: path.to_owned(),
        source,
    };
    loop {
        std::fs::create_dir_all(path).map_err(failed)?;
        let file = File::open(path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_at(&file, path) => return Ok(file),
            // Whoever had it removed it before we got the lock.
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) if Instant::now() < end => std::thread::sleep(STEP),
            Err(Errno::WOULDBLOCK) => return Err(LockError::InUse(path.to_owned())),
            Err(errno) => return Err(failed(errno.into())),
        }
    }
}

/// Keeps the lock until this process has ended: its threads may write to the pinned maps as long as it
/// has not, and the kernel lets go behind the last of them.
pub fn keep(lock: File) {
    // The kernel closes it.
    std::mem::forget(lock);
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(there)) = (file.metadata(), path.metadata()) else {
        return false;
    };
    (held.dev(), held.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_had_once() {
        let temporary = tempfile::tempdir().expect("folder");
        let path = temporary.path().join("nve");
        let held = folder(&path, Duration::ZERO).expect("lock");
        let refused = folder(&path, Duration::ZERO);
        assert!(matches!(refused, Err(LockError::InUse(_))));
        drop(held);
        assert!(folder(&path, Duration::ZERO).is_ok());
    }

    #[test]
    fn what_is_kept_is_not_had_again_by_another() {
        let temporary = tempfile::tempdir().expect("folder");
        keep(folder(temporary.path(), Duration::ZERO).expect("lock"));
        let refused = folder(temporary.path(), Duration::ZERO);
        assert!(matches!(refused, Err(LockError::InUse(_))));
    }

    #[test]
    fn one_that_is_about_to_end_is_waited_for() {
        let temporary = tempfile::tempdir().expect("folder");
        let held = folder(temporary.path(), Duration::ZERO).expect("lock");
        let other = std::thread::spawn({
            let path = temporary.path().to_owned();
            move || folder(&path, Duration::from_mins(1))
        });
        std::thread::sleep(STEP);
        assert!(!other.is_finished(), "two have it");
        drop(held);
        assert!(other.join().expect("thread").is_ok());
    }
}
