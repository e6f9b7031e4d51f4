//! What is stored, and what is known of it without reading it again.

use std::sync::{Arc, Mutex, PoisonError};

use super::{GUARD, LOCAL, ROOT, blocks};
use crate::{
    policy::{
        Fault, Policy,
        document::Document,
        key::Key,
        records::{Batch, Records},
        validate::{Numbered, merge, validate, validate_with},
    },
    store::{KeyValue, Store, StoreError},
};

/// What is stored, at one revision. Copies share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The documents but those of `records`, with the revision of their last change, by key.
    pub(super) documents: Arc<Vec<(Document, u64)>>,
    /// The lookup records of stations.
    pub records: Records,
    /// The revision.
    pub revision: u64,
    /// Of which store, as [`crate::store::Range::store`].
    pub store: u64,
    /// Revision of the guard that each change of the policy writes.
    pub(super) guard: Option<u64>,
}

impl Stored {
    /// Of documents and the revisions of their last changes.
    pub fn of(documents: impl IntoIterator<Item = (Document, u64)>) -> Self {
        let (mut others, mut batch) = (Vec::new(), Batch::default());
        for (document, revision) in documents {
            if !batch.push_document(&document, (revision, true)) {
                others.push((document, revision));
            }
        }
        let mut records = Records::default();
        records.merge(&batch);
        Self {
            documents: Arc::new(others),
            records,
            ..Self::default()
        }
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.documents.len() + self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The documents with the revisions of their last changes, except for the records of stations.
    pub fn few(&self) -> impl Iterator<Item = (&Document, u64)> {
        self.documents
            .iter()
            .map(|(document, revision)| (document, *revision))
    }

    /// All documents.
    pub fn into_documents(self) -> Vec<Document> {
        let few = self.documents.iter().map(|(document, _)| document.clone());
        let records = self.records.iter().map(|record| record.document());
        few.chain(records).collect()
    }

    /// The document of an object.
    pub fn get(&self, key: &Key) -> Option<Document> {
        if let Key::LookupRecord(vsid, ca) = key
            && let Some(record) = self.records.get((*vsid, *ca))
        {
            return Some(record.document());
        }
        let mut few = self.documents.iter().map(|(document, _)| document);
        few.find(|document| Key::of(document) == *key).cloned()
    }

    /// Whether both have the same documents. Of one store the guard says it.
    pub fn says(&self, other: &Self) -> bool {
        if self.store == other.store && self.guard.is_some() && other.guard.is_some() {
            return self.guard == other.guard;
        }
        self.documents == other.documents && self.records == other.records
    }

    /// The policy of the documents, or what is wrong with them.
    pub fn check(&self) -> Result<Policy, Vec<Fault>> {
        let few = self.documents.iter().map(|(document, _)| document.clone());
        let few: Vec<Numbered> = few.map(|document| (None, document)).collect();
        match validate_with(&few, &self.records) {
            Some(policy) => Ok(policy),
            None => validate(&merge(self.clone().into_documents(), Vec::new())),
        }
    }
}

/// What is stored, and its policy if that was asked for before.
#[derive(Clone, Debug)]
pub struct Known {
    /// What is stored.
    pub stored: Stored,
    /// It is valid, and this is the policy.
    pub policy: Option<Arc<Policy>>,
}

/// What was last read of a store or written to it. Whoever opens another file forgets it.
#[derive(Debug, Default)]
pub struct Kept {
    known: Mutex<Option<Known>>,
    turn: tokio::sync::Mutex<()>,
}

impl Kept {
    /// Forgets it.
    pub fn forget(&self) {
        self.set(None);
    }

    /// Waits until nobody reads all or changes something: a watcher hears of a change before it is kept, and
    /// would read all of it again.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub(super) fn keep(&self, known: Known) {
        self.set(Some(known));
    }

    fn set(&self, known: Option<Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn get(&self) -> Option<Known> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// All policy documents, read if they have changed: each change of them writes the guard.
pub async fn load(store: &dyn Store) -> Result<Known, StoreError> {
    let _turn = store.kept().turn().await;
    if let Some(mut known) = store.kept().get() {
        let range = store.range(GUARD, None).await?;
        let guard = range.pairs.iter().find(|pair| pair.key == GUARD);
        let guard = guard.map(|pair| pair.mod_revision);
        if guard == known.stored.guard && range.store == known.stored.store {
            known.stored.revision = range.revision;
            return Ok(known);
        }
    }
    store.kept().forget();
    let known = Known {
        stored: load_all(store).await?,
        policy: None,
    };
    store.kept().keep(known.clone());
    Ok(known)
}

/// Reads and checks what is stored, so that [`load`] has it at hand; what goes wrong is for that to tell.
pub async fn foresee(store: &dyn Store) {
    let Ok(mut known) = load(store).await else {
        return;
    };
    if known.policy.is_none()
        && let Ok(policy) = known.stored.check()
    {
        known.policy = Some(Arc::new(policy));
        // Who has written meanwhile is noticed by the guard.
        store.kept().keep(known);
    }
}

/// All policy documents, read anew.
pub async fn load_all(store: &dyn Store) -> Result<Stored, StoreError> {
    let range = store.range(ROOT, None).await?;
    let (mut documents, mut batch, mut guard) = (Vec::new(), Batch::default(), None);
    for pair in range.pairs {
        if pair.key == GUARD {
            guard = Some(pair.mod_revision);
        } else if !pair.key.starts_with(LOCAL)
            && !blocks::read((&pair.key, &pair.value), pair.mod_revision, &mut batch)?
        {
            let KeyValue {
                key,
                value,
                mod_revision,
                ..
            } = pair;
            let document = serde_json::from_slice(&value);
            let document = document.map_err(|source| StoreError::BadValue { key, source })?;
            if !batch.push_document(&document, (mod_revision, true)) {
                documents.push((document, mod_revision));
            }
        }
    }
    let mut records = Records::default();
    records.merge(&batch);
    Ok(Stored {
        documents: Arc::new(documents),
        records,
        revision: range.revision,
        store: range.store,
        guard,
    })
}
