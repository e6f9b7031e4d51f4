//! `LOOKUP` and `LOOKUP6`: (RDID, CA) -> lookup record. One table serves switching and routing.

use super::pod;
use crate::id::{Address, Mac};

/// A CA in a routing domain; the key of `LOOKUP6`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupKey {
    /// Index of the routing domain on this host.
    pub rdid: u32,
    /// The CA.
    pub ca: Address,
}

const _: () = assert!(size_of::<LookupKey>() == 20);

/// The key of `LOOKUP`: IPv4 has a table of its own, with the shorter key that it can do with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupKey4 {
    /// Index of the routing domain on this host.
    pub rdid: u32,
    /// The CA.
    pub ca: [u8; 4],
}

const _: () = assert!(size_of::<LookupKey4>() == 8);

impl LookupKey {
    /// The key in `LOOKUP`; `None` for an IPv6 CA, which is in `LOOKUP6`.
    #[inline(always)]
    pub const fn v4(&self) -> Option<LookupKey4> {
        if self.ca.is_v4() {
            let (rdid, ca) = (self.rdid, self.ca.to_v4());
            Some(LookupKey4 { rdid, ca })
        } else {
            None
        }
    }
}

impl From<LookupKey4> for LookupKey {
    fn from(key: LookupKey4) -> Self {
        let (rdid, ca) = (key.rdid, Address::v4(key.ca));
        Self { rdid, ca }
    }
}

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
    /// The CA's PA is one of this host's, or its port is here.
    pub const LOCAL: u16 = 1;
    /// The CA is the subnet's gateway; every host answers for it.
    pub const GATEWAY: u16 = 2;
    /// Nobody has the CA, says the store: packets to it are dropped and not asked about again
    /// for as long as this stands.
    pub const NEGATIVE: u16 = 4;
    /// The table has it only while it is in use (`tableMode: onDemand`): hits are noted.
    pub const ON_DEMAND: u16 = 8;
    /// No translation (`TranslationMethodNone`): reachable on its own host only.
    pub const NO_TRANSLATION: u16 = 16;
    /// The CA is a multicast group and the PA too: packets to it go to that PA group and to the
    /// local ports of the subnet.
    pub const GROUP: u16 = 32;
    /// A prefix of one of the domain's own subnets (in `ROUTES`): whoever has no record is not there.
    pub const ON_LINK: u16 = 64;
    /// The record of a next hop (in `ROUTES`): it takes packets to CAs that are not its own.
    pub const VIA: u16 = 128;
    /// A station of which only the MAC is known (in `MACS`).
    pub const L2_ONLY: u16 = 256;
    /// The CA has a PA of its own, which packets to it bear instead (`TranslationMethodNat`).
    pub const REWRITE: u16 = 512;

    /// Nothing was read.
    pub const NONE: Self = Self {
        vsid: 0,
        pa_index: 0,
        ifindex: 0,
        mac: Mac([0; 6]),
        flags: 0,
    };

    /// A record that says that there is none.
    pub const fn negative(vsid: u32) -> Self {
        Self {
            vsid,
            flags: Self::NEGATIVE,
            ..Self::NONE
        }
    }

    /// Whether a flag is set.
    #[inline(always)]
    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Value of `LOOKUP6`. `LOOKUP` keeps the same apart, with the lower half of the stamp
/// ([`crate::records::bucket`]).
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

pod!(LookupKey, LookupKey4, LookupRecord, LookupEntry);
