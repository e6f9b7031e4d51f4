//! The waiting room: packets whose destination is being asked about.
//!
//! Bounded for each destination, for each tenant and in all, so that what one tenant asks for costs
//! another no room. What does not fit is the caller's to count.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use dataplane_common::id::Address;
use dataplane_common::reason::DropReason;

/// What is asked about: index of the routing domain, and CA.
pub type Question = (u32, Address);

/// What a packet waits for.
pub trait Awaited: Copy + Ord {
    /// Whose room it takes: index of the routing domain.
    fn tenant(&self) -> u32;
}

impl Awaited for Question {
    fn tenant(&self) -> u32 {
        self.0
    }
}

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Packets for one destination.
    pub destination: usize,
    /// Packets of one routing domain.
    pub tenant: usize,
    /// Packets in all.
    pub all: usize,
    /// How long a packet waits at most.
    pub time: Duration,
}

impl Limits {
    /// Room for one super-packet of a connection that was silent, and no buffer bloat.
    pub const DEFAULT: Self = Self {
        destination: 64,
        tenant: 1024,
        all: 4096,
        time: Duration::from_millis(500),
    };
}

/// Whether somebody has to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// It is the first for its question.
    First,
    /// The question is asked already.
    Behind,
}

/// The room. `P` is a packet, and `Q` what it waits for.
#[derive(Debug)]
pub struct Hold<P, Q = Question> {
    limits: Limits,
    waiting: BTreeMap<Q, Queue<P>>,
    /// Packets by routing domain.
    tenants: BTreeMap<u32, usize>,
    all: usize,
    /// Nobody waits for longer than since then, so that a look at who waits too long, which is taken
    /// after every few packets, need not look at everybody.
    oldest: Option<Instant>,
}

#[derive(Debug)]
struct Queue<P> {
    since: Instant,
    packets: VecDeque<P>,
}

impl<P, Q: Awaited> Hold<P, Q> {
    /// An empty room.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: BTreeMap::new(),
            tenants: BTreeMap::new(),
            all: 0,
            oldest: None,
        }
    }

    /// How much may wait.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Packets that wait.
    pub const fn len(&self) -> usize {
        self.all
    }

    /// Whether nobody waits.
    pub const fn is_empty(&self) -> bool {
        self.all == 0
    }

    /// Packets that wait, by routing domain.
    pub const fn tenants(&self) -> &BTreeMap<u32, usize> {
        &self.tenants
    }

    /// What is waited for.
    pub fn awaited(&self) -> impl Iterator<Item = Q> {
        self.waiting.keys().copied()
    }

    /// Questions that are asked.
    pub fn questions(&self) -> usize {
        self.waiting.len()
    }

    /// Lets a packet wait; gives it back with the reason where there is no room.
    pub fn enter(
        &mut self,
        question: Q,
        packet: P,
        now: Instant,
    ) -> Result<Entered, (P, DropReason)> {
        let whose = question.tenant();
        let tenant = self.tenants.get(&whose).copied().unwrap_or(0);
        let queued = self.waiting.get(&question).map_or(0, |q| q.packets.len());
        let limits = self.limits;
        // What is free bounds each tenant, too, so that some always is for one that holds nothing.
        let free = limits.all.saturating_sub(self.all);
        if queued >= limits.destination || tenant >= limits.tenant.min(free) {
            return Err((packet, DropReason::HoldFull));
        }
        self.all += 1;
        self.oldest.get_or_insert(now);
        *self.tenants.entry(whose).or_default() += 1;
        let entered = if queued == 0 {
            Entered::First
        } else {
            Entered::Behind
        };
        let queue = self.waiting.entry(question).or_insert_with(|| Queue {
            since: now,
            packets: VecDeque::new(),
        });
        queue.packets.push_back(packet);
        Ok(entered)
    }

    /// Whoever waited for this answer, in the order in which they came.
    pub fn answer(&mut self, question: Q) -> VecDeque<P> {
        let Some(queue) = self.waiting.remove(&question) else {
            return VecDeque::new();
        };
        self.gone(question.tenant(), queue.packets.len());
        queue.packets
    }

    /// Whoever waited too long.
    pub fn expired(&mut self, now: Instant) -> Vec<(Q, VecDeque<P>)> {
        let over = |since: Instant| now.saturating_duration_since(since) >= self.limits.time;
        if !self.oldest.is_some_and(over) {
            return Vec::new();
        }
        let late = |queue: &Queue<P>| over(queue.since);
        let questions: Vec<Q> = self
            .waiting
            .iter()
            .filter(|(_, queue)| late(queue))
            .map(|(question, _)| *question)
            .collect();
        let answer = |question| (question, self.answer(question));
        let gone = questions.into_iter().map(answer).collect();
        self.oldest = self.waiting.values().map(|queue| queue.since).min();
        gone
    }

    /// Everybody, in no order.
    pub fn clear(&mut self) -> Vec<P> {
        let waiting = std::mem::take(&mut self.waiting);
        self.tenants.clear();
        (self.all, self.oldest) = (0, None);
        let queues = waiting.into_values();
        queues.flat_map(|queue| queue.packets).collect()
    }

    fn gone(&mut self, tenant: u32, packets: usize) {
        self.all -= packets;
        if let Some(count) = self.tenants.get_mut(&tenant) {
            *count -= packets;
            if *count == 0 {
                self.tenants.remove(&tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests;
