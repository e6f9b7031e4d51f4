//! `PLACES` and `FAR_PLACES`: ifindex -> place; `VPORTS`: place -> vport (an array; entry 0 unused);
//! `LOCAL_PORTS`: (VSID, MAC) -> ifindex; and `NEAR_PORTS`: a hash of (VSID, MAC) -> ifindex.
//!
//! An entry of `VPORTS` is never written while `PLACES` leads to it: a changed vport gets another place.
//! `NEAR_PORTS` only spares a look-up in `LOCAL_PORTS`: whether the port there is the one that is asked
//! for, its vport says.

use super::{pod, vsid::VirtualSubnet};
use crate::id::{Address, Mac};

/// A tenant's attachment on this host.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vport {
    /// Index in the counter arrays, 1..[`super::stats::SLOTS`]; 0 is "no port".
    pub slot: u32,
    /// Index of the routing domain on this host.
    pub rdid: u32,
    /// The VSID, 24 bits.
    pub vsid: u32,
    /// Scope of its routes: see [`super::route`].
    pub routes: u32,
    /// Largest layer-3 packet the port takes, bytes.
    pub mtu: u16,
    /// [`Vport::DROP_TAGGED`] and its fellows.
    pub flags: u16,
    /// The port's MAC.
    pub mac: Mac,
    /// The gateway's MAC in this routing domain.
    pub gateway_mac: Mac,
    /// Largest TCP segment that may be announced to or by the port over IPv4 and over IPv6, bytes;
    /// 0: whatever the ends say.
    pub mss: [u16; 2],
    /// The first of the port's CAs of each family, IPv4 before IPv6; all of them stand in
    /// `PORT_CAS`. [`Address::UNSPECIFIED`] where there is none.
    pub cas: [Address; 2],
    /// The PAs that those have of their own; [`Address::UNSPECIFIED`] where there is none.
    pub pas: [Address; 2],
    /// Of a port in a VLAN: the uplink; of one with isolation `External`: the interface.
    pub link: u32,
    /// Of a port in a VLAN: its id, 1..=4094.
    pub vlan: u16,
    /// 0.
    pub reserved: u16,
    /// In `VPORTS`: the device; 0 in a place that was never anybody's, and in images, where the key says
    /// it. Whoever comes by a place that was given to another
    /// port meanwhile sees it here.
    pub ifindex: u32,
}

const _: () = assert!(size_of::<Vport>() == 112);

/// Entries of `PLACES`, by ifindex; `FAR_PLACES` has the devices of greater ones.
pub const NEAR_IFINDEXES: u32 = 65_536;
/// Entries of `VPORTS`: twice the ports of a host, so that a place rests before it is used again.
pub const PLACES_OF_VPORTS: u32 = 2 * super::stats::SLOTS;

impl Vport {
    /// The subnet has `innerVlan: drop`: a tagged frame is dropped, not stripped.
    pub const DROP_TAGGED: u16 = 1;
    /// The device is one end of a veth pair whose other end is in another network
    /// namespace, so `bpf_redirect_peer` may be used.
    pub const PEER: u16 = 2;
    /// The VM network has `tableMode: onDemand`: a CA without a record is asked about.
    pub const ON_DEMAND: u16 = 4;
    /// The subnet has `allowNonIP`: frames of any EtherType are switched by MAC.
    pub const NON_IP: u16 = 8;
    /// The port is the next hop of a customer route or a wildcard gateway: it sends and gets packets
    /// of CAs that routes lead to it for.
    pub const FORWARDS: u16 = 16;
    /// The port's addresses are learned (`recordType: L2Only`).
    pub const LEARNS: u16 = 32;
    /// The VM network has `distributedRouter: false`: other subnets are reached by customer routes.
    pub const EXTERNAL_ROUTER: u16 = 64;
    /// The subnet has `broadcast`.
    pub const BROADCAST: u16 = 128;
    /// The subnet has stations whose CAs nobody knows: who is asked for without a record is looked
    /// for by broadcast.
    pub const UNKNOWN_CAS: u16 = 256;
    /// The subnet has `routerAdvertisement`.
    pub const ADVERTISES: u16 = 512;
    /// Isolation `NoIsolation`: its frames are the host's.
    pub const PASSES: u16 = 1024;
    /// Isolation `VLAN`.
    pub const TAGS: u16 = 2048;
    /// Of a port in a VLAN: it sends and gets untagged frames, which the VLAN has tagged.
    pub const UNTAGGED: u16 = 4096;
    /// Isolation `External`: its frames go to another device.
    pub const EXTERNAL: u16 = 8192;
    /// The port's CAs have PAs of their own, which its packets bear instead
    /// (`TranslationMethodNat`).
    pub const REWRITES: u16 = 16384;
    /// On the wire its packets come from its own MAC (`useVmMACAddress`), not from the host's.
    pub const VM_MAC: u16 = 32768;
    /// Of any isolation but `NetworkVirtualization`.
    pub const PLAIN: u16 = Self::PASSES | Self::TAGS | Self::EXTERNAL;

    /// Whether a flag is set.
    #[inline(always)]
    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// What [`VirtualSubnet::flags`] says of the port's subnet, as far as it matters to a frame for the
    /// port alone.
    #[inline(always)]
    pub const fn of_subnet(&self) -> u32 {
        let mut flags = 0;
        if self.has(Self::ON_DEMAND) {
            flags |= VirtualSubnet::ON_DEMAND;
        }
        if self.has(Self::NON_IP) {
            flags |= VirtualSubnet::NON_IP;
        }
        flags
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

/// Entries of `NEAR_PORTS`, a power of two: some for each port, so that few share one.
pub const NEAR_PORTS: u32 = 8192;

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

    /// The entry of `NEAR_PORTS` that its port may be found by; ports that share one are found by
    /// `LOCAL_PORTS`.
    ///
    /// How the word is put together shows in the verifier: bytes taken by a pattern with a rest made
    /// it go through a third more instructions of `nve_tc_ingress` (`tests/costs`).
    #[inline(always)]
    pub const fn near(&self) -> u32 {
        const SPARE: u32 = u64::BITS - NEAR_PORTS.ilog2();
        let [first, second, third, rest @ ..] = self.mac.0;
        let [fourth, fifth, sixth] = rest;
        let high = u32::from_ne_bytes([third, fourth, fifth, sixth]) as u64;
        let low = u16::from_ne_bytes([first, second]) as u64 ^ ((self.vsid as u64) << 8);
        let word = (high << 32) | low;
        // The highest bits of the product depend on all of the word's (Knuth's multiplicative hash).
        (word.wrapping_mul(MIXES) >> SPARE) as u32
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

/// 2^64 divided by the golden ratio, odd.
const MIXES: u64 = 0x9E37_79B9_7F4A_7C15;

pod!(Vport, LocalPortKey);

#[cfg(test)]
mod tests {
    use super::*;

    /// As by chance: of 1,024 ports in 8,192 entries, 60 or so are in one that another is in before.
    #[test]
    fn neighbouring_ports_seldom_share_an_entry() {
        for vsid in [6001, 6002, 0xFF_FFFE] {
            let mut taken = [false; NEAR_PORTS as usize];
            let mut shared = 0;
            for port in 0..1024_u16 {
                let [high, low] = port.to_be_bytes();
                let key = LocalPortKey::new(vsid, Mac([0x52, 0x54, 0, 7, high, low]));
                let entry = &mut taken[key.near() as usize];
                shared += u32::from(*entry);
                *entry = true;
            }
            assert!(shared < 120, "{vsid}: {shared}");
        }
    }
}
