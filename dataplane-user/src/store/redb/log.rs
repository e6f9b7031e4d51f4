//! The change log: writing it, undoing it, following it.

use std::{collections::BTreeMap, sync::Weak};

use redb::{ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table};
use tokio::sync::{mpsc, watch};

use super::{Entry, Inner, LOG, Logged, PAIRS, Stored};
use crate::store::{Event, Op, StoreError};

/// One change of one key.
pub(super) struct Change {
    revision: u64,
    key: String,
    before: Option<Entry>,
    after: Option<Entry>,
}

/// The newest pairs with a prefix.
pub(super) fn pairs(
    transaction: &ReadTransaction,
    prefix: &str,
) -> Result<BTreeMap<String, Entry>, redb::Error> {
    let mut found = BTreeMap::new();
    for pair in transaction.open_table(PAIRS)?.range(prefix..)? {
        let (key, value) = pair?;
        if !key.value().starts_with(prefix) {
            break;
        }
        found.insert(key.value().to_owned(), Entry::new(value.value()));
    }
    Ok(found)
}

/// The changes from a revision on, oldest first.
pub(super) fn changes(
    transaction: &ReadTransaction,
    prefix: &str,
    from: u64,
) -> Result<Vec<Change>, redb::Error> {
    let mut found = Vec::new();
    for change in transaction.open_table(LOG)?.range((from, 0)..)? {
        let (number, change) = change?;
        let (key, before, after) = change.value();
        if key.starts_with(prefix) {
            found.push(Change {
                revision: number.value().0,
                key: key.to_owned(),
                before: before.map(Entry::new),
                after: after.map(Entry::new),
            });
        }
    }
    Ok(found)
}

/// The pairs as they were before the changes.
pub(super) fn undone(
    mut pairs: BTreeMap<String, Entry>,
    changes: Vec<Change>,
) -> BTreeMap<String, Entry> {
    for change in changes.into_iter().rev() {
        match change.before {
            Some(entry) => pairs.insert(change.key, entry),
            None => pairs.remove(&change.key),
        };
    }
    pairs
}

/// Does the operations and logs them.
pub(super) fn write(
    pairs: &mut Table<'_, &'static str, Stored<'static>>,
    log: &mut Table<'_, (u64, u64), Logged<'static>>,
    revision: u64,
    ops: &[Op],
) -> Result<(), redb::Error> {
    for (number, op) in (0..).zip(ops) {
        let key = op.key();
        let before = pairs.get(key)?.map(|guard| Entry::new(guard.value()));
        let after = match op {
            Op::Put { value, .. } => Some(Entry {
                create: before.as_ref().map_or(revision, |entry| entry.create),
                modified: revision,
                value: value.clone(),
            }),
            Op::Delete { .. } => None,
        };
        match &after {
            Some(entry) => drop(pairs.insert(key, entry.stored())?),
            None => drop(pairs.remove(key)?),
        }
        if before.is_some() || after.is_some() {
            let before = before.as_ref().map(Entry::stored);
            let after = after.as_ref().map(Entry::stored);
            log.insert((revision, number), (key, before, after))?;
        }
    }
    Ok(())
}

/// Removes the oldest changes beyond `keep`. A revision that loses one of its
/// changes loses all, for half a revision is of no use. Returns the newest
/// revision that is not in the log.
pub(super) fn trim(
    log: &mut Table<'_, (u64, u64), Logged<'static>>,
    keep: u64,
    compacted: u64,
) -> Result<u64, redb::Error> {
    let excess = log.len()?.saturating_sub(keep);
    if excess == 0 {
        return Ok(compacted);
    }
    let last = usize::try_from(excess - 1).unwrap_or(usize::MAX);
    let last = match log.iter()?.nth(last) {
        Some(change) => change?.0.value().0,
        None => return Ok(compacted),
    };
    log.retain_in(..=(last, u64::MAX), |_, _| false)?;
    Ok(last)
}

/// Sends changes until the receiver or the store is gone.
pub(super) async fn follow(
    inner: Weak<Inner>,
    prefix: String,
    mut from: u64,
    mut head: watch::Receiver<u64>,
    sender: mpsc::Sender<Result<Event, StoreError>>,
) {
    loop {
        let current = *head.borrow_and_update();
        if current >= from {
            let Some(strong) = inner.upgrade() else {
                return;
            };
            let wanted = prefix.clone();
            let read = tokio::task::spawn_blocking(move || strong.events(&wanted, from));
            let events = match read.await {
                Ok(Ok(events)) => events,
                Ok(Err(error)) => return drop(sender.send(Err(error)).await),
                Err(_) => return,
            };
            from = events.1 + 1;
            for event in events.0 {
                if sender.send(Ok(event)).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            changed = head.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
        }
    }
}

impl Inner {
    /// The events from a revision on, and the revision up to which they go.
    fn events(&self, prefix: &str, from: u64) -> Result<(Vec<Event>, u64), StoreError> {
        let (changes, current, compacted) = self.file.read(|db| {
            let transaction = db.begin_read()?;
            let meta = transaction.open_table(super::META)?;
            let changes = changes(&transaction, prefix, from)?;
            let current = super::number(&meta, super::REVISION)?;
            Ok((changes, current, super::number(&meta, super::COMPACTED)?))
        })?;
        super::check(from, compacted)?;
        let events = changes.into_iter().map(|change| {
            let pair = change.after.map(|entry| entry.pair(change.key.clone()));
            Event {
                revision: change.revision,
                key: change.key,
                pair,
            }
        });
        Ok((events.collect(), current))
    }
}
