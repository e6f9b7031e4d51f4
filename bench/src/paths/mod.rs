//! Ways for packets, each built between network namespaces of its own.

mod bridge;
pub mod frames;
pub mod nve;
mod ovs;
mod peer;
pub mod room;
pub mod route;
pub(crate) mod textbook;
pub mod topology;
pub mod twin;
mod veth;

use std::{any::Any, collections::BTreeMap};

use anyhow::Result;
use xtask::lab::Netns;

use crate::{
    programs::Hook,
    rate::Rewrite,
    scenario::{PathName, Scenario, Sink, Work},
};

/// A device in a namespace.
pub struct Place {
    /// The namespace.
    pub netns: Netns,
    /// The device's name in it.
    pub device: &'static str,
    /// The address that a TCP server or client uses here, if there is one (RFC 5737 or RFC 1918, no prefix).
    pub address: Option<&'static str>,
}

/// Frames that a generator must send for this path and scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames {
    /// The frame up to and without padding, with the first key in it; IPv4 and UDP checksums are right or 0.
    pub head: Vec<u8>,
    /// Offset of the 4 bytes that carry the key: key `k` is written as `first_key + k`, network order.
    pub key_offset: usize,
    /// The value of key 0.
    pub first_key: u32,
    /// Offset of the header checksum that covers the key, to be corrected by the generator; `None`: none does.
    pub checksum_offset: Option<usize>,
    /// Length of the whole frame without FCS, bytes.
    pub length: u16,
}

/// Reads a counter: packets since it was made.
pub type Reader = Box<dyn FnMut() -> Result<u64> + Send>;

/// Reads counters by name: packets since they were made.
pub type Counters = Box<dyn FnMut() -> Result<BTreeMap<String, u64>> + Send>;

/// Begin of the names of counters that count what the path dropped.
pub const DROP: &str = "drop.";

/// A path that stands.
pub struct Built {
    /// Where frames are born: the generator sends out of this device.
    pub source: Place,
    /// Where they end: the sink counts what this device receives.
    pub sink: Place,
    /// What to send.
    pub frames: Frames,
    /// Reads a counter of the path's own that is the sink instead (drops); `None`: count at [`Built::sink`].
    pub counted: Option<Reader>,
    /// Reads counters of the path's own that are not zero. Names of those that must stay zero while
    /// all is well begin with [`DROP`].
    pub counters: Option<Counters>,
    /// Writes one record again, for updates during traffic; `None`: the path has no records to write.
    pub rewrite: Option<Rewrite>,
    /// Everything else that must live as long: hosts, programs, daemons.
    pub keep: Box<dyn Any + Send>,
}

/// Why a path cannot be had.
pub enum Absence {
    /// This machine lacks what it needs, or it cannot do the work: the row is "not available: WHY".
    NotAvailable(String),
    /// It should have worked.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Absence {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Builds a path for a scenario.
pub fn build(path: PathName, scenario: &Scenario) -> Result<Built, Absence> {
    match path {
        PathName::NveXdp | PathName::NveXdpOneThread | PathName::NveXdpStill => {
            nve::build(Hook::Xdp, scenario)
        }
        PathName::NveTc | PathName::NveTcOneThread | PathName::NveTcStill => {
            nve::build(Hook::Tc, scenario)
        }
        PathName::NveXdpIdleWriter => idle_writer(Hook::Xdp, scenario),
        PathName::NveTcIdleWriter => idle_writer(Hook::Tc, scenario),
        PathName::TwinXdp | PathName::TwinXdpOneThread => twin::build(Hook::Xdp, scenario),
        PathName::TwinTc | PathName::TwinTcOneThread => twin::build(Hook::Tc, scenario),
        PathName::Veth => veth::build(scenario),
        PathName::VxlanBridge => bridge::build(bridge::Tunnel::Vxlan, scenario),
        PathName::GretapBridge => bridge::build(bridge::Tunnel::Gretap, scenario),
        PathName::OvsKernelGre => ovs::build(ovs::Datapath::Kernel, scenario),
        PathName::OvsUserGre => ovs::build(ovs::Datapath::User, scenario),
        PathName::TextbookXdp => textbook::build(Hook::Xdp, scenario),
        PathName::TextbookTc => textbook::build(Hook::Tc, scenario),
    }
}

/// Ours, whose records somebody comes to update and does not.
fn idle_writer(hook: Hook, scenario: &Scenario) -> Result<Built, Absence> {
    let mut built = nve::build(hook, scenario)?;
    built.rewrite = Some(Box::new(|_| Ok(())));
    Ok(built)
}

/// A classifier hands an skb to the tenant's end behind the place where a native program runs.
fn refuse_frames_of_skbs(hook: Hook, scenario: &Scenario) -> Result<(), Absence> {
    let to_tenant = scenario
        .work
        .hops()
        .last()
        .is_some_and(route::Hop::to_tenant);
    if hook == Hook::Tc && scenario.sink == Sink::Frame && to_tenant {
        let why = "bpf_redirect_peer delivers skbs, which a native XDP sink does not see; count them with the skb sink";
        return Err(Absence::NotAvailable(why.to_owned()));
    }
    Ok(())
}

/// Lets frames into devices that have no XDP program: at TC, the first one; at XDP, the last one
/// when skbs are counted there.
fn open_gates(hook: Hook, scenario: &Scenario, topology: &topology::Topology) -> Result<()> {
    if hook == Hook::Tc {
        let (is_b, device) = route::entrance(scenario.work);
        return topology::take_frames(topology.host(is_b), device);
    }
    if scenario.sink == Sink::Frame {
        return Ok(());
    }
    // Answers come to the first tenant in the same way.
    topology::take_frames(&topology.tenant_a, "a0")?;
    match scenario.work {
        Work::Encap | Work::RewriteOut => topology::take_frames(&topology.host_b, "eth0"),
        Work::Decap | Work::EncapDecap | Work::RewriteIn | Work::RewriteOutIn | Work::SameHost => {
            topology::take_frames(&topology.tenant_b, "b0")
        }
        Work::Drop(_) => Ok(()),
    }
}
