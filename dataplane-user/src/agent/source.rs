//! The policy as the store has it.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
};

use crate::{
    policy::{Ids, Policy, numbered, validate},
    store::{
        Store, StoreError,
        objects::{Stored, load_all, load_ids},
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
}

impl Source {
    /// Reads the policy; keeps the former one when that fails. `false`: try again later.
    pub(super) async fn refresh(&mut self, store: &dyn Store) -> bool {
        let stored = match load_all(store).await {
            Ok(stored) => stored,
            Err(error) => {
                self.conditions = vec![format!("the policy cannot be read: {error}")];
                return false;
            }
        };
        if self.version != 0 && stored.documents == self.stored.documents {
            self.stored = Arc::new(stored);
            return true;
        }
        let documents = numbered(
            stored
                .documents
                .iter()
                .map(|(document, _)| document.clone()),
        );
        match validate(&documents) {
            Ok(policy) => {
                self.policy = Arc::new(policy);
                self.stored = Arc::new(stored);
                self.version += 1;
                self.conditions.clear();
            }
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
}

/// The host's numbers; new ones with a random seed when there are none.
pub(super) async fn ids(store: &dyn Store, host: &str) -> Result<Ids, StoreError> {
    let stored = load_ids(store, host).await?;
    Ok(stored.unwrap_or_else(|| Ids::new(random())))
}

/// Random enough for a hash seed that is no secret.
fn random() -> u32 {
    let [a, b, c, d, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}
