//! Per-CPU counters by port slot and reason. Every packet that a program
//! finishes passes here once, so that the sums agree.

use dataplane_common::abi::stats::{Count, Counter, Direction, counter_index, drop_index};

use crate::{
    maps::{COUNTERS, DROPS},
    pipeline::{Outcome, Verdict},
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
        (Verdict::Replied, _) => event(slot, Counter::EgressReplied, len),
        (Verdict::Delivered, Direction::Egress) => {
            event(slot, Counter::EgressDelivered, len);
            event(target.slot, Counter::LocalReceived, len);
        }
        (Verdict::Delivered, Direction::Ingress) => {
            event(slot, Counter::IngressDelivered, len);
        }
        (Verdict::Passed, Direction::Egress) => event(slot, Counter::EgressPassed, len),
        (Verdict::Passed, Direction::Ingress) => event(slot, Counter::IngressPassed, len),
        (Verdict::Punted, Direction::Egress) => event(slot, Counter::EgressPunted, len),
        (Verdict::Punted, Direction::Ingress) => event(slot, Counter::IngressPunted, len),
        (Verdict::Dropped(reason), _) => {
            add(DROPS.get_ptr_mut(drop_index(slot, direction, reason)), len);
        }
    }
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
