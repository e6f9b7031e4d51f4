//! Ports.

use std::net::IpAddr;

use dataplane_common::id::{Mac, Vsid};

use crate::policy::document::{Attach, MssClamp, PortMode, RecordType, Rule};

/// A VM's network adapter in a virtual subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The host that runs it.
    pub host: String,
    /// Its VSID.
    pub vsid: Vsid,
    /// Its MAC.
    pub mac: Mac,
    /// Its CAs: at least one, or none if the record type is `L2Only`.
    pub addresses: Vec<IpAddr>,
    /// `Static`, or `L2Only`: its CAs are learned.
    pub record_type: RecordType,
    /// How its CAs are reached; the subnet's filled in.
    pub rule: Rule,
    /// PAs that stand for its CAs, each of the family of the CA at the same place; empty unless
    /// the rule is `TranslationMethodNat`.
    pub own_pas: Vec<IpAddr>,
    /// Whether its rewritten packets have its MAC on the underlay; with that rule only.
    pub use_vm_mac: bool,
    /// What TCP connections through it are told to take as the largest segment.
    pub mss_clamp: Option<MssClamp>,
    /// The hook that takes its frames.
    pub mode: PortMode,
    /// Its device: `netns` with or without `interface`, or `interface` or `tap` alone.
    pub attach: Attach,
}

/// A VM's network adapter in a VM network that is not virtualized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainPort {
    /// Name of the VM network.
    pub network: String,
    /// The host that runs it.
    pub host: String,
    /// Its MAC.
    pub mac: Mac,
    /// The hook that takes its frames.
    pub mode: PortMode,
    /// Its device, as a [`Port`]'s.
    pub attach: Attach,
}
