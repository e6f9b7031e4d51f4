//! Per-CPU counters by port slot and reason. Every packet that a program
//! finishes passes here once, so that the sums agree.

use dataplane_common::{
    abi::stats::{Count, Counter, Direction, counter_index, drop_index},
    reason::DropReason,
};

use crate::{
    maps::{COUNTERS, DROPS},
    outcome::{Outcome, Verdict},
};

/// Counts a packet as received, and as what became of it.
#[inline(always)]
pub fn outcome(direction: Direction, outcome: &Outcome) {
    let Outcome {
        verdict,
        punt: _,
        target,
        slot,
        len,
        bucket: _,
    } = *outcome;
    // What comes from the underlay counts for the port that gets it, so that the
    // sums agree slot by slot.
    let (slot, received) = match direction {
        Direction::Egress => (slot, Counter::EgressReceived),
        Direction::Ingress => (target.slot, Counter::IngressReceived),
    };
    event(slot, received, len);
    match (verdict, direction) {
        (Verdict::Encapped, _) => event(slot, Counter::EgressEncapped, len),
        (Verdict::Rewritten, _) => event(slot, Counter::EgressRewritten, len),
        (Verdict::Replied, Direction::Egress) => event(slot, Counter::EgressReplied, len),
        (Verdict::Replied, Direction::Ingress) => event(slot, Counter::IngressReplied, len),
        (Verdict::Delivered, Direction::Egress) => {
            event(slot, Counter::EgressDelivered, len);
            event(target.slot, Counter::LocalReceived, len);
        }
        (Verdict::Delivered, Direction::Ingress) => {
            event(slot, Counter::IngressDelivered, len);
        }
        // Counted where it ends, in another program.
        (Verdict::Flood | Verdict::Plain | Verdict::Asked, _) => {}
        (Verdict::Flooded, Direction::Egress) => event(slot, Counter::EgressFlooded, len),
        (Verdict::Flooded, Direction::Ingress) => event(slot, Counter::IngressFlooded, len),
        (Verdict::Passed | Verdict::Sent, Direction::Egress) => {
            event(slot, Counter::EgressPassed, len)
        }
        (Verdict::Passed | Verdict::Sent, Direction::Ingress) => {
            event(slot, Counter::IngressPassed, len)
        }
        (Verdict::Punted, Direction::Egress) => event(slot, Counter::EgressPunted, len),
        (Verdict::Punted, Direction::Ingress) => event(slot, Counter::IngressPunted, len),
        (Verdict::Dropped(reason), _) => {
            drop_copy(slot, direction, reason, len);
        }
    }
}

/// Counts a copy of a broadcast from the port in `slot` for another host.
#[inline(always)]
pub fn copy_encapped(slot: u32, len: u32, done: Result<(), DropReason>) {
    event(slot, Counter::EgressReplicas, len);
    match done {
        Ok(()) => event(slot, Counter::EgressEncapped, len),
        Err(reason) => drop_copy(slot, Direction::Egress, reason, len),
    }
}

/// Counts a copy of a broadcast of a port that is not virtualized, out of its link.
#[inline(always)]
pub fn copy_sent(slot: u32, len: u32, done: Result<(), DropReason>) {
    event(slot, Counter::EgressReplicas, len);
    match done {
        Ok(()) => event(slot, Counter::EgressPassed, len),
        Err(reason) => drop_copy(slot, Direction::Egress, reason, len),
    }
}

/// Counts a copy of a broadcast for the local port in `to`; `from`: the slot of the port that sent
/// it, or that of the receiver where it came from the underlay.
#[inline(always)]
pub fn copy_delivered(
    direction: Direction,
    (from, to): (u32, u32),
    len: u32,
    done: Result<(), DropReason>,
) {
    let (replicas, delivered) = match direction {
        Direction::Egress => (Counter::EgressReplicas, Counter::EgressDelivered),
        Direction::Ingress => (Counter::IngressReplicas, Counter::IngressDelivered),
    };
    event(from, replicas, len);
    match done {
        Ok(()) => {
            event(from, delivered, len);
            if matches!(direction, Direction::Egress) {
                event(to, Counter::LocalReceived, len);
            }
        }
        Err(reason) => drop_copy(from, direction, reason, len),
    }
}

#[inline(always)]
fn drop_copy(slot: u32, direction: Direction, reason: DropReason, len: u32) {
    add(DROPS.get_ptr_mut(drop_index(slot, direction, reason)), len);
}

/// Counts a packet that user space gave back, beside what became of it.
#[inline(always)]
pub fn again(direction: Direction, outcome: &Outcome) {
    match direction {
        Direction::Egress => event(outcome.slot, Counter::EgressReinjected, outcome.len),
        Direction::Ingress => event(outcome.target.slot, Counter::IngressReinjected, outcome.len),
    }
}

#[inline(always)]
fn event(slot: u32, counter: Counter, len: u32) {
    add(COUNTERS.get_ptr_mut(counter_index(slot, counter)), len);
}

#[inline(always)]
fn add(count: Option<*mut Count>, len: u32) {
    if let Some(count) = count {
        // SAFETY: the pointer is to this CPU's element of a per-CPU array, which
        // lives as long as the map; no other program runs on this CPU meanwhile.
        unsafe {
            (*count).packets = (*count).packets.wrapping_add(1);
            (*count).bytes = (*count).bytes.wrapping_add(len as u64);
        }
    }
}
