//! A store that outlives its file's troubles.
//!
//! The database gives up for ever after an error, and goes on with a file that was
//! removed. So the handle is dropped after an error and when the file is no longer the
//! one that is open; the next request opens it again. Watches end with the handle that
//! they came from: whoever watches reads everything and watches again.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    sync::Mutex,
    task::spawn_blocking,
    time::{Instant, sleep},
};

use super::RedbStore;
use crate::store::{Compare, Op, Range, Store, StoreError, TxnResult, Watch, objects::Kept};

/// How often the file is looked at, and how long one that somebody else changed is
/// left alone.
const LOOK: Duration = Duration::from_secs(1);
/// How often, and after which pause, a file is tried that an ending request may still have open.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// A store in a file that may fail, vanish and come back.
pub struct ReopeningStore {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    log_len: u64,
    handle: Mutex<Handle>,
    kept: Kept,
    /// Why the last write failed, until one works.
    failed_write: std::sync::Mutex<Option<String>>,
}

#[derive(Default)]
struct Handle {
    open: Option<Arc<RedbStore>>,
    /// Not to be opened before.
    rest: Option<Instant>,
    /// What was last logged about it.
    told: Option<String>,
}

impl ReopeningStore {
    /// A store in this file. Only one that another process has open is refused.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with_log(path, RedbStore::LOG_LEN).await
    }

    /// As [`Self::open`], keeping another number of changes.
    pub async fn open_with_log(path: &Path, log_len: u64) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            log_len,
            handle: Mutex::default(),
            kept: Kept::default(),
            failed_write: std::sync::Mutex::default(),
        });
        if let Err(error @ StoreError::Locked { .. }) = shared.get().await {
            return Err(error);
        }
        tokio::spawn(look_after(Arc::downgrade(&shared)));
        Ok(Self { shared })
    }
}

impl Store for ReopeningStore {
    fn range(
        &self,
        prefix: &str,
        revision: Option<u64>,
    ) -> BoxFuture<'_, Result<Range, StoreError>> {
        let prefix = prefix.to_owned();
        async move {
            let store = self.shared.get().await?;
            let result = store.range(&prefix, revision).await;
            self.shared.judge(store, result).await
        }
        .boxed()
    }

    fn txn(
        &self,
        compares: Vec<Compare>,
        ops: Vec<Op>,
    ) -> BoxFuture<'_, Result<TxnResult, StoreError>> {
        async move {
            let store = self.shared.get().await?;
            let result = store.txn(compares, ops).await;
            self.shared.written(&result);
            self.shared.judge(store, result).await
        }
        .boxed()
    }

    fn watch(&self, prefix: &str, from: u64) -> BoxFuture<'_, Result<Watch, StoreError>> {
        let prefix = prefix.to_owned();
        async move {
            let store = self.shared.get().await?;
            let result = store.watch(&prefix, from).await;
            self.shared.judge(store, result).await
        }
        .boxed()
    }

    fn trouble(&self) -> Option<String> {
        // While it is being opened, whoever waits for it is told.
        let handle = self.shared.handle.try_lock().ok();
        let read_only = handle.and_then(|handle| handle.open.as_ref()?.trouble());
        read_only.or_else(|| self.shared.failed_write().clone())
    }

    fn kept(&self) -> &Kept {
        &self.shared.kept
    }
}

impl Shared {
    /// The open file; opens it if need be.
    async fn get(&self) -> Result<Arc<RedbStore>, StoreError> {
        let mut handle = self.handle.lock().await;
        if let Some(store) = &handle.open {
            return Ok(store.clone());
        }
        if handle.rest.is_some_and(|rest| Instant::now() < rest) {
            let path = self.path.clone();
            return Err(StoreError::Changed { path });
        }
        // Whoever changed or replaced the file may have written what reads as the same revision.
        self.kept.forget();
        let opened = self.open_soon().await.map(Arc::new);
        handle.tell(&self.path, opened.as_ref());
        handle.open = opened.as_ref().ok().cloned();
        opened
    }

    /// Opens the file, also when a request that ends has it open a moment longer.
    async fn open_soon(&self) -> Result<RedbStore, StoreError> {
        for _ in 1..TRIES {
            match RedbStore::open_with_log(&self.path, self.log_len).await {
                Err(StoreError::Locked { .. }) => sleep(PAUSE).await,
                other => return other,
            }
        }
        RedbStore::open_with_log(&self.path, self.log_len).await
    }

    /// Drops a handle that is of no more use.
    async fn judge<T>(
        &self,
        store: Arc<RedbStore>,
        result: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Err(error) = &result
            && ends_handle(error)
        {
            if self.failed_write().as_ref() != Some(&error.to_string()) {
                tracing::warn!("{error}");
            }
            self.shut(&store, None).await;
        }
        result
    }

    async fn shut(&self, store: &Arc<RedbStore>, rest: Option<Instant>) {
        let mut handle = self.handle.lock().await;
        if let Some(open) = handle.open.take_if(|open| Arc::ptr_eq(open, store)) {
            handle.rest = rest;
            // Closing takes its time, and may be the last one to hold the file.
            spawn_blocking(move || drop(open));
        }
    }

    /// Keeps what became of a write; logs what is new.
    fn written<T>(&self, result: &Result<T, StoreError>) {
        let mut failed = self.failed_write();
        match result {
            Ok(_) => *failed = None,
            Err(error) if ends_handle(error) => {
                let now = Some(error.to_string());
                if *failed != now {
                    tracing::warn!("{error}");
                    *failed = now;
                }
            }
            Err(_) => {}
        }
    }

    fn failed_write(&self) -> MutexGuard<'_, Option<String>> {
        let failed = self.failed_write.lock();
        failed.unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees whether the file is still the same, and whether it can be written again.
    async fn look(&self) {
        let Some(store) = self.handle.lock().await.open.clone() else {
            return;
        };
        let inner = store.inner.clone();
        if spawn_blocking(move || inner.file.changed())
            .await
            .unwrap_or(true)
        {
            tracing::warn!(
                "store {} was changed by another program",
                self.path.display()
            );
            store.inner.file.let_go();
            return self.shut(&store, Some(Instant::now() + LOOK)).await;
        }
        if store.trouble().is_some() {
            if let Ok(better) = RedbStore::open_to_write(&self.path, self.log_len).await {
                tracing::info!("store {} can be written again", self.path.display());
                self.handle.lock().await.open = Some(Arc::new(better));
            }
            return;
        }
        let failed = self.failed_write().is_some();
        if failed {
            let result = store.probe().await;
            self.written(&result);
            if result.is_err() {
                self.shut(&store, None).await;
            }
        }
    }
}

impl Handle {
    /// Logs what became of the file, once.
    fn tell(&mut self, path: &Path, opened: Result<&Arc<RedbStore>, &StoreError>) {
        let now = match opened {
            Ok(store) => store.trouble(),
            Err(error) => Some(error.to_string()),
        };
        if self.told != now {
            if let Some(trouble) = &now {
                tracing::warn!("{trouble}");
            } else {
                tracing::info!("store {} works again", path.display());
            }
            self.told = now;
        }
    }
}

/// Whether a handle that answered this answers nothing else any more.
fn ends_handle(error: &StoreError) -> bool {
    match error {
        StoreError::Corrupt { .. } | StoreError::Io { .. } | StoreError::Backend { .. } => true,
        StoreError::Compacted { .. }
        | StoreError::Future { .. }
        | StoreError::NotSupported { .. }
        | StoreError::BadUrl { .. }
        | StoreError::Locked { .. }
        | StoreError::ReadOnly { .. }
        | StoreError::Changed { .. }
        | StoreError::BadValue { .. } => false,
    }
}

async fn look_after(shared: Weak<Shared>) {
    loop {
        sleep(LOOK).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.look().await;
    }
}

#[cfg(test)]
mod tests;
