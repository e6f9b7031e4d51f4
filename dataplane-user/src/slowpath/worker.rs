//! One queue's thread: takes packets, handles each to its end or lets it wait, gives them back.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender};
use dataplane_common::reason::DropReason;

use crate::underlay::path_mtu;

use super::{
    answers::AnswerLimit,
    budget::Budgets,
    channel::{Account, Channel},
    counts::Counts,
    directory::{Ask, Directory, Shared},
    handlers::{self, Act, Handled},
    hold::{Entered, Hold},
    lane::{Lane, Returned},
    resolver::{Answered, Outcome, Question, Reply},
    upcall::{Origin, Upcall},
};

mod give_back;
mod learning;

pub use learning::Awaits;

/// The thread looks at what waits too long at least so often.
const LOOK: Duration = Duration::from_millis(100);
/// And at what the kernel has still to send.
const SENDING: Duration = Duration::from_millis(1);
/// With nothing in its hands.
const IDLE: Duration = Duration::from_secs(1);

/// What a queue's frames are, and how they go back.
#[derive(Clone)]
pub enum Queue {
    /// The upcall pair's: frames bear a header, and go back on the same socket, with those that
    /// other queues' threads put on the lane.
    Pair(Receiver<Returned>),
    /// An uplink's: frames are as they were on the wire, and go back over the lane.
    Uplink(u32, Lane),
}

/// What all threads share.
#[derive(Clone)]
pub struct Office {
    /// The policy.
    pub shared: Arc<Shared>,
    /// Where they count.
    pub counts: Arc<Counts>,
    /// Who is asked.
    pub questions: Sender<Question>,
    /// Who is told what the underlay says of paths.
    pub paths: path_mtu::Teller,
}

/// Rings when an answer is there or when the thread is to stop.
#[derive(Clone, Debug)]
pub struct Control {
    /// An eventfd.
    pub bell: Arc<OwnedFd>,
    /// Set before it rings for the last time.
    pub stop: Arc<AtomicBool>,
    /// Set before it rings: this worker ends, and another may take its place.
    pub restart: Arc<AtomicBool>,
}

/// Why a worker ended without a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Stopped,
    /// It was told to make room for another.
    Restarted,
}

/// What a thread works with.
pub struct Worker<C> {
    channel: C,
    queue: Queue,
    office: Office,
    control: Control,
    hold: Hold<Upcall, Awaits>,
    /// Which of the tables with learned addresses was last seen.
    learned: u64,
    budgets: Budgets,
    answered: AnswerLimit,
    reply: Reply,
    answers: Receiver<Answered>,
    /// What came and was not looked at yet.
    batch: VecDeque<Upcall>,
}

impl<C: Channel> Worker<C> {
    /// Ready to run.
    pub fn new(
        (channel, queue): (C, Queue),
        office: Office,
        control: Control,
        (hold, budgets): (Hold<Upcall, Awaits>, Budgets),
    ) -> Self {
        let (reply, answers) = Reply::new(control.bell.clone());
        Self {
            channel,
            queue,
            office,
            control,
            hold,
            learned: 0,
            budgets,
            answered: AnswerLimit::new(Instant::now()),
            reply,
            answers,
            batch: VecDeque::new(),
        }
    }

    /// Runs until it is told to stop, or the socket fails. `tell` gets, from time to time, the
    /// account of the shared memory, what waits, and how many packets the kernel had no room for.
    pub fn run(
        &mut self,
        mut tell: impl FnMut(Account, &Hold<Upcall, Awaits>, u64),
    ) -> io::Result<End> {
        let mut told: Option<Instant> = None;
        while !self.control.stop.load(Ordering::Relaxed) {
            if self.control.restart.swap(false, Ordering::Relaxed) {
                return Ok(End::Restarted);
            }
            let now = Instant::now();
            if told.is_none_or(|then| now.duration_since(then) >= LOOK) {
                let channel = &self.channel;
                tell(channel.account(), &self.hold, channel.refused());
                told = Some(now);
            }
            let limit = self.patience();
            self.channel.wait(self.control.bell.as_fd(), limit)?;
            self.turn(Instant::now())?;
        }
        Ok(End::Stopped)
    }

    /// How long there is nothing to do, unless it rings or a frame comes.
    fn patience(&self) -> Duration {
        if self.channel.account().sending > 0 {
            SENDING
        } else if self.hold.is_empty() {
            IDLE
        } else {
            LOOK
        }
    }

    /// Frames of the shared memory that nobody has: none, unless something is wrong.
    pub fn lost(&self) -> usize {
        self.channel.account().lost()
    }

    /// Packets that the kernel had no room for in the socket's rings.
    pub fn refused(&self) -> u64 {
        self.channel.refused()
    }

    /// Everything that is there now.
    fn turn(&mut self, now: Instant) -> io::Result<()> {
        // Nothing to read: it did not ring.
        let _ = rustix::io::read(&*self.control.bell, &mut [0; 8]);
        let directory = self.office.shared.directory();
        self.settle(&directory);
        self.receive(now);
        while let Some(upcall) = self.batch.pop_front() {
            self.take(&directory, upcall, now);
        }
        while let Ok(answered) = self.answers.try_recv() {
            self.release(&directory, answered);
        }
        for (_, late) in self.hold.expired(now) {
            for upcall in late {
                self.drop(&directory, &upcall, DropReason::HoldExpired);
            }
        }
        self.send_others(now);
        self.channel.turn()
    }

    /// Takes what came into the batch; how many frames there were.
    pub(super) fn receive(&mut self, now: Instant) -> usize {
        let (queue, batch) = (&self.queue, &mut self.batch);
        self.channel.receive(&mut |bytes| match queue {
            Queue::Pair(_) => batch.extend(Upcall::read(bytes, now)),
            Queue::Uplink(ifindex, _) => batch.push_back(Upcall::raw(bytes, now, *ifindex)),
        })
    }

    fn take(&mut self, directory: &Directory, upcall: Upcall, now: Instant) {
        let tenant = match handlers::whose(directory, &upcall) {
            Ok(tenant) => tenant,
            Err(reason) => return self.drop(directory, &upcall, reason),
        };
        let punt = handlers::why(directory, &upcall);
        self.office.counts.punted(tenant, punt);
        let weight = directory.tenants.get(&tenant).map_or(1, |t| t.weight);
        if !self.budgets.spend(tenant, weight, now) {
            return self.drop(directory, &upcall, DropReason::TenantBudget);
        }
        match handlers::handle(directory, &upcall) {
            Handled::Wait(ask) => self.wait(directory, upcall, ask, now),
            Handled::Learn(found) => self.learn(directory, upcall, &found, now),
            Handled::Lease(found, act) => self.lease(directory, &upcall, (found, act), now),
            Handled::Now(act) => self.act(directory, &upcall, act),
        }
    }

    fn wait(&mut self, directory: &Directory, upcall: Upcall, ask: Ask, now: Instant) {
        let question = Awaits::Answer(ask.key.rdid, ask.key.ca);
        match self.hold.enter(question, upcall, now) {
            Ok(Entered::Behind) => {}
            Ok(Entered::First) => {
                let reply = self.reply.clone();
                if self
                    .office
                    .questions
                    .try_send(Question { ask, reply })
                    .is_err()
                {
                    // The resolver has more than it can answer in time.
                    for upcall in self.hold.answer(question) {
                        self.drop(directory, &upcall, DropReason::HoldFull);
                    }
                }
            }
            Err((upcall, reason)) => self.drop(directory, &upcall, reason),
        }
    }

    /// The table has the answer: whoever waited for it goes on, in order.
    fn release(&mut self, directory: &Directory, answered: Answered) {
        let Ask { key, .. } = answered.ask;
        for upcall in self.hold.answer(Awaits::Answer(key.rdid, key.ca)) {
            let act = match (answered.outcome, upcall.origin) {
                (Outcome::Written, _) => handlers::go_on(directory, &upcall),
                (Outcome::Nobody, Origin::Port(..)) => Act::Drop(DropReason::NoLookupRecord),
                (Outcome::Nobody, Origin::Uplink(_)) => Act::Drop(DropReason::SrcUnknown),
                (Outcome::Full, _) => Act::Drop(DropReason::TableFull),
                (Outcome::Failed, _) => Act::Drop(DropReason::PuntFailed),
            };
            self.act(directory, &upcall, act);
        }
    }
}

#[cfg(test)]
pub(in crate::slowpath) mod tests;
