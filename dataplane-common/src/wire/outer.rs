//! The 42 bytes that encapsulation puts in front of a tenant's frame.

use super::{Wire, ether, ether::EthHeader, gre, gre::GreHeader, ipv4, ipv4::Ipv4Header};

/// Bytes of the outer headers over an IPv4 underlay.
pub const LEN: usize = ether::LEN + ipv4::LEN + gre::LEN;
/// Bytes by which the tenant's MTU is smaller than an IPv4 path's: IPv4, GRE and
/// the inner Ethernet header.
pub const MTU_COST: u16 = (ipv4::LEN + gre::LEN + ether::LEN) as u16;

/// Ethernet, IPv4 and NVGRE headers, as they stand in front of the inner frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OuterHeaders {
    /// Towards the next hop.
    pub eth: EthHeader,
    /// From PA to PA.
    pub ip: Ipv4Header,
    /// VSID and FlowID.
    pub gre: GreHeader,
}

const _: () = assert!(size_of::<OuterHeaders>() == LEN && LEN == 42);
// SAFETY: `repr(C)` of `Wire` types, so alignment one, no padding, any pattern valid.
unsafe impl Wire for OuterHeaders {}
