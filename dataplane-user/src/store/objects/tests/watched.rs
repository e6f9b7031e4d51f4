//! Whoever hears of a change has it without reading all of it again.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::future::BoxFuture;
use tokio::{sync::Notify, task::yield_now};

use super::*;
use crate::store::{Range, Watch};

/// A store whose watchers hear of a change long before its writer does.
struct Early {
    store: SharedStore,
    written: Notify,
    /// How often all of it was read.
    readings: AtomicUsize,
}

impl Store for Early {
    fn range(
        &self,
        prefix: &str,
        revision: Option<u64>,
    ) -> BoxFuture<'_, Result<Range, StoreError>> {
        if prefix == ROOT {
            self.readings.fetch_add(1, Relaxed);
        }
        self.store.range(prefix, revision)
    }

    fn txn(
        &self,
        compares: Vec<Compare>,
        ops: Vec<Op>,
    ) -> BoxFuture<'_, Result<TxnResult, StoreError>> {
        Box::pin(async move {
            let done = self.store.txn(compares, ops).await;
            self.written.notify_one();
            for _ in 0..100 {
                yield_now().await;
            }
            done
        })
    }

    fn watch(&self, prefix: &str, from: u64) -> BoxFuture<'_, Result<Watch, StoreError>> {
        self.store.watch(prefix, from)
    }

    fn trouble(&self) -> Option<String> {
        self.store.trouble()
    }

    fn kept(&self) -> &Kept {
        self.store.kept()
    }
}

#[tokio::test]
async fn who_hears_of_a_change_does_not_read_all_of_it_again() {
    let (_folder, store) = store().await;
    let early = Early {
        store,
        written: Notify::new(),
        readings: AtomicUsize::new(0),
    };
    let watcher = async {
        early.written.notified().await;
        super::super::load(&early).await
    };
    let (applied, seen) = tokio::join!(apply(&early, documents(TWO_TENANTS), false), watcher);
    let (applied, seen) = (applied.expect("applied"), seen.expect("read"));
    assert_eq!(seen.stored.len(), applied.changes.len());
    assert_eq!(seen.stored.revision, applied.revision);
    // Before the change, when nothing was known.
    assert_eq!(early.readings.load(Relaxed), 1);
}
