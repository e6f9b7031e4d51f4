//! The decision: header values and tables in, verdict or drop reason out.
//!
//! [`parse`] copies headers out of a [`parse::Frame`]; [`egress()`] decides what
//! a vport may send and where it goes; [`ingress`] what may leave a tunnel and
//! which port gets it. Reads of [`Tables`] are the only input besides the values.

pub mod arp;
pub mod ecn;
pub mod egress;
pub mod flow;
pub mod halt;
pub mod ingress;
pub mod parse;
pub mod tables;

pub use egress::{Egress, Encap, egress};
pub use halt::Halt;
pub use tables::Tables;

use crate::{abi::vport::Vport, id::Mac, reason::DropReason};

/// A frame for a port of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deliver<'t> {
    /// The port's device.
    pub ifindex: u32,
    /// The port.
    pub port: &'t Vport,
    /// MAC to write as destination: the record's, whatever the sender believed
    /// (HNV of 2012 R2 forwards by CA).
    pub dst_mac: Mac,
}

/// The largest layer-3 packet of the frame fits the destination port.
#[inline(always)]
pub fn fits_port(port: &Vport, segment: u32) -> Result<(), DropReason> {
    if segment > u32::from(port.mtu) {
        return Err(DropReason::PortMtu);
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod testing;
