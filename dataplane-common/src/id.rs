//! Domain numbers as checked types.

use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Virtual subnet identifier: the upper 24 bits of the GRE key (RFC 7637, section 3.2).
///
/// Only values that a tenant may use can be held: 4096..=16777214. RFC 7637
/// section 3.3 reserves 0..=0xFFF and 0xFFFFFF (vendor-specific messages).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vsid(u32);

impl Vsid {
    /// Smallest VSID a tenant may use.
    pub const MIN: u32 = 0x1000;
    /// Largest VSID a tenant may use.
    pub const MAX: u32 = 0x00FF_FFFE;
    /// The reserved VSID of vendor-specific messages between NVEs.
    pub const VENDOR: u32 = 0x00FF_FFFF;

    /// `None` for a reserved value and for more than 24 bits.
    pub const fn new(value: u32) -> Option<Self> {
        if value >= Self::MIN && value <= Self::MAX {
            Some(Self(value))
        } else {
            None
        }
    }

    /// The number, 24 bits, host byte order.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Vsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An Ethernet address, in wire order.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether the group bit is set (multicast, broadcast included).
    #[inline(always)]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether a station may own it: not zero, not a group address.
    pub const fn is_station(self) -> bool {
        !self.is_group() && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

/// An IP address, CA or PA, of either family: 16 bytes in wire order, IPv4 in the IPv4-mapped form
/// of RFC 4291, section 2.5.5.2. That form never stands in a packet ([`crate::forward::parse`]
/// refuses it), so the two families do not meet.
///
/// Kept as words: the programs compare and copy four of them, not sixteen bytes.
#[repr(transparent)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Address([u32; 4]);

const _: () = assert!(size_of::<Address>() == 16);

impl Address {
    /// `::`, which is no IPv4 address.
    pub const UNSPECIFIED: Self = Self([0; 4]);
    const MAPPED: u32 = u32::from_be_bytes([0, 0, 0xFF, 0xFF]).to_be();

    /// Of an IPv4 address in wire order.
    #[inline(always)]
    pub const fn v4(bytes: [u8; 4]) -> Self {
        Self([0, 0, Self::MAPPED, u32::from_ne_bytes(bytes)])
    }

    /// Of 16 bytes in wire order.
    #[inline(always)]
    #[expect(clippy::many_single_char_names, reason = "letters number the bytes")]
    pub const fn v6(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self([
            u32::from_ne_bytes([a, b, c, d]),
            u32::from_ne_bytes([e, f, g, h]),
            u32::from_ne_bytes([i, j, k, l]),
            u32::from_ne_bytes([m, n, o, p]),
        ])
    }

    /// Four times one word: `::` of zero.
    #[inline(always)]
    pub(crate) const fn repeated(word: u32) -> Self {
        Self([word; 4])
    }

    /// Whether it is an IPv4 address.
    #[inline(always)]
    pub const fn is_v4(&self) -> bool {
        let [a, b, c, _] = self.0;
        (a | b) == 0 && c == Self::MAPPED
    }

    /// The last four bytes: an IPv4 address, if it is one.
    #[inline(always)]
    pub const fn to_v4(self) -> [u8; 4] {
        let [.., d] = self.0;
        d.to_ne_bytes()
    }

    /// All bytes in wire order.
    #[inline(always)]
    #[expect(clippy::many_single_char_names, reason = "letters number the bytes")]
    pub const fn to_bytes(self) -> [u8; 16] {
        let [x, y, z, w] = self.0;
        let ([a, b, c, d], [e, f, g, h]) = (x.to_ne_bytes(), y.to_ne_bytes());
        let ([i, j, k, l], [m, n, o, p]) = (z.to_ne_bytes(), w.to_ne_bytes());
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// Its words, each in wire order.
    #[inline(always)]
    pub const fn words(&self) -> [u32; 4] {
        self.0
    }

    /// `::` or 0.0.0.0: nobody's.
    #[inline(always)]
    pub const fn is_unspecified(&self) -> bool {
        let [a, b, c, d] = self.0;
        (a | b | d) == 0 && (c == 0 || c == Self::MAPPED)
    }

    /// In `fe80::/10`, so that it means something in its own subnet only.
    #[inline(always)]
    pub const fn is_link_local(&self) -> bool {
        let [a, ..] = self.0;
        a & u32::from_be(0xFFC0_0000) == u32::from_be(0xFE80_0000)
    }

    /// A multicast group (224.0.0.0/4, `ff00::/8`) or the IPv4 broadcast address.
    #[inline(always)]
    pub const fn is_group(&self) -> bool {
        if self.is_v4() {
            let [first, ..] = self.to_v4();
            first >= 224
        } else {
            let [first, ..] = self.0[0].to_ne_bytes();
            first == 0xFF
        }
    }

    /// The link-local address that follows from a MAC (modified EUI-64, RFC 4291, appendix A).
    #[inline(always)]
    #[expect(clippy::many_single_char_names, reason = "letters number the bytes")]
    pub const fn link_local_of(mac: Mac) -> Self {
        let Mac([a, b, c, d, e, f]) = mac;
        Self([
            u32::from_ne_bytes([0xFE, 0x80, 0, 0]),
            0,
            u32::from_ne_bytes([a ^ 2, b, c, 0xFF]),
            u32::from_ne_bytes([0xFE, d, e, f]),
        ])
    }
}

// SAFETY: an array of integers: no padding, any pattern valid.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Address {}

impl From<[u8; 4]> for Address {
    fn from(bytes: [u8; 4]) -> Self {
        Self::v4(bytes)
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::v4(address.octets()),
            IpAddr::V6(address) => Self::v6(address.octets()),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        if address.is_v4() {
            Self::V4(Ipv4Addr::from(address.to_v4()))
        } else {
            Self::V6(Ipv6Addr::from(address.to_bytes()))
        }
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.to_bytes().cmp(&other.to_bytes())
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        IpAddr::from(*self).fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vsid_takes_the_tenant_range_only() {
        for good in [4096, 6001, 0x00AB_CDEF, 16_777_214] {
            assert_eq!(Vsid::new(good).map(Vsid::get), Some(good));
        }
        for bad in [0, 1, 0xFFF, 0x00FF_FFFF, 0x0100_0000, u32::MAX] {
            assert_eq!(Vsid::new(bad), None);
        }
    }

    #[test]
    fn group_and_zero_macs_are_no_stations() {
        assert!(Mac([2, 0, 0, 0, 0, 1]).is_station());
        assert!(!Mac([0; 6]).is_station());
        assert!(!Mac::BROADCAST.is_station());
        assert!(!Mac([1, 0, 0x5e, 0, 0, 1]).is_station());
    }

    #[test]
    fn addresses_of_both_families_go_both_ways() {
        for text in [
            "10.0.0.5",
            "0.0.0.0",
            "::",
            "fd00:1::5",
            "::1",
            "255.255.255.255",
        ] {
            let ip: IpAddr = text.parse().expect("address");
            let address = Address::from(ip);
            assert_eq!(IpAddr::from(address), ip);
            assert_eq!(address.is_v4(), ip.is_ipv4());
            assert_eq!(address.is_unspecified(), ip.is_unspecified());
            assert_eq!(Address::v6(address.to_bytes()), address);
        }
        let kinds = |text: &str| {
            let address = Address::from(text.parse::<IpAddr>().expect("address"));
            (address.is_group(), address.is_link_local())
        };
        assert_eq!(kinds("ff02::1"), (true, false));
        assert_eq!(kinds("239.1.1.1"), (true, false));
        assert_eq!(kinds("255.255.255.255"), (true, false));
        assert_eq!(kinds("223.255.255.255"), (false, false));
        assert_eq!(kinds("febf::1"), (false, true));
        assert_eq!(kinds("fec0::1"), (false, false));
    }

    #[test]
    fn the_link_local_address_follows_from_the_mac() {
        let address = Address::link_local_of(Mac([0x02, 0, 0, 0x0b, 0, 5]));
        assert_eq!(
            address,
            Address::from("fe80::ff:fe0b:5".parse::<IpAddr>().expect("address"))
        );
    }
}
