//! A Linux bridge on each host, with a tunnel device as its second port.
//!
//! The bridges know the tenants' MACs by static entries and the tunnels have one fixed far end, so the
//! peers do no more than look up one MAC, encapsulate and route.

use anyhow::{Context, Result};
use dataplane_common::id::Mac;
use xtask::lab::{Netns, PATIENCE, output};

use super::{
    Absence, Built,
    frames::VSID,
    peer,
    topology::{HOST_A, HOST_B, Hosts, MAC_A, MAC_B, Topology, take_frames},
};
use crate::scenario::{PathName, Scenario};

const BRIDGE: &str = "br0";
const TUNNEL: &str = "tun0";

/// How the bridges are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tunnel {
    /// VXLAN (RFC 7348); the tenants' VSID is its VNI.
    Vxlan,
    /// GRE with the key of NVGRE (RFC 7637): VSID and no `FlowID`.
    Gretap,
}

impl Tunnel {
    const fn path(self) -> PathName {
        match self {
            Self::Vxlan => PathName::VxlanBridge,
            Self::Gretap => PathName::GretapBridge,
        }
    }

    /// Kind of device, and what the kernel needs for it.
    const fn device(self) -> (&'static str, &'static str) {
        match self {
            Self::Vxlan => ("vxlan", "CONFIG_VXLAN"),
            Self::Gretap => ("gretap", "CONFIG_NET_IPGRE"),
        }
    }

    fn options(self) -> String {
        match self {
            Self::Vxlan => format!("id {VSID} dstport 4789 nolearning"),
            Self::Gretap => format!("key {}", VSID << 8),
        }
    }
}

/// Builds it.
pub(super) fn build(tunnel: Tunnel, scenario: &Scenario) -> Result<Built, Absence> {
    peer::by_mac(tunnel.path(), scenario)?;
    let topology = Topology::new(Hosts::Two, scenario.queues)?;
    let (a, b) = (&topology.host_a, &topology.host_b);
    add(a, tunnel, [HOST_A, HOST_B])?;
    add(b, tunnel, [HOST_B, HOST_A])?;
    bridge(a, "a1", [MAC_A, MAC_B])?;
    bridge(b, "b1", [MAC_B, MAC_A])?;
    take_frames(a, "a1")?;
    peer::tunnels(&topology.tenant_a, || peer::sent_by(a, TUNNEL))?;
    let Topology {
        tenant_a,
        host_a,
        host_b,
        tenant_b,
    } = topology;
    let hosts = Box::new([host_a, host_b]);
    Ok(peer::built([tenant_a, tenant_b], scenario, hosts))
}

/// Makes the tunnel's device, or tells that the kernel has none of its kind.
fn add(host: &Netns, tunnel: Tunnel, [local, remote]: [&str; 2]) -> Result<(), Absence> {
    let (kind, option) = tunnel.device();
    let line = format!(
        "link add name {TUNNEL} mtu 1500 type {kind} local {local} remote {remote} ttl 64 {}",
        tunnel.options()
    );
    let mut command = host.command("ip");
    command.args(line.split(' '));
    let said = output(&mut command, PATIENCE)?;
    if said.stderr.contains("Unknown device type") {
        let why = format!("this kernel has no {kind} device ({option})");
        return Err(peer::absent(why));
    }
    said.success()?;
    Ok(())
}

/// Joins a tenant's port and the tunnel; `near` is behind the one and `far` behind the other.
fn bridge(host: &Netns, port: &str, [near, far]: [Mac; 2]) -> Result<()> {
    let ip = |line: String| {
        let words: Vec<&str> = line.split(' ').collect();
        host.exec(&words).context("cannot set up the bridge")
    };
    ip(format!(
        "ip link add name {BRIDGE} type bridge stp_state 0 mcast_snooping 0"
    ))?;
    for device in [port, TUNNEL] {
        ip(format!("ip link set {device} master {BRIDGE}"))?;
    }
    for device in [TUNNEL, BRIDGE] {
        ip(format!("ip link set {device} up"))?;
    }
    for (mac, device) in [(near, port), (far, TUNNEL)] {
        ip(format!(
            "bridge fdb replace {mac} dev {device} master static"
        ))?;
        ip(format!("bridge link set dev {device} learning off"))?;
    }
    Ok(())
}
