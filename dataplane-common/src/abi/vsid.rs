//! `VSIDS`: VSID -> virtual subnet, for the VSIDs of routing domains with a local port.

use super::pod;

/// What decapsulation needs to know of a VSID.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualSubnet {
    /// Index of the routing domain on this host.
    pub rdid: u32,
    /// [`VirtualSubnet::ON_DEMAND`].
    pub flags: u32,
}

const _: () = assert!(size_of::<VirtualSubnet>() == 8);

impl VirtualSubnet {
    /// The VM network has `tableMode: onDemand`: a source CA without a record is asked about.
    pub const ON_DEMAND: u32 = 1;
}

pod!(VirtualSubnet);
