//! `VPORTS`: ifindex -> vport, and `LOCAL_PORTS`: (VSID, MAC) -> ifindex.

use super::pod;
use crate::id::Mac;

/// A tenant's attachment on this host.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vport {
    /// Index in the counter arrays, 1..[`super::stats::SLOTS`]; 0 is "no port".
    pub slot: u32,
    /// Index of the routing domain on this host.
    pub rdid: u32,
    /// The VSID, 24 bits.
    pub vsid: u32,
    /// Largest layer-3 packet the port takes, bytes.
    pub mtu: u16,
    /// [`Vport::DROP_TAGGED`] and its fellows.
    pub flags: u16,
    /// The port's MAC.
    pub mac: Mac,
    /// The gateway's MAC in this routing domain.
    pub gateway_mac: Mac,
    /// The first of the port's IPv4 CAs; all of them stand in `PORT_CAS`.
    pub ca: [u8; 4],
}

const _: () = assert!(size_of::<Vport>() == 32);

impl Vport {
    /// The subnet has `innerVlan: drop`: a tagged frame is dropped, not stripped.
    pub const DROP_TAGGED: u16 = 1;
    /// The device is one end of a veth pair whose other end is in another network
    /// namespace, so `bpf_redirect_peer` may be used.
    pub const PEER: u16 = 2;
    /// The VM network has `tableMode: onDemand`: a CA without a record is asked about.
    pub const ON_DEMAND: u16 = 4;

    /// Whether a flag is set.
    #[inline(always)]
    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Key of `LOCAL_PORTS`: who has this MAC in this virtual subnet, on this host.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalPortKey {
    vsid: u32,
    mac: Mac,
    zero: [u8; 2],
}

const _: () = assert!(size_of::<LocalPortKey>() == 12);

impl LocalPortKey {
    /// Key of a MAC in a virtual subnet (24 bits).
    #[inline(always)]
    pub const fn new(vsid: u32, mac: Mac) -> Self {
        Self {
            vsid,
            mac,
            zero: [0; 2],
        }
    }

    /// The VSID.
    pub const fn vsid(&self) -> u32 {
        self.vsid
    }

    /// The MAC.
    pub const fn mac(&self) -> Mac {
        self.mac
    }
}

pod!(Vport, LocalPortKey);
