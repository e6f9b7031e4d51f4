//! IPv4 headers without options (RFC 791).

use super::{
    Wire,
    checksum::{self, Delta},
};
use crate::id::Address;

/// Bytes of a header without options.
pub const LEN: usize = 20;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Protocol number of UDP-Lite (RFC 3828).
pub const UDP_LITE: u8 = 136;
/// Protocol number of DCCP (RFC 4340).
pub const DCCP: u8 = 33;
/// Protocol number of GRE.
pub const GRE: u8 = 47;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1FFF;

/// The fixed part of an IPv4 header.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Header {
    version_ihl: u8,
    tos: u8,
    total_len: [u8; 2],
    id: [u8; 2],
    fragment: [u8; 2],
    ttl: u8,
    protocol: u8,
    checksum: [u8; 2],
    /// Source address.
    pub src: [u8; 4],
    /// Destination address.
    pub dst: [u8; 4],
}

const _: () = assert!(size_of::<Ipv4Header>() == LEN);
// SAFETY: `repr(C)` of bytes and byte arrays: alignment one, no padding, any pattern valid.
unsafe impl Wire for Ipv4Header {}

impl Ipv4Header {
    /// An outer header: no options, ID 0, DF set (RFC 6864 allows ID 0 with DF),
    /// checksum filled in. `total_len` in bytes, header included.
    #[inline(always)]
    pub fn outer(tos: u8, ttl: u8, total_len: u16, src: [u8; 4], dst: [u8; 4]) -> Self {
        let mut header = Self {
            version_ihl: 0x45,
            tos,
            total_len: total_len.to_be_bytes(),
            id: [0; 2],
            fragment: DONT_FRAGMENT.to_be_bytes(),
            ttl,
            protocol: GRE,
            checksum: [0; 2],
            src,
            dst,
        };
        header.checksum = (!header.sum()).to_be_bytes();
        header
    }

    /// IP version, 4 when the header is what it claims.
    #[inline(always)]
    pub const fn version(&self) -> u8 {
        self.version_ihl >> 4
    }

    /// Header length in bytes, options included; 0..=60, valid from 20.
    #[inline(always)]
    pub const fn header_len(&self) -> u16 {
        ((self.version_ihl & 0xF) as u16) << 2
    }

    /// Length of the packet in bytes, header included.
    #[inline(always)]
    pub const fn total_len(&self) -> u16 {
        u16::from_be_bytes(self.total_len)
    }

    /// Type of service: DSCP in the upper six bits, ECN in the lower two.
    #[inline(always)]
    pub const fn tos(&self) -> u8 {
        self.tos
    }

    /// Payload protocol.
    #[inline(always)]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Time to live.
    #[inline(always)]
    pub const fn ttl(&self) -> u8 {
        self.ttl
    }

    /// Whether the packet is a fragment: MF set or an offset.
    #[inline(always)]
    pub const fn is_fragment(&self) -> bool {
        u16::from_be_bytes(self.fragment) & (MORE_FRAGMENTS | OFFSET_MASK) != 0
    }

    /// Whether the packet is a fragment that does not begin the datagram.
    #[inline(always)]
    pub const fn is_later_fragment(&self) -> bool {
        u16::from_be_bytes(self.fragment) & OFFSET_MASK != 0
    }

    /// Whether the checksum over the 20 bytes is right (header without options).
    #[inline(always)]
    pub fn checksum_ok(&self) -> bool {
        self.sum() == 0xFFFF
    }

    /// The same header with another TOS and the checksum updated (RFC 1624).
    #[must_use]
    #[inline(always)]
    pub fn with_tos(mut self, tos: u8) -> Self {
        let old = u16::from_be_bytes([self.version_ihl, self.tos]);
        let new = u16::from_be_bytes([self.version_ihl, tos]);
        let updated = checksum::update(u16::from_be_bytes(self.checksum), old, new);
        self.tos = tos;
        self.checksum = updated.to_be_bytes();
        self
    }

    /// The same header with another TTL and the checksum updated (RFC 1624).
    #[must_use]
    #[inline(always)]
    pub fn with_ttl(mut self, ttl: u8) -> Self {
        let word = |ttl| u16::from_be_bytes([ttl, self.protocol]);
        let sum = u16::from_be_bytes(self.checksum);
        self.checksum = checksum::update(sum, word(self.ttl), word(ttl)).to_be_bytes();
        self.ttl = ttl;
        self
    }

    /// The same with other addresses and the checksum updated (RFC 1624).
    #[must_use]
    #[inline(always)]
    pub fn with_addresses(mut self, src: Address, dst: Address) -> Self {
        let (from, to) = (Address::v4(self.src), Address::v4(self.dst));
        let delta = Delta::of(from, src).and(Delta::of(to, dst));
        self.checksum = delta.update(self.checksum);
        (self.src, self.dst) = (src.to_v4(), dst.to_v4());
        self
    }

    /// The same from the destination to the source.
    #[must_use]
    #[inline(always)]
    pub const fn turned(mut self) -> Self {
        (self.src, self.dst) = (self.dst, self.src);
        self
    }

    /// Ones-complement sum of the ten 16-bit words.
    #[inline(always)]
    fn sum(&self) -> u16 {
        let [s0, s1, s2, s3] = self.src;
        let [d0, d1, d2, d3] = self.dst;
        checksum::sum([
            u16::from_be_bytes([self.version_ihl, self.tos]),
            u16::from_be_bytes(self.total_len),
            u16::from_be_bytes(self.id),
            u16::from_be_bytes(self.fragment),
            u16::from_be_bytes([self.ttl, self.protocol]),
            u16::from_be_bytes(self.checksum),
            u16::from_be_bytes([s0, s1]),
            u16::from_be_bytes([s2, s3]),
            u16::from_be_bytes([d0, d1]),
            u16::from_be_bytes([d2, d3]),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_header_checksums_to_zero() {
        let header = Ipv4Header::outer(0xB8, 64, 126, [192, 0, 2, 1], [192, 0, 2, 2]);
        assert!(header.checksum_ok());
        assert_eq!((header.version(), header.header_len()), (4, 20));
        assert!(!header.is_fragment());
    }

    #[test]
    fn changing_addresses_keeps_the_checksum_right() {
        for last in 0..=255 {
            let header = Ipv4Header::outer(0, 1, 20, [10, 0, 0, last], [10, 0, last, 2]);
            let (src, dst) = (Address::v4([192, 0, last, 2]), Address::v4([255 - last; 4]));
            let changed = header.with_addresses(src, dst);
            assert!(changed.checksum_ok(), "{last}");
            assert_eq!((changed.src, changed.dst), (src.to_v4(), dst.to_v4()));
        }
    }

    #[test]
    fn changing_tos_keeps_the_checksum_right() {
        for from in 0..=255 {
            let header = Ipv4Header::outer(from, 1, 20, [10, 0, 0, 1], [10, 0, 0, 2]);
            for to in 0..=255 {
                assert!(header.with_tos(to).checksum_ok(), "{from} -> {to}");
                assert!(header.with_ttl(to).turned().checksum_ok(), "ttl {to}");
            }
        }
    }
}
