//! `PORT_CAS`: the CAs that a port may use.

use super::pod;
use crate::id::Address;

/// Key of `PORT_CAS`; presence is the permission, the value (a `u32`) is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortCaKey {
    /// The port's slot.
    pub slot: u32,
    /// The CA.
    pub ca: Address,
}

const _: () = assert!(size_of::<PortCaKey>() == 20);

pod!(PortCaKey);
