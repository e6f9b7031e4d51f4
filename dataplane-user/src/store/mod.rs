//! Where the policy is kept: a small key-value store with etcd's semantics.
//!
//! One trait, [`Store`], so that an embedded file ([`redb`]) and a cluster can
//! stand behind the same code. [`objects`] puts policy documents on top of it.

pub mod objects;
pub mod redb;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use self::redb::reopen::ReopeningStore;

/// A key-value store with revisions. Methods need a tokio runtime.
pub trait Store: Send + Sync {
    /// The pairs whose keys begin with `prefix`, in the keys' order, and the
    /// revision of the answer; as of `revision` when given.
    fn range(
        &self,
        prefix: &str,
        revision: Option<u64>,
    ) -> BoxFuture<'_, Result<Range, StoreError>>;

    /// Does all of `ops` in one revision if all of `compares` hold, else nothing.
    fn txn(
        &self,
        compares: Vec<Compare>,
        ops: Vec<Op>,
    ) -> BoxFuture<'_, Result<TxnResult, StoreError>>;

    /// The changes of keys that begin with `prefix`, from revision `from` on
    /// (inclusive), past and future. After a lost watch: `range`, compare, watch again.
    fn watch(&self, prefix: &str, from: u64) -> BoxFuture<'_, Result<Watch, StoreError>>;

    /// What does not work although reading does: the store, why, what to do.
    fn trouble(&self) -> Option<String>;

    /// What is known of the policy in it.
    fn kept(&self) -> &objects::Kept;
}

/// A shared store.
pub type SharedStore = Arc<dyn Store>;

/// Opens the store that a URL names: `redb:///PATH`. One whose file cannot be used
/// says so at each request until it can; one of another process is an error here.
pub async fn open(url: &str) -> Result<SharedStore, StoreError> {
    match url.split_once("://") {
        Some(("redb", path)) if path.starts_with('/') => {
            Ok(Arc::new(ReopeningStore::open(Path::new(path)).await?))
        }
        Some(("etcd", _)) => Err(StoreError::NotSupported {
            url: url.to_owned(),
        }),
        _ => Err(StoreError::BadUrl {
            url: url.to_owned(),
        }),
    }
}

/// A pair and its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// Revision that created the key.
    pub create_revision: u64,
    /// Revision of the last change.
    pub mod_revision: u64,
}

/// Answer to [`Store::range`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The pairs.
    pub pairs: Vec<KeyValue>,
    /// The revision that they are of.
    pub revision: u64,
    /// Of which store: revisions of different ones do not compare. An empty or other
    /// store in the place of the former has another number.
    pub store: u64,
}

/// Condition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: String,
    /// Revision of its last change that it must have; `None`: it must not exist.
    pub mod_revision: Option<u64>,
}

/// Change within a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sets the value of a key.
    Put {
        /// The key.
        key: String,
        /// The value.
        value: Vec<u8>,
    },
    /// Removes a key, if it is there.
    Delete {
        /// The key.
        key: String,
    },
}

impl Op {
    /// The key it changes.
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnResult {
    /// Done; all changes have this revision.
    Committed {
        /// The store's revision now.
        revision: u64,
    },
    /// A condition did not hold; nothing is changed.
    Conflict {
        /// The store's revision now.
        revision: u64,
    },
}

/// A change that a watch reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Revision of the change.
    pub revision: u64,
    /// The key.
    pub key: String,
    /// The pair after the change; `None` when it was removed.
    pub pair: Option<KeyValue>,
}

/// Changes as they come. An error is the last thing it yields.
#[derive(Debug)]
pub struct Watch {
    receiver: mpsc::Receiver<Result<Event, StoreError>>,
}

impl Watch {
    /// The next change; `None` when the store is gone.
    pub async fn next(&mut self) -> Option<Result<Event, StoreError>> {
        self.receiver.recv().await
    }
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The revision is older than the change log.
    #[error("revision {revision} is compacted, the oldest kept is {oldest}; read everything again")]
    Compacted {
        /// The one asked for.
        revision: u64,
        /// The oldest there is.
        oldest: u64,
    },
    /// The revision is still to come.
    #[error("revision {revision} is in the future, the store is at {current}")]
    Future {
        /// The one asked for.
        revision: u64,
        /// The newest there is.
        current: u64,
    },
    /// A back end to come.
    #[error("store {url} is not supported yet; use redb:///PATH")]
    NotSupported {
        /// The URL.
        url: String,
    },
    /// No back end has this URL.
    #[error("store {url} is no URL of a store; use redb:///PATH with an absolute path")]
    BadUrl {
        /// The URL.
        url: String,
    },
    /// Another process has the file.
    #[error("store {} is in use by another process; stop the other nved, or give this one its own --store", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged or no store.
    #[error("store {} is damaged or no store of nved: {reason}; move it away and apply the policy again", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error("store {}: {source}; {}", path.display(), remedy(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file can be read, but not written.
    #[error("store {} can only be read: {source}; {}", path.display(), remedy(source))]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Somebody else wrote to the file, or put another in its place.
    #[error("store {} was changed by another program; it is opened again in a moment", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The back end failed.
    #[error("store {} failed: {source}; if that goes on, move it away and apply the policy again", path.display())]
    Backend {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored value is no document.
    #[error(
        "stored object {key} cannot be read: {source}; delete it or run the version that wrote it"
    )]
    BadValue {
        /// Its key.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// What to do about an error of a file.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the standard library's enum grows; the rest has one answer"
)]
fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on its file system",
        ErrorKind::ReadOnlyFilesystem => "mount its file system for writing",
        ErrorKind::PermissionDenied => "let nved read and write it and its folder",
        _ => "check the folder, its permissions and the disk",
    }
}

#[cfg(test)]
mod contract;
