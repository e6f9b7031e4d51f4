//! Policy documents in a store.

use std::collections::{HashMap, HashSet};

use serde::{Serialize, de::DeserializeOwned};

use super::{Compare, KeyValue, Op, Store, StoreError, TxnResult};
use crate::{
    control::protocol::{Action, ApplyReport, Change, Problem, Problems},
    policy::{
        document::{ApiVersion, Document},
        fault::Fault,
        ids::Ids,
        key::Key,
        validate::{merge, validate},
    },
};

/// Prefix of everything.
pub const ROOT: &str = "/nve/v1/";
/// Prefix of what concerns one host only.
const LOCAL: &str = "/nve/v1/local/";
/// Every change of the policy writes this key.
const GUARD: &str = "/nve/v1/meta/policy";

/// What is stored, at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The documents with the revision of their last change, by key.
    pub documents: Vec<(Document, u64)>,
    /// The revision.
    pub revision: u64,
    /// Of which store, as [`super::Range::store`].
    pub store: u64,
    /// Revision of the guard that each change of the policy writes.
    guard: Option<u64>,
}

impl Stored {
    /// The documents alone.
    pub fn into_documents(self) -> Vec<Document> {
        self.documents.into_iter().map(|(d, _)| d).collect()
    }
}

/// Why objects are as they were before.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The policy would break rules.
    #[error("the policy is invalid: {} faults", .0.problems.len())]
    Invalid(Problems),
    /// Other objects refer to the one to delete.
    #[error("{object} is in use: {} faults without it", .problems.problems.len())]
    InUse {
        /// The object.
        object: Key,
        /// What would be wrong without it.
        problems: Problems,
    },
    /// There is no such object.
    #[error("{object} not found")]
    NotFound {
        /// The object.
        object: Key,
    },
    /// Others keep changing the store.
    #[error("the store changed during each of {tries} tries; apply again")]
    Conflict {
        /// How many tries.
        tries: u32,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const TRIES: u32 = 5;

/// The key of an object in the store.
pub fn store_key(key: &Key) -> String {
    let kind = key.kind().to_ascii_lowercase();
    match key {
        Key::ProviderNetwork(name) | Key::Host(name) | Key::VmNetwork(name) => {
            format!("{ROOT}{kind}/{name}")
        }
        Key::Port(port) => format!("{ROOT}{kind}/{port}"),
        Key::LookupRecord(vsid, ca) => format!("{ROOT}{kind}/{vsid}/{ca}"),
        Key::L2Record(vsid, mac) => format!("{ROOT}{kind}/{vsid}/{mac}"),
        Key::CustomerRoute(network, name) => format!("{ROOT}{kind}/{network}/{name}"),
    }
}

/// All policy documents.
pub async fn load_all(store: &dyn Store) -> Result<Stored, StoreError> {
    let range = store.range(ROOT, None).await?;
    let mut stored = Stored {
        revision: range.revision,
        store: range.store,
        ..Stored::default()
    };
    for pair in range.pairs {
        if pair.key == GUARD {
            stored.guard = Some(pair.mod_revision);
        } else if !pair.key.starts_with(LOCAL) {
            let KeyValue {
                key,
                value,
                mod_revision,
                ..
            } = pair;
            let document = serde_json::from_slice(&value);
            let document = document.map_err(|source| StoreError::BadValue { key, source })?;
            stored.documents.push((document, mod_revision));
        }
    }
    Ok(stored)
}

/// Creates and updates objects in one transaction: all of them, or none.
pub async fn apply(
    store: &dyn Store,
    documents: Vec<Document>,
    dry_run: bool,
) -> Result<ApplyReport, ObjectError> {
    for _ in 0..TRIES {
        let stored = load_all(store).await?;
        let (revision, guard) = (stored.revision, stored.guard);
        let (changes, ops) = plan(stored, &documents)?;
        if dry_run || ops.is_empty() {
            return Ok(report(changes, revision));
        }
        if let Some(revision) = commit(store, guard, ops).await? {
            return Ok(report(changes, revision));
        }
    }
    Err(ObjectError::Conflict { tries: TRIES })
}

/// Creates those of the objects that are not there, in one transaction; which ones. What somebody
/// else has created meanwhile stays as it is.
pub async fn create(
    store: &dyn Store,
    mut documents: Vec<Document>,
) -> Result<Vec<Key>, ObjectError> {
    for _ in 0..TRIES {
        let stored = load_all(store).await?;
        let there: HashSet<Key> = stored.documents.iter().map(|(d, _)| Key::of(d)).collect();
        documents.retain(|document| !there.contains(&Key::of(document)));
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let guard = stored.guard;
        let (changes, ops) = plan(stored, &documents)?;
        if commit(store, guard, ops).await?.is_some() {
            return Ok(changes.into_iter().map(|(key, _)| key).collect());
        }
    }
    Err(ObjectError::Conflict { tries: TRIES })
}

/// Deletes those of the objects that are still exactly so, in one transaction; how many.
pub async fn withdraw(store: &dyn Store, documents: &[Document]) -> Result<usize, ObjectError> {
    for _ in 0..TRIES {
        let stored = load_all(store).await?;
        let guard = stored.guard;
        let (gone, rest): (Vec<Document>, Vec<Document>) = stored
            .into_documents()
            .into_iter()
            .partition(|document| documents.contains(document));
        if gone.is_empty() {
            return Ok(0);
        }
        validate(&merge(rest, Vec::new()))
            .map_err(|faults| ObjectError::Invalid(problems(faults)))?;
        let delete = |document: &Document| Op::Delete {
            key: store_key(&Key::of(document)),
        };
        let ops = gone.iter().map(delete).collect();
        if commit(store, guard, ops).await?.is_some() {
            return Ok(gone.len());
        }
    }
    Err(ObjectError::Conflict { tries: TRIES })
}

/// Deletes an object that no other refers to.
pub async fn delete(store: &dyn Store, key: &Key) -> Result<ApplyReport, ObjectError> {
    for _ in 0..TRIES {
        let stored = load_all(store).await?;
        let guard = stored.guard;
        removable(stored, key)?;
        let op = Op::Delete {
            key: store_key(key),
        };
        if let Some(revision) = commit(store, guard, vec![op]).await? {
            return Ok(report(vec![(key.clone(), Action::Deleted)], revision));
        }
    }
    Err(ObjectError::Conflict { tries: TRIES })
}

/// Writes if the policy is still what was validated. Rules span objects, so the
/// guard stands for all of them, not only those that are written.
async fn commit(
    store: &dyn Store,
    guard: Option<u64>,
    mut ops: Vec<Op>,
) -> Result<Option<u64>, StoreError> {
    let compare = Compare {
        key: GUARD.to_owned(),
        mod_revision: guard,
    };
    ops.push(Op::Put {
        key: GUARD.to_owned(),
        value: Vec::new(),
    });
    match store.txn(vec![compare], ops).await? {
        TxnResult::Committed { revision } => Ok(Some(revision)),
        TxnResult::Conflict { .. } => Ok(None),
    }
}

type Changes = Vec<(Key, Action)>;

/// What applying would do, object by object, and how; refused if it breaks a rule.
fn plan(stored: Stored, applied: &[Document]) -> Result<(Changes, Vec<Op>), ObjectError> {
    let stored = stored.into_documents();
    let old: HashMap<Key, &Document> = stored.iter().map(|d| (Key::of(d), d)).collect();
    let mut changes = Vec::with_capacity(applied.len());
    let mut ops = Vec::new();
    for document in applied {
        let key = Key::of(document);
        let action = match old.get(&key) {
            None => Action::Created,
            Some(old) if *old == document => Action::Unchanged,
            Some(_) => Action::Configured,
        };
        if action != Action::Unchanged {
            let value = serde_json::to_vec(document);
            let key = store_key(&key);
            let value = value.map_err(|source| StoreError::BadValue {
                key: key.clone(),
                source,
            })?;
            ops.push(Op::Put { key, value });
        }
        changes.push((key, action));
    }
    let merged = merge(stored, applied.to_vec());
    validate(&merged).map_err(|faults| ObjectError::Invalid(problems(faults)))?;
    Ok((changes, ops))
}

/// Refuses to remove what is not there or what others refer to.
fn removable(stored: Stored, key: &Key) -> Result<(), ObjectError> {
    let object = key.clone();
    let before = stored.documents.len();
    let mut rest = stored.into_documents();
    rest.retain(|document| Key::of(document) != *key);
    if rest.len() == before {
        return Err(ObjectError::NotFound { object });
    }
    let rest = merge(rest, Vec::new());
    validate(&rest).map_err(|faults| {
        let problems = problems(faults);
        ObjectError::InUse { object, problems }
    })?;
    Ok(())
}

fn problems(faults: Vec<Fault>) -> Problems {
    Problems {
        problems: faults.into_iter().map(Problem::from).collect(),
    }
}

fn report(changes: Changes, revision: u64) -> ApplyReport {
    let change = |(object, action): (Key, Action)| Change {
        object: object.to_string(),
        action,
    };
    ApplyReport {
        api_version: ApiVersion::V1,
        changes: changes.into_iter().map(change).collect(),
        revision,
    }
}

/// The numbers of a host; `None` before [`save_ids`].
pub async fn load_ids(store: &dyn Store, host: &str) -> Result<Option<Ids>, StoreError> {
    load_local(store, host, IDS).await
}

/// Keeps the numbers of a host, which alone writes them.
pub async fn save_ids(store: &dyn Store, host: &str, ids: &Ids) -> Result<(), StoreError> {
    save_local(store, host, IDS, ids).await
}

const IDS: &str = "ids";

/// What a host keeps for itself under a name; `None` before [`save_local`].
pub async fn load_local<T: DeserializeOwned>(
    store: &dyn Store,
    host: &str,
    name: &str,
) -> Result<Option<T>, StoreError> {
    let key = local_key(host, name);
    let range = store.range(&key, None).await?;
    let pair = range.pairs.into_iter().find(|pair| pair.key == key);
    let Some(pair) = pair else { return Ok(None) };
    let value = serde_json::from_slice(&pair.value);
    value
        .map(Some)
        .map_err(|source| StoreError::BadValue { key, source })
}

/// Keeps something of a host, which alone writes it.
pub async fn save_local(
    store: &dyn Store,
    host: &str,
    name: &str,
    value: &(impl Serialize + Sync),
) -> Result<(), StoreError> {
    let key = local_key(host, name);
    let value = serde_json::to_vec(value);
    let value = value.map_err(|source| StoreError::BadValue {
        key: key.clone(),
        source,
    })?;
    store.txn(Vec::new(), vec![Op::Put { key, value }]).await?;
    Ok(())
}

fn local_key(host: &str, name: &str) -> String {
    format!("{LOCAL}{host}/{name}")
}

#[cfg(test)]
mod tests;
