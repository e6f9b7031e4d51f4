//! One nved for one pin folder.

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

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

/// Makes the folder if need be and keeps others away from it until the file is dropped.
pub fn folder(path: &Path) -> Result<File, LockError> {
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
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(LockError::InUse(path.to_owned())),
            Err(errno) => return Err(failed(errno.into())),
        }
    }
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
        let held = folder(&path).expect("lock");
        assert!(matches!(folder(&path), Err(LockError::InUse(_))));
        drop(held);
        assert!(folder(&path).is_ok());
    }
}
