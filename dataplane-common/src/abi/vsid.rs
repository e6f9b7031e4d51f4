//! `VSIDS`: VSID -> virtual subnet, for the VSIDs of routing domains with a local port.

use super::pod;

/// What decapsulation needs to know of a VSID.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualSubnet {
    /// Index of the routing domain on this host.
    pub rdid: u32,
    /// [`VirtualSubnet::ON_DEMAND`] and its fellows.
    pub flags: u32,
    /// Scope of its routes: see [`super::route`].
    pub routes: u32,
}

const _: () = assert!(size_of::<VirtualSubnet>() == 12);

impl VirtualSubnet {
    /// The VM network has `tableMode: onDemand`: a source CA without a record is asked about.
    pub const ON_DEMAND: u32 = 1;
    /// Frames of any EtherType are switched by MAC (`allowNonIP`).
    pub const NON_IP: u32 = 2;
    /// Broadcast and multicast reach the subnet's ports (`broadcast`).
    pub const BROADCAST: u32 = 4;
}

pod!(VirtualSubnet);
