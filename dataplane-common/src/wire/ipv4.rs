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
    /// Version and header length, TOS, length of the packet.
    first: [u8; 4],
    /// Identification, flags and fragment offset.
    second: [u8; 4],
    /// TTL, protocol, checksum.
    third: [u8; 4],
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
        let first = 0x45_u32 << 24 | u32::from(tos) << 16 | u32::from(total_len);
        let mut header = Self {
            first: first.to_be_bytes(),
            second: u32::from(DONT_FRAGMENT).to_be_bytes(),
            third: [ttl, GRE, 0, 0],
            src,
            dst,
        };
        header.set_checksum((!header.sum()).to_ne_bytes());
        header
    }

    #[inline(always)]
    const fn words(&self) -> [u32; 3] {
        [
            u32::from_be_bytes(self.first),
            u32::from_be_bytes(self.second),
            u32::from_be_bytes(self.third),
        ]
    }

    #[inline(always)]
    const fn checksum(&self) -> [u8; 2] {
        let [.., a, b] = self.third;
        [a, b]
    }

    #[inline(always)]
    const fn set_checksum(&mut self, [a, b]: [u8; 2]) {
        let [ttl, protocol, ..] = self.third;
        self.third = [ttl, protocol, a, b];
    }

    /// IP version, 4 when the header is what it claims.
    #[inline(always)]
    pub const fn version(&self) -> u8 {
        (self.words()[0] >> 28) as u8
    }

    /// Header length in bytes, options included; 0..=60, valid from 20.
    #[inline(always)]
    pub const fn header_len(&self) -> u16 {
        ((self.words()[0] >> 24 & 0xF) as u16) << 2
    }

    /// Length of the packet in bytes, header included.
    #[inline(always)]
    pub const fn total_len(&self) -> u16 {
        self.words()[0] as u16
    }

    /// Type of service: DSCP in the upper six bits, ECN in the lower two.
    #[inline(always)]
    pub const fn tos(&self) -> u8 {
        (self.words()[0] >> 16) as u8
    }

    /// Payload protocol.
    #[inline(always)]
    pub const fn protocol(&self) -> u8 {
        (self.words()[2] >> 16) as u8
    }

    /// Time to live.
    #[inline(always)]
    pub const fn ttl(&self) -> u8 {
        (self.words()[2] >> 24) as u8
    }

    /// Whether the packet is a fragment: MF set or an offset.
    #[inline(always)]
    pub const fn is_fragment(&self) -> bool {
        self.words()[1] & (MORE_FRAGMENTS | OFFSET_MASK) as u32 != 0
    }

    /// Whether the packet is a fragment that does not begin the datagram.
    #[inline(always)]
    pub const fn is_later_fragment(&self) -> bool {
        self.words()[1] & OFFSET_MASK as u32 != 0
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
        let [version, old, high, low] = self.first;
        let word = |tos| u16::from_be_bytes([version, tos]);
        let sum = u16::from_be_bytes(self.checksum());
        self.set_checksum(checksum::update(sum, word(old), word(tos)).to_be_bytes());
        self.first = [version, tos, high, low];
        self
    }

    /// The same header with another TTL and the checksum updated (RFC 1624).
    #[must_use]
    #[inline(always)]
    pub fn with_ttl(mut self, ttl: u8) -> Self {
        let [old, protocol, a, b] = self.third;
        let word = |ttl| u16::from_be_bytes([ttl, protocol]);
        let sum = u16::from_be_bytes([a, b]);
        let [a, b] = checksum::update(sum, word(old), word(ttl)).to_be_bytes();
        self.third = [ttl, protocol, a, b];
        self
    }

    /// The same with other addresses and the checksum updated (RFC 1624).
    #[must_use]
    #[inline(always)]
    pub fn with_addresses(mut self, src: Address, dst: Address) -> Self {
        let (from, to) = (Address::v4(self.src), Address::v4(self.dst));
        let delta = Delta::of(from, src).and(Delta::of(to, dst));
        self.set_checksum(delta.update(self.checksum()));
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

    /// Ones-complement sum of the ten 16-bit words, as the machine orders bytes: the sum has the order of
    /// what is summed (RFC 1071, section 2).
    #[inline(always)]
    fn sum(&self) -> u16 {
        checksum::sum_as_stored([self.first, self.second, self.third, self.src, self.dst])
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
