//! `LOOKUP`: (RDID, CA) -> lookup record. One table serves switching and routing.

use super::pod;
use crate::id::Mac;

/// Key of `LOOKUP`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupKey {
    /// Index of the routing domain on this host.
    pub rdid: u32,
    /// The CA.
    pub ca: [u8; 4],
}

const _: () = assert!(size_of::<LookupKey>() == 8);

/// Where a CA is (HNV's lookup record).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupRecord {
    /// VSID of the CA's subnet, 24 bits.
    pub vsid: u32,
    /// Index of its PA in `UNDERLAY`; meaningless for a gateway.
    pub pa_index: u32,
    /// The local port's ifindex; 0 when the CA is remote or its port is not attached.
    pub ifindex: u32,
    /// The VM's MAC.
    pub mac: Mac,
    /// [`LookupRecord::LOCAL`] and its fellows.
    pub flags: u16,
}

const _: () = assert!(size_of::<LookupRecord>() == 20);

impl LookupRecord {
    /// The CA's PA is one of this host's.
    pub const LOCAL: u16 = 1;
    /// The CA is the subnet's gateway; every host answers for it.
    pub const GATEWAY: u16 = 2;
    /// Nobody has the CA, says the store: packets to it are dropped and not asked about again
    /// for as long as this stands.
    pub const NEGATIVE: u16 = 4;
    /// The table has it only while it is in use (`tableMode: onDemand`): hits are noted.
    pub const ON_DEMAND: u16 = 8;

    /// A record that says that there is none.
    pub const fn negative(vsid: u32) -> Self {
        Self {
            vsid,
            pa_index: 0,
            ifindex: 0,
            mac: Mac([0; 6]),
            flags: Self::NEGATIVE,
        }
    }

    /// Whether a flag is set.
    #[inline(always)]
    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Value of `LOOKUP`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupEntry {
    /// The record.
    pub record: LookupRecord,
    /// When an [`LookupRecord::ON_DEMAND`] record was last looked up, in the unit of
    /// [`LookupEntry::SECOND_SHIFT`]. Programs write it, at most once in that time.
    pub stamp: u32,
}

const _: () = assert!(size_of::<LookupEntry>() == 24);

impl LookupEntry {
    /// Stamps are nanoseconds of `CLOCK_MONOTONIC_COARSE`, shifted right by this: 1.07 s each.
    pub const SECOND_SHIFT: u32 = 30;
}

/// A record that nobody has looked up yet.
impl From<LookupRecord> for LookupEntry {
    fn from(record: LookupRecord) -> Self {
        Self { record, stamp: 0 }
    }
}

pod!(LookupKey, LookupRecord, LookupEntry);
