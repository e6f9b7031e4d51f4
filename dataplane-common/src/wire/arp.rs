//! ARP for IPv4 over Ethernet (RFC 826).

use super::Wire;
use crate::id::Mac;

/// Bytes of an Ethernet/IPv4 ARP packet.
pub const LEN: usize = 28;
/// Operation: request.
pub const REQUEST: u16 = 1;
/// Operation: reply.
pub const REPLY: u16 = 2;

/// Hardware type Ethernet, protocol type IPv4, lengths 6 and 4.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// An ARP packet for IPv4 over Ethernet.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpPacket {
    types: [u8; 6],
    op: [u8; 2],
    /// Sender's MAC.
    pub sender_mac: Mac,
    /// Sender's address; 0.0.0.0 in a probe (RFC 5227).
    pub sender: [u8; 4],
    /// Target's MAC; meaningless in a request.
    pub target_mac: Mac,
    /// Target's address: the one that is asked for in a request.
    pub target: [u8; 4],
}

const _: () = assert!(size_of::<ArpPacket>() == LEN);
// SAFETY: `repr(C)` of byte arrays: alignment one, no padding, any pattern valid.
unsafe impl Wire for ArpPacket {}

impl ArpPacket {
    /// "`mac` has `ca`", told to `asker`.
    #[inline(always)]
    pub const fn reply(mac: Mac, ca: [u8; 4], asker_mac: Mac, asker: [u8; 4]) -> Self {
        Self {
            types: ETHERNET_IPV4,
            op: REPLY.to_be_bytes(),
            sender_mac: mac,
            sender: ca,
            target_mac: asker_mac,
            target: asker,
        }
    }

    /// Whether the packet is Ethernet/IPv4 and a request or a reply.
    #[inline(always)]
    pub fn is_valid(&self) -> bool {
        self.types == ETHERNET_IPV4 && (self.is_request() || self.op() == REPLY)
    }

    /// The operation, host order.
    #[inline(always)]
    pub const fn op(&self) -> u16 {
        u16::from_be_bytes(self.op)
    }

    /// Whether it asks.
    #[inline(always)]
    pub const fn is_request(&self) -> bool {
        self.op() == REQUEST
    }
}
