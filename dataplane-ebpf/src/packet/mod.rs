//! One packet behind two hooks. All packet pointer arithmetic is in here.

use dataplane_common::{
    forward::{Halt, parse::Frame},
    reason::DropReason,
    wire::{
        Wire,
        ether::{self, EthHeader},
        outer::OuterHeaders,
    },
};

pub mod tc;
pub mod xdp;

/// A packet that can be edited. Lengths and offsets are of layer 2.
pub trait Packet: Frame {
    /// Whether the host's stack has not seen the packet, so that its outer
    /// checksum is ours to verify.
    const BEFORE_STACK: bool;

    /// The device it came from.
    fn ifindex(&self) -> u32;

    /// Its VLAN tags, 3 meaning "more than two".
    fn tags(&self) -> u8;

    /// Removes `tags` VLAN tags. `false`: this hook leaves that to the other.
    fn strip(&mut self, tags: u8) -> Result<bool, DropReason>;

    /// Overwrites the bytes at `offset`; `None` when the frame is shorter.
    fn store<T: Wire>(&mut self, offset: usize, value: T) -> Option<()>;

    /// Puts the outer headers in front, and `inner` in place of the Ethernet header.
    fn push_outer(&mut self, outer: &OuterHeaders, inner: EthHeader) -> Result<(), Halt>;

    /// The frame of a port will be received by another port, not sent by this one.
    fn turn_inwards(&mut self);

    /// Removes the outer headers; `inner` is the Ethernet header of what remains.
    fn pop_outer(&mut self, inner: EthHeader) -> Result<(), DropReason>;
}

/// VLAN tags that stand in the frame's bytes, 3 meaning "more than two".
#[inline(always)]
fn tags_in<F: Frame>(frame: &F) -> u8 {
    const ETHERTYPE: usize = 12;
    let is_tag = |offset| {
        let found: Option<[u8; 2]> = frame.load(offset);
        found.is_some_and(|bytes| ether::is_tag(u16::from_be_bytes(bytes)))
    };
    if !is_tag(ETHERTYPE) {
        0
    } else if !is_tag(ETHERTYPE + ether::TAG_LEN) {
        1
    } else if !is_tag(ETHERTYPE + 2 * ether::TAG_LEN) {
        2
    } else {
        3
    }
}

/// A pointer to a `T` at `offset` between `start` and `end`, `None` when it does
/// not fit. The kernel's verifier follows this very comparison.
#[inline(always)]
fn at<T>(start: usize, end: usize, offset: usize) -> Option<*mut T> {
    let from = start + offset;
    if from + size_of::<T>() > end {
        None
    } else {
        Some(from as *mut T)
    }
}

#[inline(always)]
fn read<T: Wire>(start: usize, end: usize, offset: usize) -> Option<T> {
    let from = at::<T>(start, end, offset)?;
    // SAFETY: `at` saw that all of `T` lies inside the packet; any bytes are a
    // valid `Wire`, which has alignment one.
    Some(unsafe { from.read_unaligned() })
}

#[inline(always)]
fn write<T: Wire>(start: usize, end: usize, offset: usize, value: T) -> Option<()> {
    let to = at::<T>(start, end, offset)?;
    // SAFETY: as in `read`; the packet is this program's alone while it runs.
    unsafe { to.write_unaligned(value) };
    Some(())
}
