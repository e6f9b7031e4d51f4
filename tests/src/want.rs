//! What becomes of a packet, and the counters that move for it.

use dataplane_common::{
    abi::stats::{Counter as C, Direction},
    punt::Punt,
    reason::DropReason,
};

use crate::prog_run::Counts;

/// The fate of a packet, with the slots whose counters move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// On the wire as these bytes.
    Encapped(u32, Vec<u8>),
    /// On the wire with PAs in place of its CAs, as these bytes.
    Rewritten(u32, Vec<u8>),
    /// At another port (sender's slot; 0 from the underlay) as these bytes.
    Delivered(u32, u32, Vec<u8>),
    /// Back to the sender as these bytes.
    Replied(u32, Vec<u8>),
    /// Copied, by the port in this slot (0 from the underlay).
    Flooded(u32, Copies),
    /// Untouched.
    Passed,
    /// Left to user space, counted in this slot: behind a header that says why, these bytes.
    Punted(u32, Punt, Vec<u8>),
    /// Dropped, counted in this slot.
    Dropped(u32, DropReason),
}

/// What became of the copies of a broadcast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// Copies for other hosts.
    pub encapped: u32,
    /// Slots of the ports here that got one.
    pub delivered: Vec<u32>,
    /// Copies that nobody got: the slot of the receiver (0: another host), and why.
    pub dropped: Vec<(u32, DropReason)>,
}

impl Want {
    /// Whose packets were received.
    pub fn slot(&self, direction: Direction) -> u32 {
        match (direction, self) {
            (
                _,
                Self::Encapped(slot, _)
                | Self::Rewritten(slot, _)
                | Self::Replied(slot, _)
                | Self::Flooded(slot, _)
                | Self::Punted(slot, ..)
                | Self::Dropped(slot, _),
            )
            | (Direction::Egress, Self::Delivered(slot, ..))
            | (Direction::Ingress, Self::Delivered(_, slot, _)) => *slot,
            (_, Self::Passed) => 0,
        }
    }

    /// Exactly the counters that shall move.
    pub fn counts(&self, direction: Direction) -> Counts {
        let mut counts = Counts::default();
        let slot = self.slot(direction);
        let (received, passed, punted, flooded) = match direction {
            Direction::Egress => (
                C::EgressReceived,
                C::EgressPassed,
                C::EgressPunted,
                C::EgressFlooded,
            ),
            Direction::Ingress => (
                C::IngressReceived,
                C::IngressPassed,
                C::IngressPunted,
                C::IngressFlooded,
            ),
        };
        counts.count(slot, received);
        match (direction, self) {
            (_, Self::Encapped(..)) => counts.count(slot, C::EgressEncapped),
            (_, Self::Rewritten(..)) => counts.count(slot, C::EgressRewritten),
            (Direction::Egress, Self::Replied(..)) => counts.count(slot, C::EgressReplied),
            (Direction::Ingress, Self::Replied(..)) => counts.count(slot, C::IngressReplied),
            (Direction::Egress, Self::Delivered(_, to, _)) => {
                counts.count(slot, C::EgressDelivered);
                counts.count(*to, C::LocalReceived);
            }
            (Direction::Ingress, Self::Delivered(..)) => counts.count(slot, C::IngressDelivered),
            (_, Self::Flooded(_, copies)) => {
                counts.count(slot, flooded);
                copies.count(direction, slot, &mut counts);
            }
            (_, Self::Passed) => counts.count(slot, passed),
            (_, Self::Punted(..)) => counts.count(slot, punted),
            (direction, Self::Dropped(_, reason)) => counts.drop(slot, direction, *reason),
        }
        counts
    }
}

impl Copies {
    fn count(&self, direction: Direction, sender: u32, counts: &mut Counts) {
        for _ in 0..self.encapped {
            counts.count(sender, C::EgressReplicas);
            counts.count(sender, C::EgressEncapped);
        }
        let at = |slot| match direction {
            Direction::Egress => sender,
            Direction::Ingress => slot,
        };
        let (replicas, delivered) = match direction {
            Direction::Egress => (C::EgressReplicas, C::EgressDelivered),
            Direction::Ingress => (C::IngressReplicas, C::IngressDelivered),
        };
        for slot in &self.delivered {
            counts.count(at(*slot), replicas);
            counts.count(at(*slot), delivered);
            if direction == Direction::Egress {
                counts.count(*slot, C::LocalReceived);
            }
        }
        for (slot, reason) in &self.dropped {
            counts.count(at(*slot), replicas);
            counts.drop(at(*slot), direction, *reason);
        }
    }
}
