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
        upcall::{PAIR, QUEUES, Task, UpcallHeader},
    },
    forward::{Tables as _, parse::Frame as _},
    punt::Punt,
    reason::DropReason,
};

use crate::{
    maps::{BUCKETS, Maps, UPLINKS, XSKS},
    packet::{Packet as _, tc::Skb},
    pipeline::{self, Outcome, Target},
};

/// Whether somebody is there to ask. The kernel takes a socket out of the map when its owner ends.
#[inline(always)]
pub fn there() -> bool {
    XSKS.get(PAIR).is_some()
}

/// Puts the header in front. The device to send to, or why not.
#[inline(always)]
pub fn wrap(packet: &mut Skb, outcome: &Outcome, punt: Punt) -> Result<u32, DropReason> {
    let config = Maps.config().unwrap_or(&Config::DEFAULT);
    if config.upcall_ifindex == 0 {
        return Err(DropReason::PuntFailed);
    }
    spend(config, outcome.bucket, segments(packet))?;
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
    let Some(word) = BUCKETS.get_ptr_mut(bucket) else {
        return Err(DropReason::PuntRate);
    };
    // SAFETY: the helper reads a clock.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: an element of an array map, aligned to 8 bytes, which lives as long as the map. Loads
    // and stores of 8 bytes are whole; any word is a valid one.
    let seen = unsafe { word.read_volatile() };
    let rate = (config.punt_interval, config.punt_burst);
    match bucket::take(seen, now, tokens, rate) {
        Take::Granted(next) => {
            // SAFETY: as above.
            unsafe { word.write_volatile(next) };
            Ok(())
        }
        Take::Refused => Err(DropReason::PuntRate),
    }
}

/// A frame that user space gives back: the header off, and on its way. `None`: no frame of ours.
#[inline(always)]
pub fn back(packet: &mut Skb) -> Option<(Task, Outcome)> {
    let header: UpcallHeader = packet.load(0)?;
    let task = header.task()?;
    if !packet.unwrap(header.ifindex()) {
        return None;
    }
    // The device may be another port's by now.
    let owner = Maps.vport(header.ifindex()).map(|port| port.slot);
    let outcome = match task {
        Task::Egress | Task::Deliver if owner != Some(header.slot()) => {
            pipeline::dropped(DropReason::PortUnknown, packet.len())
        }
        Task::Egress => pipeline::egress(packet),
        Task::Ingress => pipeline::ingress(packet),
        Task::Deliver => pipeline::handed(Target {
            ifindex: header.ifindex(),
            slot: header.slot(),
            peer: 0,
        }),
        Task::Handle => return None,
    };
    Some((task, outcome))
}
