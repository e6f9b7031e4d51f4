//! Ethernet II headers.

use super::Wire;
use crate::id::Mac;

/// Bytes of an Ethernet header without tags.
pub const LEN: usize = 14;
/// Bytes of one 802.1Q or 802.1ad tag.
pub const TAG_LEN: usize = 4;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86DD;
/// EtherType of an 802.1Q (customer) tag.
pub const VLAN: u16 = 0x8100;
/// EtherType of an 802.1ad (service) tag.
pub const QINQ: u16 = 0x88A8;

/// Whether the EtherType announces a VLAN tag.
#[inline(always)]
pub const fn is_tag(ethertype: u16) -> bool {
    ethertype == VLAN || ethertype == QINQ
}

/// An untagged Ethernet header.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthHeader {
    /// Destination.
    pub dst: Mac,
    /// Source.
    pub src: Mac,
    ethertype: [u8; 2],
}

const _: () = assert!(size_of::<EthHeader>() == LEN);
// SAFETY: `repr(C)` of byte arrays: alignment one, no padding, any pattern valid.
unsafe impl Wire for EthHeader {}

impl EthHeader {
    /// A header of the given EtherType (host order).
    #[inline(always)]
    pub const fn new(dst: Mac, src: Mac, ethertype: u16) -> Self {
        Self {
            dst,
            src,
            ethertype: ethertype.to_be_bytes(),
        }
    }

    /// The EtherType, host order.
    #[inline(always)]
    pub const fn ethertype(&self) -> u16 {
        u16::from_be_bytes(self.ethertype)
    }
}
