//! The database file: opening it, and one place for its errors.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, ErrorKind, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, StorageError,
    WriteTransaction, backends::FileBackend,
};

use super::{
    FORMAT, FORMAT_VERSION, IDENTITY, LOG, META, PAIRS,
    backend::{Guarded, LetGo, OwnWrites, copy},
};
use crate::store::{StoreError, TxnResult};

/// Bytes of the file that the database keeps in memory.
const CACHE: usize = 4 << 20;

/// An open database.
pub(super) struct StoreFile {
    path: PathBuf,
    /// `None` only while it is dropped.
    db: Option<Database>,
    /// Why nothing can be written, as the system numbers it; then `db` is a copy.
    read_only: Option<i32>,
    /// The file as we left it; held while we write.
    left: Mutex<Option<Left>>,
    gone: LetGo,
    writes: OwnWrites,
}

/// How a file was, and after how many writes of ours.
#[derive(Clone, Copy)]
struct Left {
    trace: Trace,
    writes: Option<u64>,
}

/// What tells that somebody else wrote to, removed or replaced a file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Trace {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl StoreFile {
    /// Opens the file, or makes it: only this user may read it, for a policy
    /// tells who talks to whom. One that cannot be written is read.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        match Self::open_to_write(path) {
            Err(StoreError::Io { path, source }) if refuses_writes(source.kind()) => {
                // Without a copy, the first error is the story to tell.
                Self::open_copy(&path, &source).map_err(|_| StoreError::Io { path, source })
            }
            other => other,
        }
    }

    /// As [`Self::open`], for writing or not at all.
    pub(super) fn open_to_write(path: &Path) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).open(path).map_err(io)?;
        if !file.metadata().map_err(io)?.is_file() {
            return Err(StoreError::Corrupt {
                path: path.to_owned(),
                reason: "it is no regular file".to_owned(),
            });
        }
        if blank(&file).map_err(io)? {
            file.set_len(0).map_err(io)?;
        }
        let backend = FileBackend::new(file).map_err(|error| opening(path, error))?;
        let (gone, writes) = (LetGo::default(), OwnWrites::default());
        let db = database(path, Guarded::new(backend, gone.clone(), writes.clone()))?;
        let file = Self {
            path: path.to_owned(),
            db: Some(db),
            read_only: None,
            left: Mutex::default(),
            gone,
            writes,
        };
        file.prepare()?;
        *file.left() = file.look();
        Ok(file)
    }

    /// Reads an existing store that cannot be opened for writing because of `why`.
    fn open_copy(path: &Path, why: &io::Error) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.len() == 0 {
            return Err(io(ErrorKind::UnexpectedEof.into()));
        }
        let left = trace(path).map(|trace| Left {
            trace,
            writes: Some(0),
        });
        let file = Self {
            path: path.to_owned(),
            db: Some(database(path, copy(file).map_err(io)?)?),
            read_only: Some(why.raw_os_error().unwrap_or(libc::EROFS)),
            left: Mutex::new(left),
            gone: LetGo::default(),
            writes: OwnWrites::default(),
        };
        file.known_format()?;
        Ok(file)
    }

    /// Why nothing can be written.
    pub(super) fn read_only(&self) -> Option<StoreError> {
        let source = io::Error::from_raw_os_error(self.read_only?);
        let path = self.path.clone();
        Some(StoreError::ReadOnly { path, source })
    }

    /// Whether the file is another one by now, or somebody else wrote to it.
    pub(super) fn changed(&self) -> bool {
        // Who holds the lock is writing: then it is ours.
        let Ok(mut left) = self.left.try_lock() else {
            return false;
        };
        let before = self.writes.count();
        let now = match fs::metadata(&self.path) {
            Ok(meta) => of(&meta),
            Err(error) => return error.kind() == ErrorKind::NotFound,
        };
        let Some(former) = *left else { return false };
        if former.trace == now {
            return false;
        }
        // The database writes when it reads, too: then the next look tells.
        let writes = self.writes.count();
        if writes.is_none() || writes != before {
            return false;
        }
        let trace = now;
        let ours = former.writes != writes && former.trace.is_same_file(now);
        if ours {
            *left = Some(Left { trace, writes });
        }
        !ours
    }

    /// How the file is now.
    fn look(&self) -> Option<Left> {
        let writes = self.writes.count();
        trace(&self.path).map(|trace| Left { trace, writes })
    }

    /// Leaves the file as it is, even when the database closes.
    pub(super) fn let_go(&self) {
        self.gone.tell();
    }

    /// Reads.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        work(self.db()).map_err(|error| self.failed(error))
    }

    /// Writes, durably when it returns; a conflict leaves no trace.
    pub(super) fn write(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<TxnResult, redb::Error>,
    ) -> Result<TxnResult, StoreError> {
        if let Some(refused) = self.read_only() {
            return Err(refused);
        }
        let mut left = self.left();
        let write = || {
            let transaction = self.db().begin_write()?;
            let result = work(&transaction)?;
            match result {
                TxnResult::Committed { .. } => transaction.commit()?,
                TxnResult::Conflict { .. } => transaction.abort()?,
            }
            Ok(result)
        };
        let written = write().map_err(|error| self.failed(error));
        *left = self.look();
        written
    }

    fn db(&self) -> &Database {
        self.db.as_ref().expect("only dropping takes it")
    }

    fn left(&self) -> std::sync::MutexGuard<'_, Option<Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the tables of a new file, with an identity; refuses those of somebody else.
    fn prepare(&self) -> Result<(), StoreError> {
        let empty = self.read(|db| {
            let transaction = db.begin_read()?;
            Ok(transaction.list_tables()?.next().is_none())
        })?;
        if !empty {
            self.known_format()?;
        }
        let identified = !empty && self.read(|db| super::meta(db, IDENTITY))? != 0;
        if identified {
            return Ok(());
        }
        let prepare = |transaction: &WriteTransaction| {
            transaction.open_table(PAIRS)?;
            transaction.open_table(LOG)?;
            let mut meta = transaction.open_table(META)?;
            meta.insert(FORMAT, FORMAT_VERSION)?;
            meta.insert(IDENTITY, RandomState::new().build_hasher().finish().max(1))?;
            Ok(TxnResult::Committed { revision: 0 })
        };
        self.write(prepare).map(drop)
    }

    fn known_format(&self) -> Result<(), StoreError> {
        let reason = match self.read(|db| super::meta(db, FORMAT)) {
            Ok(FORMAT_VERSION) => return Ok(()),
            Ok(version) => format!("its format is {version}, this version writes {FORMAT_VERSION}"),
            Err(error) => error.to_string(),
        };
        Err(StoreError::Corrupt {
            path: self.path.clone(),
            reason,
        })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the back end's enum may grow; what is not named is shown as it is"
    )]
    fn failed(&self, error: redb::Error) -> StoreError {
        let path = self.path.clone();
        match error {
            redb::Error::Corrupted(reason) => StoreError::Corrupt { path, reason },
            redb::Error::Io(source) => StoreError::Io { path, source },
            other => StoreError::Backend {
                path,
                source: Box::new(other),
            },
        }
    }
}

impl Drop for StoreFile {
    fn drop(&mut self) {
        let db = self.db.take();
        // A damaged file may make the database panic once more; it is closed either way.
        catch_unwind(AssertUnwindSafe(|| drop(db))).ok();
    }
}

fn database(path: &Path, backend: impl StorageBackend) -> Result<Database, StoreError> {
    let mut builder = Builder::new();
    // A damaged file must not become a panic later.
    builder.set_check_integrity_on_open(true);
    // What is read often is kept outside; the rest is for the system's cache.
    builder.set_cache_size(CACHE);
    let opened = builder.create_with_backend(backend);
    opened.map_err(|error| opening(path, error))
}

/// Whether a file has nothing but zeros: what is left when a disk was full before the
/// database had its first page.
fn blank(mut file: &File) -> io::Result<bool> {
    let mut chunk = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut chunk)?;
        if chunk[..count].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

/// Whether reading may still do.
fn refuses_writes(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ReadOnlyFilesystem
            | ErrorKind::PermissionDenied
            | ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
    )
}

fn trace(path: &Path) -> Option<Trace> {
    fs::metadata(path).ok().map(|meta| of(&meta))
}

fn of(meta: &Metadata) -> Trace {
    Trace {
        device: meta.dev(),
        inode: meta.ino(),
        len: meta.len(),
        modified: (meta.mtime(), meta.mtime_nsec()),
    }
}

impl Trace {
    fn is_same_file(self, other: Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the back end's enum may grow; what is not named is shown as it is"
)]
fn opening(path: &Path, error: DatabaseError) -> StoreError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StoreError::Locked { path }
        }
        DatabaseError::Storage(StorageError::Io(source))
            if source.kind() != ErrorKind::InvalidData
                && source.kind() != ErrorKind::UnexpectedEof =>
        {
            StoreError::Io { path, source }
        }
        other => StoreError::Corrupt {
            path,
            reason: other.to_string(),
        },
    }
}
