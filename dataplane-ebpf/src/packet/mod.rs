//! One packet behind two hooks. All packet pointer arithmetic is in here.

use core::mem::MaybeUninit;

use dataplane_common::{
    abi::vport::Vport,
    forward::{
        Halt,
        parse::{Frame, Headers},
    },
    reason::DropReason,
    wire::{
        Wire,
        checksum::Delta,
        ether::{self, EthHeader},
        gre,
        outer::{OuterHeaders, Tunnelled},
    },
};

use crate::scan;

pub mod tc;
pub mod xdp;

/// A packet that can be edited. Lengths and offsets are of layer 2.
pub trait Packet: Frame + Sized {
    /// Whether the host's stack has not seen the packet, so that its outer
    /// checksum is ours to verify.
    const BEFORE_STACK: bool;

    /// Reads the headers of the frame at `offset`. They are good until the next call.
    fn scan<'k>(&self, offset: usize) -> Result<&'k Headers, DropReason>;

    /// The same, of the frame in a tunnel, where the stack has room for the parser beside the decision.
    #[inline(always)]
    fn scan_inner<'k>(&self, offset: usize) -> Result<&'k Headers, DropReason> {
        scan::kept(scan::write(self, offset as u32))
    }

    /// Reads the headers and decides about the frame from this port: what [`scan::judge`] says.
    fn decide(&self, port: &Vport) -> u32;

    /// The device it came from.
    fn ifindex(&self) -> u32;

    /// Its VLAN tags, 3 meaning "more than two".
    fn tags(&self) -> u8;

    /// Removes `tags` VLAN tags. `false`: this hook leaves that to the other.
    fn strip(&mut self, tags: u8) -> Result<bool, DropReason>;

    /// Overwrites the bytes at `offset`; `None` when the frame is shorter.
    fn store<T: Wire>(&mut self, offset: usize, value: T) -> Option<()>;

    /// Overwrites the bytes at `offset` of an IP header, and keeps what the kernel knows of checksums.
    fn rewrite<T: Wire>(&mut self, offset: usize, value: T) -> Option<()>;

    /// Changes two bytes of a TCP packet, and the checksum at `check`; `false`: it cannot be.
    fn replace(&mut self, check: usize, offset: usize, old: [u8; 2], new: [u8; 2]) -> bool;

    /// Updates the checksum at `at` for a change of the addresses that it covers. `optional`: zero says
    /// that there is none, as UDP has it.
    fn resum(&mut self, at: usize, change: Delta, optional: bool) -> Option<()>;

    /// Whether this hook changes what an ICMP error quotes; else it leaves that to the other.
    const REQUOTES: bool;

    /// Gives the packet, which begins at offset 0, the addresses and the Ethernet header that
    /// [`crate::scan::readdressed`] has.
    fn readdress(&mut self) -> Result<(), DropReason>;

    /// Lowers the segment size that the TCP packet at `l4` announces to `most`.
    fn clamp(&mut self, l4: u32, most: u32);

    /// Puts the outer headers `O` in front, and `inner` in place of the Ethernet header.
    fn push_outer<O: OuterHeaders>(
        &mut self,
        outer: &Tunnelled,
        inner: EthHeader,
    ) -> Result<(), Halt>;

    /// Overwrites what stands in front with the outer headers.
    #[inline(always)]
    fn store_outer<O: OuterHeaders>(&mut self, outer: &Tunnelled) -> Option<()> {
        let (eth, ip, gre) = O::new(outer).parts();
        self.store(0, eth)?;
        self.store(ether::LEN, ip)?;
        self.store(O::LEN - gre::LEN, gre)
    }

    /// Sends a copy out of a device. `false`: it cannot be.
    fn copy_to(&mut self, ifindex: u32) -> bool;

    /// The frame of a port will be received by another port, not sent by this one.
    fn turn_inwards(&mut self);

    /// Removes the outer headers `O`; `inner` is the Ethernet header of what remains.
    fn pop_outer<O: OuterHeaders>(&mut self, inner: EthHeader) -> Result<(), DropReason>;

    /// Whether the frame may be given to the far end of a veth at once: what the kernel takes it for
    /// is what it is.
    fn may_peer(&self, eth: &EthHeader) -> bool;
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

/// What two bytes at `offset` add to the checksum at `check`, in the order of the bytes: at an odd
/// distance they are halves of two words, and the sum has them swapped (RFC 1071, section 2).
#[inline(always)]
fn summed(check: usize, offset: usize, bytes: [u8; 2]) -> [u8; 2] {
    let odd = (offset.wrapping_sub(check) & 1) as u32;
    u16::from_ne_bytes(bytes)
        .rotate_left(odd << 3)
        .to_ne_bytes()
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

/// Copies a value out of the packet.
#[inline(always)]
fn read<T: Wire>(start: usize, end: usize, offset: usize) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    let from: *const u8 = at::<T>(start, end, offset)?.cast();
    // SAFETY: `at` saw that all of `T` lies inside the packet, and `value` is as large. Any bytes are a
    // valid `Wire`.
    unsafe {
        copy::<T>(from, value.as_mut_ptr().cast());
        Some(value.assume_init())
    }
}

/// Copies a value out of the packet to memory of a map.
#[inline(always)]
fn read_to<T: Wire>(start: usize, end: usize, offset: usize, to: &mut T) -> Option<()> {
    let from: *const u8 = at::<T>(start, end, offset)?.cast();
    let to: *mut u8 = (&raw mut *to).cast();
    // SAFETY: as in `read`, and `to` is as large.
    unsafe { copy::<T>(from, to) };
    Some(())
}

/// Copies a value into the packet.
#[inline(always)]
fn write<T: Wire>(start: usize, end: usize, offset: usize, value: T) -> Option<()> {
    let to: *mut u8 = at::<T>(start, end, offset)?.cast();
    let from: *const u8 = (&raw const value).cast();
    // SAFETY: as in `read`; the packet is this program's alone while it runs.
    unsafe { copy::<T>(from, to) };
    Some(())
}

/// The bytes of a `T`, by words of which neither side need be aligned: left to itself, the compiler
/// copies byte by byte, and every byte takes a place on the stack of its own.
///
/// # Safety
/// Both are places of a whole `T`, which do not overlap. BPF has no alignment of its own; the verifier
/// refuses the program where the machine minds.
#[inline(always)]
unsafe fn copy<T: Wire>(from: *const u8, to: *mut u8) {
    let (words, half) = (size_of::<T>() / 4, size_of::<T>() / 2);
    // SAFETY: each step stays inside of both, as the caller says they are.
    unsafe {
        for word in 0..words {
            let it = from.add(4 * word).cast::<u32>().read();
            to.add(4 * word).cast::<u32>().write(it);
        }
        for half in 2 * words..half {
            let it = from.add(2 * half).cast::<u16>().read();
            to.add(2 * half).cast::<u16>().write(it);
        }
        for byte in 2 * half..size_of::<T>() {
            to.add(byte).write(from.add(byte).read());
        }
    }
}
