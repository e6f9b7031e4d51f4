//! What a change of the policy comes to.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    blocks::{self, Block, block_of},
    request::Request,
    store_key,
    stored::{Known, Stored},
};
use crate::{
    control::protocol::Action,
    policy::{
        Fault, Policy,
        document::Document,
        key::Key,
        records::{At, Batch},
        validate::{Numbered, merge, validate, validate_some, validate_with},
    },
    store::{Op, StoreError},
};

/// Why there is no plan.
pub(super) enum Refused {
    Faults(Vec<Fault>),
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What is to be written, and what is stored then.
pub(super) struct Plan {
    /// What becomes of each document of the request.
    pub(super) actions: Vec<Action>,
    pub(super) ops: Vec<Op>,
    stored: Stored,
    policy: Policy,
    /// Keys of the documents that are written.
    written: HashSet<Key>,
}

impl Plan {
    /// What is known once this was written.
    pub(super) fn done(self, revision: u64) -> Known {
        let Self {
            mut stored,
            mut policy,
            written,
            ..
        } = self;
        stored.records.written(revision);
        if !written.is_empty() {
            for (document, at) in Arc::make_mut(&mut stored.documents) {
                if written.contains(&Key::of(document)) {
                    *at = revision;
                }
            }
        }
        (stored.revision, stored.guard) = (revision, Some(revision));
        policy.records = stored.records.clone();
        Known {
            stored,
            policy: Some(Arc::new(policy)),
        }
    }
}

/// What it takes to apply documents; refused if a rule would be broken.
pub(super) fn apply(known: &Known, request: &Request) -> Result<Plan, Refused> {
    let stored = &known.stored;
    let mut plan = Plan {
        actions: vec![Action::Unchanged; request.len()],
        ops: Vec::new(),
        stored: stored.clone(),
        policy: Policy::default(),
        written: HashSet::new(),
    };
    put_documents(&mut plan, stored, request)?;
    let fresh = put_records(&mut plan, stored, request);
    let few = plan.stored.documents.iter();
    let few: Vec<Numbered> = few.map(|(document, _)| (None, document.clone())).collect();
    // Two of one name are for the rules to find.
    if !has_twins(request) {
        let some = fresh.filter(|_| request.documents.is_empty() && known.policy.is_some());
        let both = (&stored.records, &plan.stored.records);
        let policy = some.and_then(|fresh| validate_some(&few, &fresh, both));
        let policy = policy.or_else(|| validate_with(&few, &plan.stored.records));
        if let Some(policy) = policy {
            plan.policy = policy;
            return Ok(plan);
        }
    }
    let all = merge(
        stored.clone().into_documents(),
        request.clone().into_documents(),
    );
    plan.policy = validate(&all).map_err(Refused::Faults)?;
    Ok(plan)
}

fn has_twins(request: &Request) -> bool {
    let keys: HashSet<Key> = request.documents.iter().map(|(_, d)| Key::of(d)).collect();
    keys.len() < request.documents.len() || request.batch.has_twins()
}

fn put_documents(plan: &mut Plan, stored: &Stored, request: &Request) -> Result<(), StoreError> {
    if request.documents.is_empty() {
        return Ok(());
    }
    let places = stored.documents.iter().enumerate();
    let places: HashMap<Key, usize> = places.map(|(i, (d, _))| (Key::of(d), i)).collect();
    let documents = Arc::make_mut(&mut plan.stored.documents);
    for (number, document) in &request.documents {
        let key = Key::of(document);
        let place = places.get(&key).copied();
        plan.actions[*number] = match place.map(|place| &stored.documents[place].0) {
            None => Action::Created,
            Some(old) if old == document => continue,
            Some(_) => Action::Configured,
        };
        let at = store_key(&key);
        let value = serde_json::to_vec(document);
        let value = value.map_err(|source| StoreError::BadValue {
            key: at.clone(),
            source,
        })?;
        plan.ops.push(Op::Put { key: at, value });
        match place {
            Some(place) => documents[place].0 = document.clone(),
            None => documents.push((document.clone(), 0)),
        }
        plan.written.insert(key);
    }
    documents.sort_by_cached_key(|(document, _)| store_key(&Key::of(document)));
    Ok(())
}

/// Returns what is new among what is stored, if that is less than all.
fn put_records(plan: &mut Plan, stored: &Stored, request: &Request) -> Option<Batch> {
    let mut fresh = Batch::default();
    let mut blocks: BTreeSet<Block> = BTreeSet::new();
    let mut last = None;
    for (number, record) in request.numbers.iter().zip(request.batch.iter()) {
        let at = (record.vsid, record.ca);
        let old = stored.records.get(at);
        let action = match &old {
            None => Action::Created,
            Some(old) if old.says(&record) => continue,
            Some(_) => Action::Configured,
        };
        plan.actions[*number as usize] = action;
        if let Some(old) = old.filter(|old| old.kind.apart) {
            plan.ops.push(Op::Delete {
                key: store_key(&old.key()),
            });
        }
        if last != Some(block_of(at)) {
            last = Some(block_of(at));
            blocks.extend(last);
        }
        if !stored.records.is_empty() {
            fresh.push(&record);
        }
    }
    // Where nothing was, all of them are new.
    let all = stored.records.is_empty();
    let put = if all { &request.batch } else { &fresh };
    if !put.is_empty() {
        plan.stored.records.merge(put);
        plan.ops.extend(blocks::ops(&blocks, &plan.stored.records));
    }
    (!all).then_some(fresh)
}

/// What it takes to delete objects that are there; refused if others need them.
pub(super) fn delete(known: &Known, keys: &[Key]) -> Result<Plan, Vec<Fault>> {
    let stored = &known.stored;
    let mut plan = Plan {
        actions: vec![Action::Deleted; keys.len()],
        ops: Vec::new(),
        stored: stored.clone(),
        policy: Policy::default(),
        written: HashSet::new(),
    };
    let mut blocks: BTreeSet<Block> = BTreeSet::new();
    let records = &mut plan.stored.records;
    for key in keys {
        let at = match key {
            Key::LookupRecord(vsid, ca) => Some((*vsid, *ca)),
            Key::ProviderNetwork(_)
            | Key::Host(_)
            | Key::VmNetwork(_)
            | Key::Port(_)
            | Key::L2Record(..)
            | Key::CustomerRoute(..) => None,
        };
        if let Some(at) = at.filter(|at| is_together(stored, *at)) {
            blocks.insert(block_of(at));
        } else {
            plan.ops.push(Op::Delete {
                key: store_key(key),
            });
        }
        if let Some(at) = at {
            records.remove(at);
        }
    }
    plan.ops.extend(blocks::ops(&blocks, records));
    let gone: HashSet<&Key> = keys.iter().collect();
    let gone = |document: &Document| gone.contains(&Key::of(document));
    if plan
        .stored
        .documents
        .iter()
        .any(|(document, _)| gone(document))
    {
        Arc::make_mut(&mut plan.stored.documents).retain(|(document, _)| !gone(document));
    }
    // Nothing needs the record of a station.
    let same = Arc::ptr_eq(&plan.stored.documents, &stored.documents);
    plan.policy = match &known.policy {
        Some(policy) if same => Policy::clone(policy),
        Some(_) | None => plan.stored.check()?,
    };
    Ok(plan)
}

/// Whether a record is stored with others.
fn is_together(stored: &Stored, at: At) -> bool {
    let record = stored.records.get(at);
    record.is_some_and(|record| !record.kind.apart)
}
