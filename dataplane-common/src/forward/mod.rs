//! The decision: header values and tables in, verdict or drop reason out.
//!
//! [`parse`] copies headers out of a [`parse::Frame`]; [`egress()`] decides what
//! a vport may send and where it goes; [`ingress`] what may leave a tunnel and
//! which port gets it. Reads of [`Tables`] are the only input besides the values.

mod anti_spoof;
pub mod broadcast;
pub mod ecn;
pub mod egress;
pub mod flow;
pub mod halt;
pub mod ingress;
pub mod neighbour;
pub mod outer;
pub mod parse;
pub mod plain;
pub mod rewrite;
pub mod tables;
pub mod way;

pub use broadcast::Replicate;
pub use egress::{Egress, Encap, egress};
pub use halt::Halt;
pub use rewrite::Rewrite;
pub use tables::{Answer, Tables};

use crate::{
    abi::vport::Vport,
    id::Mac,
    reason::DropReason,
    wire::{ether::EthHeader, ipv4},
};
use parse::{Headers, Kind};

/// A frame for a port of this host. Values only: a pointer that shares its place with the values of
/// another verdict is one that the kernel's verifier refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deliver {
    /// The port's device.
    pub ifindex: u32,
    /// The port's slot.
    pub slot: u32,
    /// Whether the port is [`Vport::PEER`].
    pub peer: bool,
    /// What changes in the frame.
    pub edit: Edit,
}

/// What changes in a tenant's frame on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The Ethernet header. Its destination is the record's, whatever the sender believed (HNV of
    /// 2012 R2 forwards by CA); its source the gateway's if that routed the packet.
    pub eth: EthHeader,
    /// TTL or hop limit.
    pub ttl: u8,
    /// TOS or traffic class.
    pub tos: u8,
    /// Largest segment that a TCP packet may announce; 0: any.
    pub mss: u16,
}

impl Edit {
    /// Nothing changes but the Ethernet addresses.
    #[inline(always)]
    pub const fn to(headers: &Headers, dst: Mac, src: Mac) -> Self {
        Self {
            eth: EthHeader::new(dst, src, headers.eth.ethertype()),
            ttl: headers.ttl,
            tos: headers.tos,
            mss: 0,
        }
    }
}

/// The largest layer-3 packet of the frame fits the destination port.
#[inline(always)]
pub fn fits_port(port: &Vport, segment: u32) -> Result<(), DropReason> {
    if segment > u32::from(port.mtu) {
        return Err(DropReason::PortMtu);
    }
    Ok(())
}

/// The largest segment that the port allows a TCP packet to announce; 0: any.
#[inline(always)]
pub(crate) fn mss_of(port: &Vport, headers: &Headers) -> u16 {
    let [v4, v6] = port.mss;
    if headers.protocol != ipv4::TCP || headers.fragment {
        return 0;
    }
    match headers.kind {
        Kind::Ipv4 => v4,
        Kind::Ipv6 => v6,
        Kind::ArpRequest
        | Kind::ArpReply
        | Kind::Solicitation
        | Kind::Advertisement
        | Kind::NonIp => 0,
    }
}

/// The stricter of two limits, 0 meaning none.
#[inline(always)]
pub(crate) const fn stricter(a: u16, b: u16) -> u16 {
    if a == 0 || (b != 0 && b < a) { b } else { a }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod testing;
