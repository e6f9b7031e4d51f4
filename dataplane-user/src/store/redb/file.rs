//! The database file: opening it, and one place for its errors.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, StorageError, WriteTransaction,
    backends::FileBackend,
};

use super::{FORMAT, FORMAT_VERSION, LOG, META, PAIRS};
use crate::store::{StoreError, TxnResult};

/// An open database.
pub(super) struct StoreFile {
    path: PathBuf,
    db: Database,
}

impl StoreFile {
    /// Opens the file, or makes it: only this user may read it, for a policy
    /// tells who talks to whom.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
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
        let backend = FileBackend::new(file).map_err(|error| opening(path, error))?;
        let mut builder = Builder::new();
        // A damaged file must not become a panic later.
        builder.set_check_integrity_on_open(true);
        let db = builder
            .create_with_backend(backend)
            .map_err(|error| opening(path, error))?;
        let file = Self {
            path: path.to_owned(),
            db,
        };
        file.prepare()?;
        Ok(file)
    }

    /// Reads.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        work(&self.db).map_err(|error| self.failed(error))
    }

    /// Writes, durably when it returns; a conflict leaves no trace.
    pub(super) fn write(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<TxnResult, redb::Error>,
    ) -> Result<TxnResult, StoreError> {
        let write = || {
            let transaction = self.db.begin_write()?;
            let result = work(&transaction)?;
            match result {
                TxnResult::Committed { .. } => transaction.commit()?,
                TxnResult::Conflict { .. } => transaction.abort()?,
            }
            Ok(result)
        };
        write().map_err(|error| self.failed(error))
    }

    /// Makes the tables of a new file; refuses those of somebody else.
    fn prepare(&self) -> Result<(), StoreError> {
        let empty = self.read(|db| {
            let transaction = db.begin_read()?;
            Ok(transaction.list_tables()?.next().is_none())
        })?;
        if empty {
            let format = |transaction: &WriteTransaction| {
                transaction.open_table(PAIRS)?;
                transaction.open_table(LOG)?;
                transaction
                    .open_table(META)?
                    .insert(FORMAT, FORMAT_VERSION)?;
                Ok(TxnResult::Committed { revision: 0 })
            };
            return self.write(format).map(|_| ());
        }
        let format = self.read(|db| {
            let meta = db.begin_read()?.open_table(META)?;
            super::number(&meta, FORMAT)
        });
        let reason = match format {
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
            if source.kind() != io::ErrorKind::InvalidData
                && source.kind() != io::ErrorKind::UnexpectedEof =>
        {
            StoreError::Io { path, source }
        }
        other => StoreError::Corrupt {
            path,
            reason: other.to_string(),
        },
    }
}
