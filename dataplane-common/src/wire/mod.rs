//! Packet formats as plain values: byte arrays in wire order, alignment one.
//!
//! A header is copied out of the packet, read through accessors in host
//! order, and written back whole. None of these types borrows packet memory.

pub mod arp;
pub mod checksum;
pub mod ether;
pub mod gre;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod outer;

/// Marks a header that any bytes make up: it may be copied from a packet.
///
/// # Safety
/// The type is `repr(C)` or `repr(transparent)`, has alignment one, no padding,
/// and every bit pattern is a valid value.
pub unsafe trait Wire: Copy + 'static {}

// SAFETY: bytes have alignment one, no padding, and any pattern is valid.
unsafe impl<const N: usize> Wire for [u8; N] {}
