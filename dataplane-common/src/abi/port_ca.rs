//! `PORT_CAS`: the CAs that a port may use.

use super::pod;

/// Key of `PORT_CAS`; presence is the permission, the value (a `u32`) is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortCaKey {
    /// The port's slot.
    pub slot: u32,
    /// The CA.
    pub ca: [u8; 4],
}

const _: () = assert!(size_of::<PortCaKey>() == 8);

pod!(PortCaKey);
