//! `UNDERLAY`: PA index -> how the underlay reaches that PA (an array; entry 0 unused).

use super::pod;
use crate::id::{Address, Mac};

/// The provider route and next hop of one PA. One cache line.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The PA; or the multicast group of several.
    pub pa: Address,
    /// Our PA of the same family that packets to it come from.
    pub src: Address,
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
    /// An address of this host itself, although policy has it as a CA's own.
    pub const HOSTS: u16 = 4;

    /// An entry without a route yet.
    pub const fn unrouted(pa: Address, src: Address) -> Self {
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
}

pod!(NextHop);
