//! The parts of ICMP (RFC 792), `ICMPv6` (RFC 4443) and neighbour discovery (RFC 4861) that programs
//! read and write.

use super::{
    Wire,
    checksum::{self, of_address},
    ipv6,
};
use crate::id::{Address, Mac};

/// Protocol number of ICMP over IPv4.
pub const V4: u8 = 1;

/// Types of messages that quote the packet that they are about (RFC 792).
pub const ERRORS_V4: [u8; 4] = [3, 5, 11, 12];
/// `ICMPv6` types below this quote the packet that they are about (RFC 4443, section 2.1).
pub const INFORMATIONAL_V6: u8 = 128;
/// Bytes in front of the packet that an error quotes.
pub const ERROR_LEN: usize = 8;

/// Type: echo request, IPv4.
pub const ECHO_V4: u8 = 8;
/// Type: echo request, IPv6.
pub const ECHO_V6: u8 = 128;
/// Type: router solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// Type: neighbour solicitation.
pub const SOLICITATION: u8 = 135;
/// Type: neighbour advertisement.
pub const ADVERTISEMENT: u8 = 136;

/// Bytes of a neighbour message without options.
pub const NEIGHBOUR_LEN: usize = 24;
/// Bytes of a link-layer address option.
pub const OPTION_LEN: usize = 8;

/// All stations of a link (RFC 4291, section 2.7.1).
pub const ALL_NODES: Address = Address::v6([0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
/// The MAC of that group (RFC 2464, section 7).
pub const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

/// The first four bytes of every message.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpHeader {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    checksum: [u8; 2],
}

const _: () = assert!(size_of::<IcmpHeader>() == 4);
// SAFETY: `repr(C)` of bytes and byte arrays: alignment one, no padding, any pattern valid.
unsafe impl Wire for IcmpHeader {}

impl IcmpHeader {
    /// The same message of another type, its checksum updated (RFC 1624).
    #[must_use]
    #[inline(always)]
    pub fn with_kind(mut self, kind: u8) -> Self {
        let word = |kind| u16::from_be_bytes([kind, self.code]);
        let sum = u16::from_be_bytes(self.checksum);
        self.checksum = checksum::update(sum, word(self.kind), word(kind)).to_be_bytes();
        self.kind = kind;
        self
    }
}

/// A neighbour solicitation or advertisement, without options.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourMessage {
    /// Type, code and checksum.
    pub icmp: IcmpHeader,
    flags: [u8; 4],
    target: [u8; 16],
}

const _: () = assert!(size_of::<NeighbourMessage>() == NEIGHBOUR_LEN);
// SAFETY: as above.
unsafe impl Wire for NeighbourMessage {}

impl NeighbourMessage {
    /// The address that is asked about or told of.
    #[inline(always)]
    pub const fn target(&self) -> Address {
        Address::v6(self.target)
    }
}

/// A link-layer address option of Ethernet.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkLayerOption {
    kind: u8,
    units: u8,
    /// The MAC.
    pub mac: Mac,
}

const _: () = assert!(size_of::<LinkLayerOption>() == OPTION_LEN);
// SAFETY: as above.
unsafe impl Wire for LinkLayerOption {}

impl LinkLayerOption {
    /// Bytes of the option, whatever it is.
    #[inline(always)]
    pub const fn size(&self) -> u32 {
        (self.units as u32) << 3
    }

    /// Whether it is a source or target link-layer address of six bytes.
    #[inline(always)]
    pub const fn is_valid(&self) -> bool {
        (self.kind == SOURCE_LINK_LAYER || self.kind == TARGET_LINK_LAYER) && self.units == 1
    }
}

/// An advertisement with its option.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    message: NeighbourMessage,
    option: LinkLayerOption,
}

/// Bytes of an advertisement with its option.
pub const ADVERTISEMENT_LEN: usize = NEIGHBOUR_LEN + OPTION_LEN;
const _: () = assert!(size_of::<Advertisement>() == ADVERTISEMENT_LEN);
// SAFETY: as above.
unsafe impl Wire for Advertisement {}

impl Advertisement {
    const ROUTER: u8 = 0x80;
    const SOLICITED: u8 = 0x40;
    const OVERRIDE: u8 = 0x20;

    /// "`mac` has `target`", told to `asker` by `target` itself, because it asked; checksum filled in.
    #[inline(always)]
    pub fn solicited(target: Address, mac: Mac, router: bool, asker: Address) -> Self {
        let flags = Self::SOLICITED | Self::OVERRIDE | if router { Self::ROUTER } else { 0 };
        Self::new(target, mac, flags, asker)
    }

    /// "`mac` has `target`", told to all ([`ALL_NODES`]), because somebody without an address asked (RFC
    /// 4861, section 7.2.4); checksum filled in.
    #[inline(always)]
    pub fn to_all(target: Address, mac: Mac) -> Self {
        Self::new(target, mac, Self::OVERRIDE, ALL_NODES)
    }

    #[inline(always)]
    fn new(target: Address, mac: Mac, flags: u8, asker: Address) -> Self {
        let sum = checksum::sum_of_words([
            of_address(&target),
            of_address(&target),
            of_address(&asker),
            ADVERTISEMENT_LEN as u32,
            u32::from(ipv6::ICMP),
            u16::from_be_bytes([ADVERTISEMENT, 0]).into(),
            u16::from_be_bytes([flags, 0]).into(),
            u16::from_be_bytes([TARGET_LINK_LAYER, 1]).into(),
            of_mac(mac),
        ]);
        Self {
            message: NeighbourMessage {
                icmp: IcmpHeader {
                    kind: ADVERTISEMENT,
                    code: 0,
                    checksum: (!sum).to_be_bytes(),
                },
                flags: [flags, 0, 0, 0],
                target: target.to_bytes(),
            },
            option: LinkLayerOption {
                kind: TARGET_LINK_LAYER,
                units: 1,
                mac,
            },
        }
    }
}

#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "letters number the bytes")]
fn of_mac(mac: Mac) -> u32 {
    let Mac([a, b, c, d, e, f]) = mac;
    let word = |high, low| u32::from(u16::from_be_bytes([high, low]));
    word(a, b).wrapping_add(word(c, d)).wrapping_add(word(e, f))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::forward::testing::bytes_of;

    #[test]
    fn an_echo_becomes_its_answer() {
        let request = IcmpHeader {
            kind: ECHO_V4,
            code: 0,
            checksum: (!checksum::sum([0x0800, 0x1234, 0x0001])).to_be_bytes(),
        };
        let reply = request.with_kind(0);
        let sum = u16::from_be_bytes(reply.checksum);
        assert_eq!(checksum::sum([0, sum, 0x1234, 0x0001]), 0xFFFF);
    }

    /// The internet checksum of bytes, as RFC 1071 has it: of the pseudo-header and the message.
    fn over_bytes(bytes: &[u8]) -> u16 {
        let mut sum: u64 = bytes
            .chunks(2)
            .map(|pair| u64::from(pair[0]) * 256 + pair.get(1).map_or(0, |low| u64::from(*low)))
            .sum();
        while sum > 0xFFFF {
            sum = (sum >> 16) + (sum & 0xFFFF);
        }
        sum as u16
    }

    proptest! {
        #[test]
        fn an_advertisements_checksum_is_right(
            target: [u8; 16],
            asker: [u8; 16],
            mac: [u8; 6],
            router: bool,
        ) {
            let (of, to) = (Address::v6(target), Address::v6(asker));
            let told = Advertisement::solicited(of, Mac(mac), router, to);
            let message = bytes_of(&told);
            let pseudo = [&target[..], &asker, &[0, 0, 0, 32, 0, 0, 0, 58], &message].concat();
            prop_assert_eq!(over_bytes(&pseudo), 0xFFFF);
            let all = bytes_of(&Advertisement::to_all(of, Mac(mac)));
            let group = ALL_NODES.to_bytes();
            let pseudo = [&target[..], &group, &[0, 0, 0, 32, 0, 0, 0, 58], &all].concat();
            prop_assert_eq!((over_bytes(&pseudo), all[4]), (0xFFFF, 0x20));
            let flags = if router { 0xE0 } else { 0x60 };
            prop_assert_eq!(&message[..2], &[136, 0]);
            prop_assert_eq!(&message[4..8], &[flags, 0, 0, 0]);
            prop_assert_eq!(&message[8..24], &target);
            prop_assert_eq!(&message[24..26], &[2, 1]);
            prop_assert_eq!(&message[26..], &mac);
        }
    }

    #[test]
    fn options_of_six_bytes_are_link_layer_addresses() {
        let option = |kind, units| LinkLayerOption {
            kind,
            units,
            mac: Mac([2; 6]),
        };
        for (kind, units, valid) in [(1, 1, true), (2, 1, true), (3, 1, false), (1, 2, false)] {
            assert_eq!(option(kind, units).is_valid(), valid);
            assert_eq!(option(kind, units).size(), u32::from(units) * 8);
        }
    }
}
