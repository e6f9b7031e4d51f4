//! Domain numbers as checked types.

use core::fmt;

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
}
