//! To user space and back.
//!
//! A packet that the decision leaves to user space goes, behind an upcall header, into a veth pair
//! whose far end `nved` reads; a frame in driver memory goes into a socket of `nved` as it is. The
//! port's token bucket is asked first, so that a flood ends here.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use dataplane_common::{
    abi::{
        bucket::{self, Take},
        config::Config,
        programs::{BACK_EGRESS, BACK_INGRESS},
        stats::Direction,
        upcall::{LEN, PAIR, QUEUES, Task, UpcallHeader},
        vport::Vport,
    },
    forward::{Tables as _, parse::Frame as _},
    punt::Punt,
    reason::DropReason,
};

use crate::{
    count,
    maps::{BUCKETS, Maps, UPLINKS, XSKS},
    outcome::{self, Outcome, Target, Verdict},
    packet::{Packet as _, tc::Skb},
    pipeline,
};

/// Whether somebody is there to ask. The kernel takes a socket out of the map when its owner ends.
#[inline(always)]
pub fn there() -> bool {
    XSKS.get(PAIR).is_some()
}

/// Puts the header in front. The device to send to, or why not.
#[inline(always)]
pub fn wrap(
    maps: &Maps,
    packet: &mut Skb,
    outcome: &Outcome,
    punt: Punt,
) -> Result<u32, DropReason> {
    let config = maps.config().unwrap_or(&Config::DEFAULT);
    if config.upcall_ifindex == 0 {
        return Err(DropReason::PuntFailed);
    }
    spend(config, outcome.payer(), segments(packet))?;
    let header = UpcallHeader::new(Task::Handle, packet.ifindex(), outcome.slot, punt.number());
    if packet.wrap(header) {
        Ok(config.upcall_ifindex)
    } else {
        Err(DropReason::PuntFailed)
    }
}

/// Frames that come of the packet on its way to user space, each of which costs a token.
#[inline(always)]
fn segments(packet: &Skb) -> u32 {
    let size = packet.gso_size();
    if size == 0 {
        1
    } else {
        packet.len() / size + 1
    }
}

/// The place in `XSKS` of the socket for what this queue received, if there is one.
#[inline(always)]
pub fn socket(ifindex: u32, queue: u32) -> Option<u32> {
    // SAFETY: see `Maps::vport`; the value is one word.
    let first = unsafe { UPLINKS.get(ifindex) }.copied()?;
    if queue >= QUEUES {
        return None;
    }
    let place = first.wrapping_add(queue);
    XSKS.get(place).map(|_| place)
}

/// Takes tokens out of the bucket.
///
/// CPUs that ask in the same moment may take one token together (the target has no compare-and-swap
/// in Rust): a port gets its rate at least, and at most as often as there are CPUs.
#[inline(always)]
pub fn spend(config: &Config, bucket: u32, tokens: u32) -> Result<(), DropReason> {
    let rate = (config.punt_interval, config.punt_burst);
    take(rate, bucket, tokens).map_err(|()| DropReason::PuntRate)
}

/// Takes tokens out of a bucket of this interval and burst.
#[inline(always)]
pub fn take(rate: (u32, u32), bucket: u32, tokens: u32) -> Result<(), ()> {
    let Some(word) = BUCKETS.get_ptr_mut(bucket) else {
        return Err(());
    };
    // SAFETY: the helper reads a clock.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: an element of an array map, aligned to 8 bytes, which lives as long as the map. Loads
    // and stores of 8 bytes are whole; any word is a valid one.
    let seen = unsafe { word.read_volatile() };
    match bucket::take(seen, now, tokens, rate) {
        Take::Granted(next) => {
            // SAFETY: as above.
            unsafe { word.write_volatile(next) };
            Ok(())
        }
        Take::Refused => Err(()),
    }
}

/// A frame that user space gives back: the header off, and on its way. `None`: no frame of ours, or
/// it ends here.
#[inline(always)]
pub fn back(maps: &Maps, packet: &mut Skb) -> Option<Outcome> {
    let header: UpcallHeader = packet.load(0)?;
    let task = header.task()?;
    let len = packet.len().wrapping_sub(LEN as u32);
    let device = match task {
        // There the device stands in the slot's place.
        Task::Encap => header.slot(),
        _ => header.ifindex(),
    };
    if !packet.unwrap(device) {
        return None;
    }
    // The device may be another port's by now.
    let owner = maps.vport(device);
    let still = owner.is_some_and(|port| port.slot == header.slot());
    match task {
        Task::Handle => None,
        Task::Ingress => {
            packet.go_on(BACK_INGRESS);
            lost(Direction::Ingress, 0, DropReason::PuntFailed, len)
        }
        Task::Egress if still => {
            packet.go_on(BACK_EGRESS);
            lost(Direction::Egress, 0, DropReason::PuntFailed, len)
        }
        Task::Egress => lost(Direction::Egress, 0, DropReason::PortUnknown, len),
        Task::Encap => Some(encap(maps, packet, owner?, header.ifindex())),
        Task::Replica | Task::Deliver if !still => None,
        Task::Replica | Task::Deliver => {
            let slot = header.slot();
            // Other frames are made by user space, which counts them.
            if task == Task::Replica {
                count::copy_delivered(Direction::Ingress, (slot, slot), len, Ok(()));
            }
            let target = Target {
                ifindex: device,
                slot,
                peer: 0,
            };
            Some(outcome::handed(target, len))
        }
    }
}

/// Counts a packet that cannot go on.
#[inline(always)]
fn lost(direction: Direction, slot: u32, reason: DropReason, len: u32) -> Option<Outcome> {
    let outcome = outcome::of(Err(reason.into()), slot, 0, len);
    count::again(direction, &outcome);
    count::outcome(direction, &outcome);
    None
}

/// A copy for another host of what the port sent.
#[inline(always)]
fn encap(maps: &Maps, packet: &mut Skb, port: &Vport, pa_index: u32) -> Outcome {
    let outcome = pipeline::copy_encapped(maps, packet, port, pa_index);
    let done = match outcome.verdict {
        Verdict::Dropped(reason) => Err(reason),
        _ => Ok(()),
    };
    count::copy_encapped(outcome.slot, outcome.len, done);
    outcome
}
