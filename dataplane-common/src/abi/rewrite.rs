//! `REWRITES`: PA -> the lookup record that it stands for (rule `TranslationMethodNat`).
//!
//! Where a packet's addresses are rewritten, nothing else says whose it is: the destination PA tells
//! the routing domain, the CA and the port, the source PA tells the source CA. The table has all such
//! records of the routing domains in use on the host, whatever their table mode.

use super::pod;
use crate::id::{Address, Mac};

/// Whose a PA is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewriteEntry {
    /// Index of the routing domain on this host.
    pub rdid: u32,
    /// VSID of the CA's subnet, 24 bits.
    pub vsid: u32,
    /// The local port's ifindex; 0 when the CA is remote or its port is not attached.
    pub ifindex: u32,
    /// Index of the PA in `UNDERLAY`: of a local one, the interface that it is reached by.
    pub pa_index: u32,
    /// The CA, of the PA's family.
    pub ca: Address,
    /// The VM's MAC.
    pub mac: Mac,
    /// [`RewriteEntry::LOCAL`] and its fellow.
    pub flags: u16,
}

const _: () = assert!(size_of::<RewriteEntry>() == 40);

impl RewriteEntry {
    /// The CA is a port's of this host.
    pub const LOCAL: u16 = 1;
    /// On the wire the PA has the VM's MAC (`useVmMACAddress`), not the host's.
    pub const VM_MAC: u16 = 2;

    /// Whether a flag is set.
    #[inline(always)]
    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

pod!(RewriteEntry);
