//! The embedded back end: one file, one writer process, crash-safe.
//!
//! Three tables: the pairs, a log of the last changes with what was there before
//! (so that a range at an older revision undoes them), and a few numbers. Every
//! transaction is durable when it is reported.

mod backend;
mod file;
mod log;
pub mod reopen;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::{mpsc, watch};

use super::{Compare, KeyValue, Op, Range, Store, StoreError, TxnResult, Watch, objects::Kept};

/// A pair's creating revision, changing revision, and value.
type Stored<'a> = (u64, u64, &'a [u8]);
/// Key -> value.
const PAIRS: TableDefinition<&str, Stored<'static>> = TableDefinition::new("pairs");
/// A change: key, before, after.
type Logged<'a> = (&'a str, Option<Stored<'a>>, Option<Stored<'a>>);
/// (revision, number in it) -> change.
const LOG: TableDefinition<(u64, u64), Logged<'static>> = TableDefinition::new("log");
/// Numbers by name.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

const FORMAT: &str = "format";
const FORMAT_VERSION: u64 = 1;
const REVISION: &str = "revision";
/// Changes up to this revision are no longer (completely) in the log.
const COMPACTED: &str = "compacted";
/// Tells this store from any other; random, never 0.
const IDENTITY: &str = "identity";
/// Written to see whether writing works.
const PROBE: &str = "probe";

/// Events a watcher may be behind before the store waits for it.
const WATCH_BUFFER: usize = 1024;

/// A store in a file.
pub struct RedbStore {
    inner: Arc<Inner>,
    kept: Kept,
}

struct Inner {
    path: PathBuf,
    file: file::StoreFile,
    /// The newest revision; watchers wait for it to change.
    head: watch::Sender<u64>,
    /// How many changes the log keeps.
    log_len: u64,
}

/// A value with its history.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    create: u64,
    modified: u64,
    value: Vec<u8>,
}

impl RedbStore {
    /// Changes that the log keeps.
    pub const LOG_LEN: u64 = 10_000;

    /// Opens the file, or makes it with mode 0600.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with_log(path, Self::LOG_LEN).await
    }

    /// As [`Self::open`], keeping another number of changes.
    pub async fn open_with_log(path: &Path, log_len: u64) -> Result<Self, StoreError> {
        Self::open_by(path, log_len, file::StoreFile::open).await
    }

    /// Opens the file to write to it, or not at all.
    async fn open_to_write(path: &Path, log_len: u64) -> Result<Self, StoreError> {
        Self::open_by(path, log_len, file::StoreFile::open_to_write).await
    }

    async fn open_by(
        path: &Path,
        log_len: u64,
        open: fn(&Path) -> Result<file::StoreFile, StoreError>,
    ) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let named = path.clone();
        let open = move || {
            let file = open(&path)?;
            let revision = file.read(|db| Ok(numbers(db)?.0))?;
            let inner = Inner {
                path,
                file,
                head: watch::Sender::new(revision),
                log_len,
            };
            Ok(Self {
                inner: Arc::new(inner),
                kept: Kept::default(),
            })
        };
        join(&named, tokio::task::spawn_blocking(open).await)
    }

    /// Writes something of no meaning.
    async fn probe(&self) -> Result<(), StoreError> {
        self.blocking(|inner| {
            let written = inner.file.write(|transaction| {
                let mut meta = transaction.open_table(META)?;
                let last = number(&meta, PROBE)?;
                meta.insert(PROBE, last + 1)?;
                Ok(TxnResult::Committed { revision: 0 })
            });
            written.map(drop)
        })
        .await
    }

    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let inner = Arc::clone(&self.inner);
        async move {
            let done = tokio::task::spawn_blocking(move || work(&inner)).await;
            join(&self.inner.path, done)
        }
        .boxed()
    }
}

impl Store for RedbStore {
    fn range(
        &self,
        prefix: &str,
        revision: Option<u64>,
    ) -> BoxFuture<'_, Result<Range, StoreError>> {
        let prefix = prefix.to_owned();
        self.blocking(move |inner| inner.range(&prefix, revision))
    }

    fn txn(
        &self,
        compares: Vec<Compare>,
        ops: Vec<Op>,
    ) -> BoxFuture<'_, Result<TxnResult, StoreError>> {
        self.blocking(move |inner| inner.txn(&compares, &ops))
    }

    fn watch(&self, prefix: &str, from: u64) -> BoxFuture<'_, Result<Watch, StoreError>> {
        let prefix = prefix.to_owned();
        async move {
            let (sender, receiver) = mpsc::channel(WATCH_BUFFER);
            let start = from;
            self.blocking(move |inner| {
                inner
                    .file
                    .read(|db| Ok(numbers(db)?.1))
                    .and_then(|oldest| check(start, oldest))
            })
            .await?;
            let head = self.inner.head.subscribe();
            let inner = Arc::downgrade(&self.inner);
            tokio::spawn(log::follow(inner, prefix, from, head, sender));
            Ok(Watch { receiver })
        }
        .boxed()
    }

    fn trouble(&self) -> Option<String> {
        let refused = self.inner.file.read_only();
        refused.map(|error| error.to_string())
    }

    fn kept(&self) -> &Kept {
        &self.kept
    }
}

impl Inner {
    fn range(&self, prefix: &str, revision: Option<u64>) -> Result<Range, StoreError> {
        let (pairs, numbers, undo) = self.file.read(|db| {
            let transaction = db.begin_read()?;
            let meta = transaction.open_table(META)?;
            let current = number(&meta, REVISION)?;
            let compacted = number(&meta, COMPACTED)?;
            let store = number(&meta, IDENTITY)?;
            let at = revision.unwrap_or(current);
            let pairs = log::pairs(&transaction, prefix)?;
            let undo = if at < current && at >= compacted {
                log::changes(&transaction, prefix, at + 1)?
            } else {
                Vec::new()
            };
            Ok((pairs, (current, compacted, store), undo))
        })?;
        let (current, compacted, store) = numbers;
        let revision = revision.unwrap_or(current);
        if revision > current {
            return Err(StoreError::Future { revision, current });
        }
        if revision < compacted {
            let oldest = compacted;
            return Err(StoreError::Compacted { revision, oldest });
        }
        let pairs = log::undone(pairs, undo);
        let pairs = pairs.into_iter().map(|(key, entry)| entry.pair(key));
        Ok(Range {
            pairs: pairs.collect(),
            revision,
            store,
        })
    }

    fn txn(&self, compares: &[Compare], ops: &[Op]) -> Result<TxnResult, StoreError> {
        let result = self.file.write(|transaction| {
            let mut meta = transaction.open_table(META)?;
            let mut pairs = transaction.open_table(PAIRS)?;
            let revision = number(&meta, REVISION)?;
            for compare in compares {
                let pair = pairs.get(compare.key.as_str())?;
                let modified = pair.map(|guard| guard.value().1);
                if modified != compare.mod_revision {
                    return Ok(TxnResult::Conflict { revision });
                }
            }
            if ops.is_empty() {
                return Ok(TxnResult::Committed { revision });
            }
            let revision = revision + 1;
            let mut log = transaction.open_table(LOG)?;
            log::write(&mut pairs, &mut log, revision, ops)?;
            let compacted = number(&meta, COMPACTED)?;
            let compacted = log::trim(&mut log, self.log_len, compacted)?;
            meta.insert(REVISION, revision)?;
            meta.insert(COMPACTED, compacted)?;
            Ok(TxnResult::Committed { revision })
        })?;
        if let TxnResult::Committed { revision } = result {
            self.head.send_if_modified(|head| {
                let newer = revision > *head;
                *head = revision.max(*head);
                newer
            });
        }
        Ok(result)
    }
}

impl Entry {
    fn new((create, modified, value): Stored<'_>) -> Self {
        let value = value.to_vec();
        Self {
            create,
            modified,
            value,
        }
    }

    fn stored(&self) -> Stored<'_> {
        (self.create, self.modified, &self.value)
    }

    fn pair(self, key: String) -> KeyValue {
        KeyValue {
            key,
            value: self.value,
            create_revision: self.create,
            mod_revision: self.modified,
        }
    }
}

/// A watch can start after what was compacted only.
fn check(from: u64, compacted: u64) -> Result<(), StoreError> {
    if from <= compacted && compacted > 0 {
        return Err(StoreError::Compacted {
            revision: from,
            oldest: compacted + 1,
        });
    }
    Ok(())
}

/// The store's revision, and the newest that is compacted.
fn numbers(db: &Database) -> Result<(u64, u64), ::redb::Error> {
    let meta = db.begin_read()?.open_table(META)?;
    Ok((number(&meta, REVISION)?, number(&meta, COMPACTED)?))
}

fn number(meta: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<u64, ::redb::Error> {
    Ok(meta.get(name)?.map_or(0, |guard| guard.value()))
}

fn meta(db: &Database, name: &str) -> Result<u64, ::redb::Error> {
    number(&db.begin_read()?.open_table(META)?, name)
}

/// A panic in a blocking call is an error of the store like any other.
fn join<T>(
    path: &Path,
    result: Result<Result<T, StoreError>, tokio::task::JoinError>,
) -> Result<T, StoreError> {
    result.unwrap_or_else(|error| {
        Err(StoreError::Backend {
            path: path.to_owned(),
            source: Box::new(error),
        })
    })
}

#[cfg(test)]
mod tests;
