//! Policy documents in a store.

mod blocks;
mod plan;
mod request;
mod stored;

use serde::{Serialize, de::DeserializeOwned};

use self::plan::{Plan, Refused};
use super::{Compare, Op, Store, StoreError, TxnResult};
use crate::{
    control::protocol::{Action, ApplyReport, Change, Problem, Problems},
    policy::{
        document::{ApiVersion, Document},
        fault::Fault,
        ids::Ids,
        key::Key,
    },
};

pub use self::{
    request::Request,
    stored::{Kept, Known, Stored, foresee, load, load_all},
};

/// Prefix of everything.
pub const ROOT: &str = "/nve/v1/";
/// Prefix of what concerns one host only.
const LOCAL: &str = "/nve/v1/local/";
/// Every change of the policy writes this key.
const GUARD: &str = "/nve/v1/meta/policy";

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

/// Creates and updates objects in one transaction: all of them, or none.
pub async fn apply(
    store: &dyn Store,
    documents: Vec<Document>,
    dry_run: bool,
) -> Result<ApplyReport, ObjectError> {
    let request = documents.into_iter().collect();
    let applied = apply_request(store, &request, dry_run).await?;
    let mut changes = Vec::with_capacity(request.len());
    request.each(&applied.actions, |key, action| {
        changes.push((key.clone(), action));
    });
    Ok(report(changes, applied.revision))
}

/// What applying did.
#[derive(Clone, Debug)]
pub struct Applied {
    /// With each document of the request, in its order.
    pub actions: Vec<Action>,
    /// The revision after it.
    pub revision: u64,
}

/// As [`apply`], very many records among the documents.
pub async fn apply_request(
    store: &dyn Store,
    request: &Request,
    dry_run: bool,
) -> Result<Applied, ObjectError> {
    for _ in 0..TRIES {
        let known = load(store).await?;
        let stored = &known.stored;
        let (revision, guard) = (stored.revision, stored.guard);
        let mut plan = plan::apply(&known, request).map_err(|refused| match refused {
            Refused::Faults(faults) => ObjectError::Invalid(problems(faults)),
            Refused::Store(error) => error.into(),
        })?;
        drop(known);
        let actions = std::mem::take(&mut plan.actions);
        if dry_run || plan.ops.is_empty() {
            return Ok(Applied { actions, revision });
        }
        if let Some(revision) = commit(store, guard, plan).await? {
            return Ok(Applied { actions, revision });
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
        let known = load(store).await?;
        let stored = &known.stored;
        documents.retain(|document| stored.get(&Key::of(document)).is_none());
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let guard = stored.guard;
        let request: Request = documents.iter().cloned().collect();
        let plan = plan::apply(&known, &request).map_err(|refused| match refused {
            Refused::Faults(faults) => ObjectError::Invalid(problems(faults)),
            Refused::Store(error) => error.into(),
        })?;
        if commit(store, guard, plan).await?.is_some() {
            return Ok(documents.iter().map(Key::of).collect());
        }
    }
    Err(ObjectError::Conflict { tries: TRIES })
}

/// Deletes those of the objects that are still exactly so, in one transaction; how many.
pub async fn withdraw(store: &dyn Store, documents: &[Document]) -> Result<usize, ObjectError> {
    for _ in 0..TRIES {
        let known = load(store).await?;
        let stored = &known.stored;
        let guard = stored.guard;
        let gone = documents
            .iter()
            .map(|document| (Key::of(document), document));
        let gone = gone.filter(|(key, document)| stored.get(key).as_ref() == Some(document));
        let gone: Vec<Key> = gone.map(|(key, _)| key).collect();
        if gone.is_empty() {
            return Ok(0);
        }
        let plan = plan::delete(&known, &gone);
        let plan = plan.map_err(|faults| ObjectError::Invalid(problems(faults)))?;
        if commit(store, guard, plan).await?.is_some() {
            return Ok(gone.len());
        }
    }
    Err(ObjectError::Conflict { tries: TRIES })
}

/// Deletes an object that no other refers to.
pub async fn delete(store: &dyn Store, key: &Key) -> Result<ApplyReport, ObjectError> {
    for _ in 0..TRIES {
        let known = load(store).await?;
        let stored = &known.stored;
        let guard = stored.guard;
        let object = key.clone();
        if stored.get(key).is_none() {
            return Err(ObjectError::NotFound { object });
        }
        let plan = plan::delete(&known, std::slice::from_ref(key)).map_err(|faults| {
            let problems = problems(faults);
            ObjectError::InUse { object, problems }
        })?;
        if let Some(revision) = commit(store, guard, plan).await? {
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
    mut plan: Plan,
) -> Result<Option<u64>, StoreError> {
    let mut ops = std::mem::take(&mut plan.ops);
    let compare = Compare {
        key: GUARD.to_owned(),
        mod_revision: guard,
    };
    ops.push(Op::Put {
        key: GUARD.to_owned(),
        value: Vec::new(),
    });
    let _turn = store.kept().turn().await;
    match store.txn(vec![compare], ops).await? {
        TxnResult::Committed { revision } => {
            store.kept().keep(plan.done(revision));
            Ok(Some(revision))
        }
        TxnResult::Conflict { .. } => Ok(None),
    }
}

type Changes = Vec<(Key, Action)>;

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
