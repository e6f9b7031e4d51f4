//! IPv6 headers (RFC 8200).

use core::ops::Deref;

use super::Wire;
use crate::id::Address;

/// Bytes of the fixed header.
pub const LEN: usize = 40;
/// Next header: hop-by-hop options.
pub const HOP_BY_HOP: u8 = 0;
/// Next header: routing.
pub const ROUTING: u8 = 43;
/// Next header: fragment.
pub const FRAGMENT: u8 = 44;
/// Next header: authentication (RFC 4302).
pub const AUTHENTICATION: u8 = 51;
/// Next header: destination options.
pub const DESTINATION: u8 = 60;
/// Next header: `ICMPv6`.
pub const ICMP: u8 = 58;

/// Offset of the source address.
pub const SRC: usize = 8;
/// Offset of the destination address.
pub const DST: usize = 24;

/// The fixed header up to the addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Start {
    version_class_flow: [u8; 4],
    payload_len: [u8; 2],
    next_header: u8,
    hop_limit: u8,
}

const _: () = assert!(size_of::<Ipv6Start>() == SRC);
// SAFETY: `repr(C)` of bytes and byte arrays: alignment one, no padding, any pattern valid.
unsafe impl Wire for Ipv6Start {}

/// The fixed header.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Header {
    start: Ipv6Start,
    src: [u8; 16],
    dst: [u8; 16],
}

const _: () = assert!(size_of::<Ipv6Header>() == LEN);
// SAFETY: `repr(C)` of bytes and byte arrays: alignment one, no padding, any pattern valid.
unsafe impl Wire for Ipv6Header {}

impl Ipv6Start {
    /// IP version, 6 when the header is what it claims.
    #[inline(always)]
    pub const fn version(&self) -> u8 {
        self.version_class_flow[0] >> 4
    }

    /// Traffic class: DSCP in the upper six bits, ECN in the lower two.
    #[inline(always)]
    pub const fn tos(&self) -> u8 {
        (u32::from_be_bytes(self.version_class_flow) >> 20) as u8
    }

    /// Bytes behind this header.
    #[inline(always)]
    pub const fn payload_len(&self) -> u16 {
        u16::from_be_bytes(self.payload_len)
    }

    /// What follows.
    #[inline(always)]
    pub const fn next_header(&self) -> u8 {
        self.next_header
    }

    /// Hop limit.
    #[inline(always)]
    pub const fn hop_limit(&self) -> u8 {
        self.hop_limit
    }
}

/// Whoever has the whole header has its beginning.
impl Deref for Ipv6Header {
    type Target = Ipv6Start;
    #[inline(always)]
    fn deref(&self) -> &Ipv6Start {
        &self.start
    }
}

impl Ipv6Header {
    /// A header. `tos`: traffic class; `flow`: flow label, 20 bits; `payload_len` in bytes, without
    /// this header.
    #[inline(always)]
    pub const fn new(
        (tos, flow): (u8, u32),
        (next_header, hop_limit): (u8, u8),
        payload_len: u16,
        src: Address,
        dst: Address,
    ) -> Self {
        let word = (6 << 28) | ((tos as u32) << 20) | (flow & 0xF_FFFF);
        Self {
            start: Ipv6Start {
                version_class_flow: word.to_be_bytes(),
                payload_len: payload_len.to_be_bytes(),
                next_header,
                hop_limit,
            },
            src: src.to_bytes(),
            dst: dst.to_bytes(),
        }
    }

    /// Source address.
    #[inline(always)]
    pub const fn src(&self) -> Address {
        Address::v6(self.src)
    }

    /// Destination address.
    #[inline(always)]
    pub const fn dst(&self) -> Address {
        Address::v6(self.dst)
    }

    /// The same with another traffic class.
    #[must_use]
    #[inline(always)]
    pub const fn with_tos(mut self, tos: u8) -> Self {
        let word = u32::from_be_bytes(self.start.version_class_flow);
        self.start.version_class_flow =
            ((word & !(0xFF << 20)) | ((tos as u32) << 20)).to_be_bytes();
        self
    }

    /// The same with another hop limit.
    #[must_use]
    #[inline(always)]
    pub const fn with_hop_limit(mut self, hop_limit: u8) -> Self {
        self.start.hop_limit = hop_limit;
        self
    }

    /// The same from the destination to the source.
    #[must_use]
    #[inline(always)]
    pub const fn turned(mut self) -> Self {
        (self.src, self.dst) = (self.dst, self.src);
        self
    }
}

/// Both addresses, as they stand in the header from [`SRC`] on.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Source.
    pub src: [u8; 16],
    /// Destination.
    pub dst: [u8; 16],
}

const _: () = assert!(size_of::<Addresses>() == LEN - SRC);
// SAFETY: as above.
unsafe impl Wire for Addresses {}

/// The first eight bytes of an extension header, with the names of the fragment header (RFC 8200,
/// section 4.5).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentHeader {
    /// What follows.
    pub next_header: u8,
    units: u8,
    offset: [u8; 2],
    id: [u8; 4],
}

const _: () = assert!(size_of::<FragmentHeader>() == 8);
// SAFETY: as above.
unsafe impl Wire for FragmentHeader {}

impl FragmentHeader {
    /// Length of any other extension header, in units that depend on its kind.
    #[inline(always)]
    pub const fn units(&self) -> u8 {
        self.units
    }

    /// Of a fragment header: whether the packet does not begin the datagram.
    #[inline(always)]
    pub const fn is_later(&self) -> bool {
        u16::from_be_bytes(self.offset) & 0xFFF8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_rfc_8200_has_them() {
        let (a, b) = (Address::v6([1; 16]), Address::v6([2; 16]));
        let header = Ipv6Header::new((0xB9, 0x12345), (47, 64), 108, a, b);
        assert_eq!(header.start.version_class_flow, [0x6B, 0x91, 0x23, 0x45]);
        assert_eq!(
            (header.version(), header.tos(), header.payload_len()),
            (6, 0xB9, 108)
        );
        assert_eq!(
            header.with_tos(0).start.version_class_flow,
            [0x60, 1, 0x23, 0x45]
        );
        assert_eq!((header.turned().src(), header.turned().dst()), (b, a));
    }

    #[test]
    fn one_field_changes_at_a_time() {
        let (a, b) = (Address::v6([1; 16]), Address::v6([2; 16]));
        let header = Ipv6Header::new((0, 0xF_FFFF), (58, 255), 0xABCD, a, b);
        assert_eq!((header.next_header(), header.hop_limit()), (58, 255));
        let changed = header.with_hop_limit(7).with_tos(0xFF);
        assert_eq!(changed.version_class_flow, [0x6F, 0xFF, 0xFF, 0xFF]);
        assert_eq!(
            (changed.version(), changed.tos(), changed.hop_limit()),
            (6, 0xFF, 7)
        );
        assert_eq!((changed.next_header(), changed.payload_len()), (58, 0xABCD));
        assert_eq!((changed.src(), changed.dst()), (a, b));
        // A flow label of more than 20 bits is none of the class's.
        let header = Ipv6Header::new((0, u32::MAX), (58, 255), 0, a, b);
        assert_eq!((header.version(), header.tos()), (6, 0));
    }

    #[test]
    fn only_an_offset_makes_a_later_fragment() {
        let header = |offset: u16| FragmentHeader {
            next_header: 6,
            units: 3,
            offset: offset.to_be_bytes(),
            id: [0; 4],
        };
        for (offset, later) in [
            (0, false),
            (1, false),
            (7, false),
            (8, true),
            (0xFFF8, true),
        ] {
            assert_eq!(header(offset).is_later(), later, "{offset}");
        }
        assert_eq!(header(0).units(), 3);
    }
}
