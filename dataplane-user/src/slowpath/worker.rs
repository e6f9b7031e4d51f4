//! One queue's thread: takes packets, handles each to its end or lets it wait, gives them back.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender};
use dataplane_common::{abi::upcall::UpcallHeader, reason::DropReason};

use super::{
    answers::AnswerLimit,
    budget::Budgets,
    counts::Counts,
    directory::{Ask, Directory, Shared},
    handlers::{self, Act, Handled},
    hold::{Entered, Hold},
    lane::{Lane, Returned},
    resolver::{Answered, Outcome, Question, Reply},
    socket::{Account, Channel, Fate},
    upcall::{Origin, Upcall},
};

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
    hold: Hold<Upcall>,
    budgets: Budgets,
    answered: AnswerLimit,
    reply: Reply,
    answers: Receiver<Answered>,
}

impl<C: Channel> Worker<C> {
    /// Ready to run.
    pub fn new(
        (channel, queue): (C, Queue),
        office: Office,
        control: Control,
        (hold, budgets): (Hold<Upcall>, Budgets),
    ) -> Self {
        let (reply, answers) = Reply::new(control.bell.clone());
        Self {
            channel,
            queue,
            office,
            control,
            hold,
            budgets,
            answered: AnswerLimit::new(Instant::now()),
            reply,
            answers,
        }
    }

    /// Runs until it is told to stop, or the socket fails. `tell` gets, from time to time, the
    /// account of the shared memory, what waits, and how many packets the kernel had no room for.
    pub fn run(&mut self, mut tell: impl FnMut(Account, &Hold<Upcall>, u64)) -> io::Result<End> {
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

    /// Counts what came and was not looked at; nothing of it is forwarded any more.
    pub fn drain(&mut self) {
        let directory = self.office.shared.directory();
        let now = Instant::now();
        // What it cannot receive any more the kernel has dropped.
        while let Ok(rest) = self.receive(&directory, now)
            && !rest.is_empty()
        {
            for upcall in rest {
                let tenant = handlers::tenant(&directory, &upcall);
                tenant.inspect(|tenant| self.office.counts.punted(*tenant, upcall.punt));
                self.drop(&directory, &upcall, DropReason::WorkerLost);
            }
        }
    }

    /// Counts what waits; nothing of it is forwarded any more.
    pub fn abandon(&mut self) {
        let directory = self.office.shared.directory();
        for upcall in self.hold.clear() {
            self.drop(&directory, &upcall, DropReason::WorkerLost);
        }
    }

    /// Everything that is there now.
    fn turn(&mut self, now: Instant) -> io::Result<()> {
        // Nothing to read: it did not ring.
        let _ = rustix::io::read(&*self.control.bell, &mut [0; 8]);
        let directory = self.office.shared.directory();
        for upcall in self.receive(&directory, now)? {
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
        self.send_others();
        self.channel.turn()
    }

    fn receive(&mut self, directory: &Directory, now: Instant) -> io::Result<Vec<Upcall>> {
        let mut taken = Vec::new();
        let queue = &self.queue;
        self.channel.receive(&mut |bytes| {
            match queue {
                Queue::Pair(_) => taken.extend(Upcall::read(bytes, now, directory)),
                Queue::Uplink(ifindex, _) => taken.push(Upcall::raw(bytes, now, *ifindex)),
            }
            Fate::Free
        })?;
        Ok(taken)
    }

    fn take(&mut self, directory: &Directory, upcall: Upcall, now: Instant) {
        let Some(tenant) = handlers::tenant(directory, &upcall) else {
            let unknown = match upcall.origin {
                Origin::Port(_) => DropReason::PortUnknown,
                Origin::Uplink(_) => DropReason::VsidUnknown,
            };
            return self.drop(directory, &upcall, unknown);
        };
        self.office.counts.punted(tenant, upcall.punt);
        let weight = directory.tenants.get(&tenant).map_or(1, |t| t.weight);
        if !self.budgets.spend(tenant, weight, now) {
            return self.drop(directory, &upcall, DropReason::TenantBudget);
        }
        match handlers::handle(directory, &upcall) {
            Handled::Wait(ask) => self.wait(directory, upcall, ask, now),
            Handled::Now(act) => self.act(directory, &upcall, act),
        }
    }

    /// Does what the handler says.
    fn act(&mut self, directory: &Directory, upcall: &Upcall, act: Act) {
        match act {
            Act::Again(frames) => self.again(directory, upcall, frames),
            Act::Tell { frame, reason } => {
                let slot = frame.0.slot();
                if self.answered.allows(slot, Instant::now())
                    && self.give(frame)
                    && let Some(tenant) = handlers::tenant(directory, upcall)
                {
                    self.office.counts.answered(tenant);
                }
                self.drop(directory, upcall, reason);
            }
            Act::Drop(reason) => self.drop(directory, upcall, reason),
        }
    }

    fn wait(&mut self, directory: &Directory, upcall: Upcall, ask: Ask, now: Instant) {
        match self.hold.enter((ask.key.rdid, ask.key.ca), upcall, now) {
            Ok(Entered::Behind) => {}
            Ok(Entered::First) => {
                let reply = self.reply.clone();
                // A line that is full means a resolver that is stuck: what waits expires, counted.
                let _ = self.office.questions.try_send(Question { ask, reply });
            }
            Err((upcall, reason)) => self.drop(directory, &upcall, reason),
        }
    }

    /// The table has the answer: whoever waited for it goes on, in order.
    fn release(&mut self, directory: &Directory, answered: Answered) {
        let Ask { key, .. } = answered.ask;
        for upcall in self.hold.answer((key.rdid, key.ca)) {
            let from_port = upcall.port(directory).is_some();
            match answered.outcome {
                Outcome::Written => {
                    let act = handlers::go_on(directory, &upcall);
                    self.act(directory, &upcall, act);
                }
                Outcome::Nobody if from_port => {
                    self.drop(directory, &upcall, DropReason::NoLookupRecord);
                }
                Outcome::Nobody => self.drop(directory, &upcall, DropReason::SrcUnknown),
                Outcome::Full => self.drop(directory, &upcall, DropReason::TableFull),
            }
        }
    }

    fn again(&mut self, directory: &Directory, upcall: &Upcall, frames: Vec<Vec<u8>>) {
        let tenant = handlers::tenant(directory, upcall).unwrap_or(0);
        for frame in frames {
            if self.give((upcall.back(), frame)) {
                let waited = upcall.since.elapsed();
                self.office.counts.reinjected(tenant, waited);
            } else {
                self.drop(directory, upcall, DropReason::PuntFailed);
            }
        }
    }

    /// Sends a frame to the programs. `false`: there is no room.
    fn give(&mut self, (header, frame): (UpcallHeader, Vec<u8>)) -> bool {
        match &self.queue {
            Queue::Pair(_) => self.channel.send(&[&header.to_bytes(), &frame]),
            Queue::Uplink(_, lane) => lane.put(Returned { header, frame }).is_ok(),
        }
    }

    /// What other queues' threads give back.
    fn send_others(&mut self) {
        let Queue::Pair(lane) = &self.queue else {
            return;
        };
        let directory = self.office.shared.directory();
        for Returned { header, frame } in lane.try_iter() {
            if !self.channel.send(&[&header.to_bytes(), &frame]) {
                let port = directory.tables.vports.get(&header.ifindex());
                let whose = (port.map(|port| port.rdid), port.map_or(0, |port| port.slot));
                let counts = &self.office.counts;
                counts.dropped(whose, DropReason::PuntFailed, frame.len());
            }
        }
    }

    fn drop(&self, directory: &Directory, upcall: &Upcall, reason: DropReason) {
        let slot = upcall.port(directory).map_or(0, |port| port.slot);
        let whose = (handlers::tenant(directory, upcall), slot);
        let counts = &self.office.counts;
        counts.dropped(whose, reason, upcall.frame.len());
    }
}

#[cfg(test)]
pub(in crate::slowpath) mod tests;
