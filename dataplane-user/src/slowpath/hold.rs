//! The waiting room: packets whose destination is being asked about.
//!
//! Bounded for each destination, for each tenant and in all, so that what one tenant asks for costs
//! another no room. What does not fit is the caller's to count.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use dataplane_common::reason::DropReason;

/// What is asked about: index of the routing domain, and CA.
pub type Question = (u32, [u8; 4]);

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

/// The room. `P` is a packet.
#[derive(Debug)]
pub struct Hold<P> {
    limits: Limits,
    waiting: BTreeMap<Question, Queue<P>>,
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

impl<P> Hold<P> {
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

    /// Questions that are asked.
    pub fn questions(&self) -> usize {
        self.waiting.len()
    }

    /// Lets a packet wait; gives it back with the reason where there is no room.
    pub fn enter(
        &mut self,
        question: Question,
        packet: P,
        now: Instant,
    ) -> Result<Entered, (P, DropReason)> {
        let tenant = self.tenants.get(&question.0).copied().unwrap_or(0);
        let queued = self.waiting.get(&question).map_or(0, |q| q.packets.len());
        let limits = self.limits;
        // What is free bounds each tenant, too, so that some always is for one that holds nothing.
        let free = limits.all.saturating_sub(self.all);
        if queued >= limits.destination || tenant >= limits.tenant.min(free) {
            return Err((packet, DropReason::HoldFull));
        }
        self.all += 1;
        self.oldest.get_or_insert(now);
        *self.tenants.entry(question.0).or_default() += 1;
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
    pub fn answer(&mut self, question: Question) -> VecDeque<P> {
        let Some(queue) = self.waiting.remove(&question) else {
            return VecDeque::new();
        };
        self.gone(question.0, queue.packets.len());
        queue.packets
    }

    /// Whoever waited too long.
    pub fn expired(&mut self, now: Instant) -> Vec<(Question, VecDeque<P>)> {
        let over = |since: Instant| now.saturating_duration_since(since) >= self.limits.time;
        if !self.oldest.is_some_and(over) {
            return Vec::new();
        }
        let late = |queue: &Queue<P>| over(queue.since);
        let questions: Vec<Question> = self
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
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        destination: 2,
        tenant: 3,
        all: 6,
        time: Duration::from_millis(500),
    };

    fn ca(last: u8) -> [u8; 4] {
        [10, 0, 0, last]
    }

    #[test]
    fn one_question_is_asked_once_and_answered_in_order() {
        let now = Instant::now();
        let mut hold = Hold::new(Limits::DEFAULT);
        assert_eq!(hold.enter((1, ca(1)), 'a', now), Ok(Entered::First));
        assert_eq!(hold.enter((1, ca(1)), 'b', now), Ok(Entered::Behind));
        assert_eq!(hold.enter((2, ca(1)), 'c', now), Ok(Entered::First));
        assert_eq!(hold.answer((1, ca(1))), ['a', 'b']);
        assert_eq!(hold.answer((1, ca(1))), []);
        assert_eq!((hold.len(), hold.questions()), (1, 1));
        assert_eq!(hold.tenants(), &BTreeMap::from([(2, 1)]));
    }

    #[test]
    fn each_bound_holds_and_the_packet_comes_back() {
        let now = Instant::now();
        let mut hold = Hold::new(LIMITS);
        let mut enter = |tenant, last| hold.enter((tenant, ca(last)), last, now);
        assert!(enter(1, 1).is_ok() && enter(1, 1).is_ok());
        assert_eq!(enter(1, 1), Err((1, DropReason::HoldFull)), "destination");
        assert!(enter(1, 2).is_ok());
        assert_eq!(enter(1, 3), Err((3, DropReason::HoldFull)), "tenant");
        assert!(enter(2, 1).is_ok() && enter(2, 2).is_ok());
        assert_eq!(enter(2, 3), Err((3, DropReason::HoldFull)), "all");
        hold.answer((1, ca(1)));
        assert_eq!(hold.len(), 3);
        assert!(hold.enter((1, ca(3)), 3, now).is_ok(), "room again");
    }

    #[test]
    fn who_waits_too_long_is_let_go() {
        let start = Instant::now();
        let mut hold = Hold::new(LIMITS);
        let later = start + Duration::from_millis(300);
        hold.enter((1, ca(1)), 'a', start).unwrap();
        hold.enter((1, ca(1)), 'b', later).unwrap();
        hold.enter((1, ca(2)), 'c', later).unwrap();
        assert!(hold.expired(start + Duration::from_millis(499)).is_empty());
        let gone = hold.expired(start + Duration::from_millis(500));
        assert_eq!(gone, [((1, ca(1)), VecDeque::from(['a', 'b']))]);
        assert_eq!(hold.len(), 1);
        assert!(hold.expired(later + Duration::from_millis(499)).is_empty());
        let gone = hold.expired(later + Duration::from_millis(500));
        assert_eq!(gone, [((1, ca(2)), VecDeque::from(['c']))]);
    }

    #[test]
    fn who_comes_after_all_were_answered_has_the_whole_time() {
        let start = Instant::now();
        let mut hold = Hold::new(LIMITS);
        hold.enter((1, ca(1)), 'a', start).unwrap();
        hold.answer((1, ca(1)));
        let later = start + Duration::from_secs(9);
        hold.enter((1, ca(2)), 'b', later).unwrap();
        assert!(hold.expired(later).is_empty());
        let gone = hold.expired(later + Duration::from_millis(500));
        assert_eq!(gone, [((1, ca(2)), VecDeque::from(['b']))]);
    }

    #[test]
    fn there_is_room_for_one_that_holds_nothing_however_many_hold_much() {
        let limits = Limits {
            destination: 4,
            tenant: 40,
            all: 100,
            ..Limits::DEFAULT
        };
        let (mut hold, now) = (Hold::new(limits), Instant::now());
        for tenant in 0..6 {
            for last in 0..100 {
                let _ = hold.enter((tenant, [10, 0, 0, last]), (), now);
            }
            let held = hold.tenants().get(&tenant).copied();
            assert!(held.is_some_and(|held| held > 0), "{tenant}: {held:?}");
        }
    }
}
