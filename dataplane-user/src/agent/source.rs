//! The policy as the store has it.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
};

use crate::{
    dataplane::{self, Dataplane},
    policy::{Ids, Policy},
    settings::Settings,
    store::{
        SharedStore, Store, StoreError,
        objects::{Known, Stored, foresee, load, load_ids},
    },
};

/// The last policy that could be read.
#[derive(Clone, Default)]
pub(super) struct Source {
    /// Its documents and revision.
    pub(super) stored: Arc<Stored>,
    /// Checked.
    pub(super) policy: Arc<Policy>,
    /// Why a later one could not be read; may be empty.
    pub(super) conditions: Vec<String>,
    /// Counts readings that changed something.
    pub(super) version: u64,
    /// Counts the stores that were seen in this place, each later one with 1 more.
    pub(super) store: u64,
    /// Identity and revision of the last reading.
    last: Option<(u64, u64)>,
    /// Another store took the place of the former, and has not had this host yet.
    replaced: bool,
}

impl Source {
    /// Reads the policy; keeps the former one when that fails, and when the store was
    /// replaced by one without this host. `false`: try again later.
    pub(super) async fn refresh(&mut self, store: &dyn Store, settings: &Settings) -> bool {
        let Known { stored, policy } = match load(store).await {
            Ok(known) => known,
            Err(error) => {
                self.conditions = vec![format!("the policy cannot be read: {error}")];
                return false;
            }
        };
        self.notice(&stored);
        if self.version != 0 && stored.says(&self.stored) {
            self.stored = Arc::new(stored);
            self.replaced = false;
            self.conditions.clear();
            return true;
        }
        let policy = policy.map_or_else(|| stored.check().map(Arc::new), Ok);
        match policy {
            Ok(policy) => self.take(stored, policy, settings),
            Err(faults) => {
                let told = faults.iter().take(10).map(|fault| {
                    format!(
                        "{} in the store is invalid: {}",
                        fault.object, fault.message
                    )
                });
                self.conditions = told.collect();
            }
        }
        true
    }

    /// Sees whether it is still the same store, and not an older copy of it.
    fn notice(&mut self, stored: &Stored) {
        let now = (stored.store, stored.revision);
        let other = |last: (u64, u64)| last.0 != now.0 || last.1 > now.1;
        if self.last.replace(now).is_some_and(other) {
            self.store += 1;
            self.replaced = true;
        }
    }

    /// Goes over to a policy. A store that was lost and begun anew must not take the
    /// host's tables with it: deleting the host is for a store that had it.
    fn take(&mut self, stored: Stored, policy: Arc<Policy>, settings: &Settings) {
        let host = &settings.host;
        let has = |policy: &Policy| policy.hosts.contains_key(host);
        if self.replaced && has(&self.policy) && !has(&policy) {
            self.conditions = vec![format!(
                "store {} was replaced by one without host {host}, which goes on with its former policy; apply the policy again (`nvectl get all -o yaml` shows it)",
                settings.store
            )];
            return;
        }
        self.replaced = false;
        self.policy = policy;
        self.stored = Arc::new(stored);
        self.version += 1;
        self.conditions.clear();
    }
}

/// Loads the dataplane, and reads the policy while the kernel checks the programs.
pub(super) async fn load_meanwhile(
    store: &SharedStore,
    settings: &Settings,
) -> Result<Dataplane, dataplane::Error> {
    let store = store.clone();
    let foreseen = tokio::spawn(async move { foresee(&*store).await });
    let loaded = tokio::task::block_in_place(|| Dataplane::load(settings));
    // Where that failed, the first round reads the policy itself.
    let _ = foreseen.await;
    loaded
}

/// The host's numbers as they are in the store; `None` when there are none of use.
pub(super) async fn saved_ids(store: &dyn Store, host: &str) -> Result<Option<Ids>, StoreError> {
    match load_ids(store, host).await {
        // The kernel's tables tell them as well.
        Err(error @ StoreError::BadValue { .. }) => {
            tracing::warn!("{error}");
            Ok(None)
        }
        other => other,
    }
}

/// New numbers with a random seed.
pub(super) fn new_ids() -> Ids {
    Ids::new(random())
}

/// Random enough for a hash seed that is no secret.
fn random() -> u32 {
    let [a, b, c, d, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests;
