//! From where to where packets of each work go, and over which devices.

use anyhow::Result;
use xtask::lab::Netns;

use super::{
    Frames, Place,
    frames::{Datagram, KeyAt, encapsulated},
    topology::{
        FIRST_PA, Hosts, MAC_A, MAC_B, MAC_HOST_A, MAC_HOST_B, PA_B, TENANT_A, TENANT_B, Topology,
    },
};
use crate::scenario::{Refusal, Scenario, Work};

/// Where frames of [`Work::Decap`] go: the one address of `tenant-b`, for they come from many.
pub const DECAP_TO: [u8; 4] = [10, 0, 0, 7];
/// The first address that nobody has, far above all keys.
const NOBODY: u32 = 0x0B00_0000;
/// A MAC that no port has.
const STRANGER: dataplane_common::id::Mac = dataplane_common::id::Mac([2, 0, 0, 0, 9, 9]);

/// A host forwards from one of its devices to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// `true`: `host-b`.
    pub on_b: bool,
    /// Device that packets come in by.
    pub from: &'static str,
    /// Device that they leave by.
    pub to: &'static str,
}

/// Name of a host's device on the underlay; its others are tenants'.
const UNDERLAY: &str = "eth0";

const ENCAP: Hop = Hop::new(false, "a1", UNDERLAY);
const DECAP: Hop = Hop::new(true, UNDERLAY, "b1");
const LOCAL: Hop = Hop::new(false, "a1", "b1");

impl Hop {
    const fn new(on_b: bool, from: &'static str, to: &'static str) -> Self {
        Self { on_b, from, to }
    }

    /// The same host, the other way.
    const fn back(self) -> Self {
        Self::new(self.on_b, self.to, self.from)
    }

    /// Whether it ends at a tenant's device: an skb is handed to the pair's other end.
    pub fn to_tenant(&self) -> bool {
        self.to != UNDERLAY
    }
}

impl Work {
    /// Whether tenants are on one host.
    pub fn hosts(self) -> Hosts {
        match self {
            Self::SameHost => Hosts::One,
            Self::Encap
            | Self::Decap
            | Self::EncapDecap
            | Self::RewriteOut
            | Self::RewriteIn
            | Self::RewriteOutIn
            | Self::Drop(_) => Hosts::Two,
        }
    }

    /// What hosts do with a packet, in its order; nothing when the first one drops it.
    pub fn hops(self) -> &'static [Hop] {
        match self {
            Self::Encap | Self::RewriteOut => &[ENCAP],
            Self::Decap | Self::RewriteIn => &[DECAP],
            Self::EncapDecap | Self::RewriteOutIn => &[ENCAP, DECAP],
            Self::SameHost => &[LOCAL],
            Self::Drop(_) => &[],
        }
    }

    /// The way of answers, on the same hosts: our programs have it, so their twins do.
    pub fn hops_back(self) -> &'static [Hop] {
        match self {
            Self::Encap | Self::RewriteOut => const { &[ENCAP.back()] },
            Self::Decap | Self::RewriteIn => const { &[DECAP.back()] },
            Self::EncapDecap | Self::RewriteOutIn => const { &[ENCAP.back(), DECAP.back()] },
            Self::SameHost => const { &[LOCAL.back()] },
            Self::Drop(_) => &[],
        }
    }
}

/// The first device that packets reach: `(host is b, device)`.
pub fn entrance(work: Work) -> (bool, &'static str) {
    match work {
        Work::Decap | Work::RewriteIn => (true, "eth0"),
        Work::Encap
        | Work::EncapDecap
        | Work::RewriteOut
        | Work::RewriteOutIn
        | Work::SameHost
        | Work::Drop(_) => (false, "a1"),
    }
}

/// What to send for a scenario over our own encapsulation.
pub fn frames(scenario: &Scenario) -> Frames {
    let to_b = Datagram::to_b(scenario.frame);
    match scenario.work {
        Work::Encap | Work::EncapDecap | Work::RewriteOut | Work::RewriteOutIn | Work::SameHost => {
            to_b.frames()
        }
        Work::RewriteIn => Datagram {
            src_mac: MAC_HOST_A,
            dst_mac: MAC_HOST_B,
            dst: PA_B,
            key_at: KeyAt::Src,
            first_key: FIRST_PA,
            ..to_b
        }
        .frames(),
        Work::Decap => encapsulated(
            Datagram {
                src_mac: MAC_A,
                dst_mac: MAC_B,
                dst: DECAP_TO,
                key_at: KeyAt::Src,
                ..to_b
            }
            .frames(),
        ),
        Work::Drop(Refusal::SpoofMac) => Datagram {
            src_mac: STRANGER,
            ..to_b
        }
        .frames(),
        Work::Drop(Refusal::SpoofCa) => Datagram {
            key_at: KeyAt::Src,
            dst: to_b.first_key.to_be_bytes(),
            ..to_b
        }
        .frames(),
        Work::Drop(Refusal::NoLookupRecord) => Datagram {
            first_key: NOBODY,
            ..to_b
        }
        .frames(),
    }
}

/// Takes source and sink out of the topology, and the namespaces that remain.
pub fn places(topology: Topology, work: Work) -> (Place, Place, Vec<Netns>) {
    let place = |netns, device, address| Place {
        netns,
        device,
        address,
    };
    let Topology {
        tenant_a,
        host_a,
        host_b,
        tenant_b,
    } = topology;
    let a = |netns| place(netns, "a0", Some(TENANT_A));
    let b = |netns| place(netns, "b0", Some(TENANT_B));
    match work {
        Work::Encap | Work::RewriteOut => (
            a(tenant_a),
            place(host_b, "eth0", None),
            vec![host_a, tenant_b],
        ),
        Work::Decap | Work::RewriteIn => (
            place(host_a, "eth0", None),
            b(tenant_b),
            vec![tenant_a, host_b],
        ),
        Work::EncapDecap | Work::RewriteOutIn | Work::SameHost => {
            (a(tenant_a), b(tenant_b), vec![host_a, host_b])
        }
        Work::Drop(_) => (
            a(tenant_a),
            place(host_a, "a1", None),
            vec![host_b, tenant_b],
        ),
    }
}

impl Topology {
    /// The namespace of a hop.
    pub fn host(&self, is_b: bool) -> &Netns {
        if is_b { &self.host_b } else { &self.host_a }
    }

    /// Makes what a scenario needs.
    pub fn of(scenario: &Scenario) -> Result<Self> {
        Self::new(scenario.work.hosts(), scenario.queues)
    }
}
