//! `COUNTERS` and `DROPS`: per-CPU arrays by port slot.
//!
//! Conservation, per direction and slot: `received` plus `replicas` equals the sum of the other
//! outcomes (`flooded` among them) plus the drops, for both are counted where the packet ended up: what a
//! port sent, and what was delivered to it, in its slot; the rest in slot 0. Neither array is a snapshot:
//! a reader may see a packet counted but not yet its bytes.

use super::pod;
use crate::reason::{DropReason, REASONS};

/// Slots: 0 stands for "no port" (the uplinks), the others for ports.
pub const SLOTS: u32 = 1024;

/// Packets and bytes (layer 2, as the program saw the frame on arrival).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets; a GSO super-packet counts as one.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

const _: () = assert!(size_of::<Count>() == 16);

/// Direction, always seen from the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Direction {
    /// vport -> underlay.
    Egress = 0,
    /// underlay -> vport.
    Ingress = 1,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Egress, Self::Ingress];

    /// The word that users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $text:literal;)+) => {
        /// What became of a packet that was not dropped. The numbers are ABI.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Counter {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl Counter {
            /// All of them, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name that users see.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

counters! {
    /// Taken from a vport and decided upon.
    EgressReceived = 0, "egress_received";
    /// Sent into the underlay with an outer header.
    EgressEncapped = 1, "egress_encapped";
    /// Handed to another port of this host.
    EgressDelivered = 2, "egress_delivered";
    /// Answered by the program itself: ARP, neighbour discovery, pings of the gateway.
    EgressReplied = 3, "egress_replied";
    /// Of a port that is not virtualized: left to the host's stack, or sent out of the uplink or the external interface.
    EgressPassed = 4, "egress_passed";
    /// Seen on an uplink and decided upon; in the slot of the port that got it.
    IngressReceived = 5, "ingress_received";
    /// Decapsulated, or its PAs replaced by CAs, and handed to a port.
    IngressDelivered = 6, "ingress_delivered";
    /// Not ours; left to the host's stack.
    IngressPassed = 7, "ingress_passed";
    /// Handed to this port by another port of this host (a copy of that port's `egress_delivered`).
    LocalReceived = 8, "local_received";
    /// Taken from a vport and left to user space.
    EgressPunted = 9, "egress_punted";
    /// Seen on an uplink and left to user space.
    IngressPunted = 10, "ingress_punted";
    /// Received a second time, from user space, on its way out of a vport (among `egress_received`).
    EgressReinjected = 11, "egress_reinjected";
    /// Received a second time, from user space, on its way in from an uplink (among `ingress_received`).
    IngressReinjected = 12, "ingress_reinjected";
    /// Copies of a broadcast that a vport sent, for other hosts and other ports.
    EgressReplicas = 13, "egress_replicas";
    /// A broadcast of a vport of which copies were made.
    EgressFlooded = 14, "egress_flooded";
    /// Copies for this port of a broadcast that came from the underlay.
    IngressReplicas = 15, "ingress_replicas";
    /// A broadcast from the underlay of which copies were made.
    IngressFlooded = 16, "ingress_flooded";
    /// Sent into the underlay with PAs in place of its CAs.
    EgressRewritten = 17, "egress_rewritten";
    /// Answered by the program itself on an uplink: who has the PA of a port.
    IngressReplied = 18, "ingress_replied";
}

/// Room per slot in `COUNTERS`.
pub const COUNTERS_PER_SLOT: u32 = 32;
/// Entries of `COUNTERS`.
pub const COUNTERS_LEN: u32 = SLOTS * COUNTERS_PER_SLOT;
/// Room per slot in `DROPS`: both directions.
pub const DROPS_PER_SLOT: u32 = 2 * REASONS;
/// Entries of `DROPS`.
pub const DROPS_LEN: u32 = SLOTS * DROPS_PER_SLOT;

/// Index in `COUNTERS`; a slot out of range counts as "no port".
#[inline(always)]
pub const fn counter_index(slot: u32, counter: Counter) -> u32 {
    (slot % SLOTS)
        .wrapping_mul(COUNTERS_PER_SLOT)
        .wrapping_add(counter as u32)
}

/// Index in `DROPS`.
#[inline(always)]
pub const fn drop_index(slot: u32, direction: Direction, reason: DropReason) -> u32 {
    (slot % SLOTS)
        .wrapping_mul(DROPS_PER_SLOT)
        .wrapping_add((direction as u32).wrapping_mul(REASONS))
        .wrapping_add(reason.number())
}

pod!(Count);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_stay_inside_the_arrays() {
        for slot in [0, 1, SLOTS - 1] {
            for counter in Counter::ALL {
                assert!((*counter as u32) < COUNTERS_PER_SLOT);
                assert!(counter_index(slot, *counter) < COUNTERS_LEN);
            }
            for direction in Direction::ALL {
                for reason in DropReason::ALL {
                    assert!(drop_index(slot, direction, *reason) < DROPS_LEN);
                }
            }
        }
    }
}
