//! Changes of the store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::store::{SharedStore, StoreError, objects::ROOT};

/// Tells of changes of policy objects: sets `flag`, then notifies `changed`.
pub(super) fn follow_store(store: SharedStore, changed: Arc<Notify>, flag: Arc<AtomicBool>) {
    tokio::spawn(async move {
        loop {
            if let Err(error) = follow(&store, &changed, &flag).await {
                tracing::debug!("the watch of the store ended and starts again: {error}");
            }
            flag.store(true, Ordering::Relaxed);
            changed.notify_one();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
}

async fn follow(
    store: &SharedStore,
    changed: &Notify,
    flag: &AtomicBool,
) -> Result<(), StoreError> {
    let revision = store.range(ROOT, None).await?.revision;
    let mut watch = store.watch(ROOT, revision + 1).await?;
    // What changed between the last reading and this watch.
    flag.store(true, Ordering::Relaxed);
    changed.notify_one();
    while let Some(event) = watch.next().await {
        let local = event?.key[ROOT.len()..].starts_with("local/");
        if !local {
            flag.store(true, Ordering::Relaxed);
            changed.notify_one();
        }
    }
    Ok(())
}
