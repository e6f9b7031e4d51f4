//! `CONFIG`: the provider network's settings (an array of one).

use super::pod;
use crate::id::Address;

/// Settings that hold for every packet of the host.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// [`super::VERSION`] of who wrote it.
    pub abi_version: u32,
    /// Seed of the FlowID hash.
    pub seed: u32,
    /// 1: FlowID from the inner 5-tuple; 0: none.
    pub flow_id: u8,
    /// TTL of outer headers.
    pub outer_ttl: u8,
    /// Outer DSCP 0..=63, or [`Config::DSCP_COPY`].
    pub dscp: u8,
    /// 1: GRE to our PAs that is not NVGRE is dropped; 0: passed.
    pub drop_foreign_gre: u8,
    /// The device that packets for user space are sent to; 0: there is none, they are dropped.
    pub upcall_ifindex: u32,
    /// Time between two punts of a port in the long run, nanoseconds.
    pub punt_interval: u32,
    /// Punts of a port that may come at once.
    pub punt_burst: u32,
    /// Time between two broadcasts of a port in the long run, nanoseconds.
    pub flood_interval: u32,
    /// Broadcasts of a port that may come at once.
    pub flood_burst: u32,
    /// 1: `REWRITES` has entries; 0: nobody needs to look.
    pub rewrites: u32,
    /// The first of this host's PAs of each family, IPv4 before IPv6; all of them stand in
    /// `LOCAL_PAS`. [`Address::UNSPECIFIED`] where there is none.
    pub pas: [Address; 2],
}

const _: () = assert!(size_of::<Config>() == 68);

impl Config {
    /// Copy the inner DSCP.
    pub const DSCP_COPY: u8 = 0xFF;

    /// The defaults of a provider network (RFC 7637 recommends a FlowID).
    pub const DEFAULT: Self = Self {
        abi_version: super::VERSION,
        seed: 0,
        flow_id: 1,
        outer_ttl: 64,
        dscp: Self::DSCP_COPY,
        drop_foreign_gre: 0,
        upcall_ifindex: 0,
        punt_interval: 500_000,
        punt_burst: 256,
        flood_interval: 1_000_000,
        flood_burst: 256,
        rewrites: 0,
        pas: [Address::UNSPECIFIED; 2],
    };
}

pod!(Config);
