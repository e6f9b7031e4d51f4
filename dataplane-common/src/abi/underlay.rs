//! `UNDERLAY`: PA index -> how the underlay reaches that PA (an array; entry 0 unused).

use super::pod;
use crate::id::Mac;

/// The provider route and next hop of one PA. One cache line.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The PA, IPv4 as the IPv4-mapped form of RFC 4291.
    pub pa: [u8; 16],
    /// Our PA that packets to it come from, same form.
    pub src: [u8; 16],
    /// Interface towards it; 0 when there is no route.
    pub ifindex: u32,
    /// [`NextHop::RESOLVED`] and its fellows.
    pub state: u16,
    /// MTU of the path to it, layer 3, bytes.
    pub path_mtu: u16,
    /// MAC of the next hop (the PA itself or the router towards it).
    pub dst_mac: Mac,
    /// MAC of our interface.
    pub src_mac: Mac,
    reserved: [u8; 12],
}

const _: () = assert!(size_of::<NextHop>() == 64);

impl NextHop {
    /// No entry.
    pub const EMPTY: u16 = 0;
    /// Usable.
    pub const RESOLVED: u16 = 1;
    /// Routed, but the next hop's MAC is not known.
    pub const NO_NEIGHBOUR: u16 = 2;
    /// The kernel has no route to the PA.
    pub const NO_ROUTE: u16 = 3;

    /// An entry without a route yet, both addresses in 16-byte form.
    pub const fn unrouted(pa: [u8; 16], src: [u8; 16]) -> Self {
        Self {
            pa,
            src,
            ifindex: 0,
            state: Self::NO_ROUTE,
            path_mtu: 0,
            dst_mac: Mac([0; 6]),
            src_mac: Mac([0; 6]),
            reserved: [0; 12],
        }
    }

    /// The PA as IPv4; meaningful when it is one.
    #[inline(always)]
    pub const fn pa_v4(&self) -> [u8; 4] {
        super::pa::to_v4(self.pa)
    }

    /// Our PA as IPv4; meaningful when it is one.
    #[inline(always)]
    pub const fn src_v4(&self) -> [u8; 4] {
        super::pa::to_v4(self.src)
    }
}

pod!(NextHop);
