//! NVGRE peers of other make, in the place of the site's second host: `host-a` runs `nved`,
//! `host-b` is what the kernel or Open vSwitch makes of it. For guests: see `cargo xtask vm`.

pub mod gretap;
mod ovs;
mod talk;
pub mod virtio;
mod wire;

pub use ovs::Ovs;
pub use talk::{exchange, hears_nothing, talk};
pub use wire::{Nvgre, Tap};

use crate::net::Site;
use anyhow::{Context, Result};
use std::process::Command;
use xtask::lab::run;

/// PA of `nved`.
pub const OURS: &str = "192.0.2.1";
/// PA of the peer.
pub const THEIRS: &str = "192.0.2.2";
/// CA of the VMs behind `nved`, in each tenant.
pub const NEAR: &str = "10.0.0.5";
/// CA of the VMs behind the peer, in each tenant.
pub const FAR: &str = "10.0.0.7";
/// 1600 on the underlay, 42 for the outer headers.
pub const TENANT_MTU: u16 = 1600 - 42;

/// A tenant's name and VSID.
#[derive(Clone, Copy, Debug)]
pub struct Tenant {
    /// Name of its VM network.
    pub name: &'static str,
    /// Its virtual subnet.
    pub vsid: u32,
}

impl Tenant {
    /// The GRE key of its packets with this `FlowID`.
    pub const fn key(self, flow_id: u8) -> u32 {
        self.vsid << 8 | flow_id as u32
    }
}

/// Both have the same CAs and MACs.
pub const TENANTS: [Tenant; 2] = [
    Tenant {
        name: "blue",
        vsid: 6001,
    },
    Tenant {
        name: "red",
        vsid: 7001,
    },
];

const POLICY: &str = include_str!("../../fixtures/policy/good/foreign-peer.yaml");

/// The `nved` of `host-a` with its two VMs, ready; behind `host-b` nobody answers yet.
///
/// `flow_id` is a value of the policy's `flowId`.
pub fn site(name: &str, mode: &str, flow_id: &str) -> Result<Site> {
    modules(NEEDED)?;
    let vms = ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"];
    let mut site = Site::bare(name, &vms)?;
    if mode == "xdp" {
        // What nved sends stays as it is: then a packet that it counts is one on the wire.
        site.like_a_wire(1)?;
    }
    site.start(0, mode)?;
    site.apply(0, &policy(&site, flow_id))?;
    site.ready()?;
    Ok(site)
}

/// `host-a` with a port for each tenant, records for what is behind `host-b`.
pub fn policy(site: &Site, flow_id: &str) -> String {
    let flow = format!("flowId: {flow_id}");
    site.own(POLICY).replace("flowId: none", &flow)
}

/// What sites and `nved` need: before Linux 6.6 a qdisc and its classifier.
const NEEDED: &[&str] = &["veth", "sch_ingress", "cls_bpf"];

/// Loads kernel modules: in a guest nobody else does.
pub fn modules(names: &[&str]) -> Result<()> {
    let loaded = run(Command::new("modprobe").arg("-a").args(names));
    loaded.with_context(|| format!("this kernel lacks one of the modules {names:?}"))?;
    Ok(())
}

/// The VM of a tenant behind the peer. Gives the name of its veth on `host-b`.
pub fn far_vm(site: &Site, tenant: Tenant) -> Result<&'static str> {
    let (peer, vm) = (site.host(1), site.vm(&format!("{}-vm2", tenant.name)));
    let (near, mtu) = (tenant.name, TENANT_MTU.to_string());
    let mut link = peer.command("ip");
    link.args(["link", "add", near, "mtu", &mtu, "type", "veth", "peer"]);
    link.args(["name", "eth0", "mtu", &mtu, "address", "02:00:00:00:00:07"]);
    run(link.arg("netns").arg(vm.path()))?;
    peer.exec(&["ip", "link", "set", near, "up"])?;
    vm.exec(&["ip", "address", "add", "10.0.0.7/24", "dev", "eth0"])?;
    vm.exec(&["ip", "link", "set", "eth0", "up"])?;
    // Broadcasts do not pass: the VM cannot ask for it.
    let mac = ["lladdr", "02:00:00:00:00:05", "dev", "eth0"];
    vm.exec(&[&["ip", "neighbour", "add", NEAR][..], &mac].concat())?;
    Ok(near)
}
