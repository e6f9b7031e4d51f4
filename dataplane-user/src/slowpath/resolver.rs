//! Asks the policy about a CA, and writes the answer into the kernel's table.
//!
//! One thread for all queues, so that a question is answered once however many queues ask; a queue's
//! thread goes on with other packets meanwhile.

use std::{
    collections::BTreeMap,
    io, iter,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use aya::maps::MapError;
use crossbeam_channel::{Receiver, Sender, bounded};
use dataplane_common::abi::lookup::{LookupKey, LookupRecord};
use rustix::fd::OwnedFd;

use super::{
    directory::{Ask, Shared},
    lane::ring,
};
use crate::{
    dataplane::{commit, lookups::Lookups},
    policy::in_use::Answer,
};

/// Questions that wait for the resolver; more than all queues' rooms have place for.
const QUESTIONS: usize = 16_384;

/// Records that may go for one that comes. One is not always enough: it may have been in the other
/// family's map, or in buckets where the new one has no place; or more are in use than shall be, as
/// some came while none could go.
const EVICTIONS: usize = 4;

/// How long the same warning is not given again.
const SILENCE: Duration = Duration::from_secs(10);

/// Questions that are looked at together.
const TOGETHER: usize = 256;

/// A question, and whom to tell.
pub struct Question {
    /// What is asked.
    pub ask: Ask,
    /// The queue that waits.
    pub reply: Reply,
}

/// How a queue's thread hears of an answer.
#[derive(Clone)]
pub struct Reply {
    answers: Sender<Answered>,
    bell: Arc<OwnedFd>,
}

/// A question that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The question.
    pub ask: Ask,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A record, or the word that there is none, is in the table: the packets may go back.
    Written,
    /// Nobody has the CA, and the table cannot have one more such answer of this tenant.
    Nobody,
    /// The table has no room for the record.
    Full,
    /// Nobody can tell.
    Failed,
}

impl Reply {
    /// A way back; `bell` is an eventfd that the thread waits on.
    pub fn new(bell: Arc<OwnedFd>) -> (Self, Receiver<Answered>) {
        let (answers, receiver) = bounded(QUESTIONS);
        (Self { answers, bell }, receiver)
    }

    fn tell(&self, answered: Answered) {
        // A queue that ended needs no answer.
        if self.answers.try_send(answered).is_ok() {
            ring(&self.bell);
        }
    }
}

/// Where the answers go: the kernel's table of lookup records.
pub trait Table: Send + Sync {
    /// Writes a record.
    fn put(&mut self, key: LookupKey, record: LookupRecord) -> Result<(), MapError>;
    /// Removes a record, if it is there.
    fn remove(&mut self, key: &LookupKey) -> Result<(), MapError>;
    /// For how long no program looked a record up; for ever when it is not there.
    fn idle(&self, key: &LookupKey) -> Duration;
}

impl Table for Lookups {
    fn put(&mut self, key: LookupKey, record: LookupRecord) -> Result<(), MapError> {
        self.insert(&key, commit::entry(record))
    }

    fn remove(&mut self, key: &LookupKey) -> Result<(), MapError> {
        commit::gone(Self::remove(self, key))
    }

    fn idle(&self, key: &LookupKey) -> Duration {
        Self::idle(self, key).unwrap_or(Duration::MAX)
    }
}

/// Starts the thread; it ends with the last sender of questions.
pub fn start(shared: Arc<Shared>, table: Box<dyn Table>) -> io::Result<Sender<Question>> {
    let (sender, questions) = bounded(QUESTIONS);
    let thread = thread::Builder::new().name("nve-resolve".to_owned());
    thread.spawn(move || run(&shared, table, &questions))?;
    Ok(sender)
}

fn run(shared: &Shared, mut table: Box<dyn Table>, questions: &Receiver<Question>) {
    let mut warner = Warner::default();
    for first in questions {
        // What several queues ask at once is answered once.
        let mut answered = BTreeMap::new();
        for Question { ask, reply } in iter::once(first).chain(questions.try_iter().take(TOGETHER))
        {
            let answer = || guarded(|| resolve(shared, (&mut *table, &mut warner), ask));
            let outcome = *answered.entry(ask).or_insert_with(answer);
            reply.tell(Answered { ask, outcome });
        }
    }
}

/// A fault costs one answer, not the thread that all queues need.
fn guarded(resolve: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(resolve)).unwrap_or_else(|_| {
        tracing::error!("the slow path's resolver panicked; the packets that asked are dropped");
        Outcome::Failed
    })
}

/// Writes what the policy says of a CA.
fn resolve(shared: &Shared, (table, warner): (&mut dyn Table, &mut Warner), ask: Ask) -> Outcome {
    let mut in_use = shared.in_use();
    let directory = shared.directory();
    let question = (ask.key, ask.vsid);
    let Answer::Write(record) = in_use.ask(&directory.tables, question, Instant::now()) else {
        return Outcome::Nobody;
    };
    let mut written = table.put(ask.key, record);
    for _ in 0..EVICTIONS {
        let full = written.as_ref().is_err_and(commit::is_full);
        if !full && !in_use.is_over() {
            break;
        }
        let Some(other) = in_use.evict(Some(ask.key)) else {
            break;
        };
        let made_room = table.remove(&other);
        if full {
            written = made_room.and_then(|()| table.put(ask.key, record));
        }
    }
    let Err(error) = written else {
        return Outcome::Written;
    };
    in_use.give_up(ask.key);
    if commit::is_full(&error) {
        return Outcome::Full;
    }
    warner.warn(&ask.key, &error, Instant::now());
    Outcome::Failed
}

/// Says what goes wrong without saying it for each packet.
#[derive(Default)]
struct Warner {
    last: Option<Instant>,
    /// How often it went wrong since.
    silent: u64,
}

impl Warner {
    /// Whether it said it.
    fn warn(&mut self, key: &LookupKey, error: &MapError, now: Instant) -> bool {
        let recent = |last| now.saturating_duration_since(last) < SILENCE;
        if self.last.is_some_and(recent) {
            self.silent += 1;
            return false;
        }
        let silent = std::mem::take(&mut self.silent);
        tracing::warn!(
            "map {} takes no record on demand: {error} ({silent} more since the last time)",
            Lookups::name(key)
        );
        self.last = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use dataplane_common::abi::lookup::LookupKey4;

    use super::*;

    #[test]
    fn a_warning_is_not_given_for_each_packet() {
        let (mut warner, start) = (Warner::default(), Instant::now());
        let (rdid, ca) = (1, [10, 0, 0, 1]);
        let key = LookupKey4 { rdid, ca }.into();
        let mut warn = |after| warner.warn(&key, &MapError::KeyNotFound, start + after);
        assert!(warn(Duration::ZERO));
        assert!(!warn(SILENCE / 2));
        assert!(warn(SILENCE));
        assert!(!warn(SILENCE * 3 / 2));
        assert_eq!(warner.silent, 1);
    }
}
