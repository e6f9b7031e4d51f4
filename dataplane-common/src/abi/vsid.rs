//! `VSIDS`: VSID -> virtual subnet, for the VSIDs of routing domains with a local port.

use super::pod;

/// What decapsulation needs to know of a VSID.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualSubnet {
    /// Index of the routing domain on this host.
    pub rdid: u32,
    /// None defined yet; 0.
    pub flags: u32,
}

const _: () = assert!(size_of::<VirtualSubnet>() == 8);

pod!(VirtualSubnet);
