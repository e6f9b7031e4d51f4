//! Open vSwitch on each host, with a GRE port that has the key of NVGRE.
//!
//! Two flows by `OpenFlow` say what goes where, so nothing is learned, and all of the packets meet one
//! entry of the datapath's cache. In user space one thread of each daemon sleeps until frames come
//! (`afxdp-nonpmd`): the usual threads poll without end, would take both CPUs of a small machine, and with
//! them those of the path that is measured in turn.

mod programs;
mod switch;

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use dataplane_common::id::Mac;
use xtask::lab::{Netns, PATIENCE, TempDir, output};

use super::{
    Absence, Built,
    frames::VSID,
    peer,
    topology::{
        HOST_A, HOST_B, Hosts, MAC_A, MAC_B, MAC_HOST_A, MAC_HOST_B, Topology, UNDERLAY_MTU, give,
        take_frames,
    },
};
use crate::scenario::{PathName, Scenario};
use programs::Programs;
use switch::Switch;

const TUNNEL: &str = "tun0";

/// Who forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datapath {
    /// The kernel's module.
    Kernel,
    /// The daemon itself, by `AF_XDP` sockets in copy mode: a veth has no other.
    User,
}

/// One host's part.
struct Side {
    port: &'static str,
    /// Provider addresses, own and other.
    local: &'static str,
    remote: &'static str,
    /// MACs in the underlay, own and other.
    uplink: Mac,
    next_hop: Mac,
    /// The tenant behind the tunnel.
    far: Mac,
}

const SIDES: [Side; 2] = [
    Side {
        port: "a1",
        local: HOST_A,
        remote: HOST_B,
        uplink: MAC_HOST_A,
        next_hop: MAC_HOST_B,
        far: MAC_B,
    },
    Side {
        port: "b1",
        local: HOST_B,
        remote: HOST_A,
        uplink: MAC_HOST_B,
        next_hop: MAC_HOST_A,
        far: MAC_A,
    },
];

/// Builds it.
pub(super) fn build(datapath: Datapath, scenario: &Scenario) -> Result<Built, Absence> {
    let path = match datapath {
        Datapath::Kernel => PathName::OvsKernelGre,
        Datapath::User => PathName::OvsUserGre,
    };
    peer::by_mac(path, scenario)?;
    let programs = Programs::find()?;
    let topology = Topology::new(Hosts::Two, scenario.queues)?;
    match datapath {
        Datapath::Kernel => {
            has_datapath(&programs, &topology.host_a)?;
            take_frames(&topology.host_a, "a1")?;
        }
        Datapath::User => {
            has_tun()?;
            peer::without_offloads(&topology)?;
        }
    }
    let Topology {
        tenant_a,
        host_a,
        host_b,
        tenant_b,
    } = topology;
    let mut switches = Vec::new();
    for (host, side) in [host_a, host_b].into_iter().zip(&SIDES) {
        let switch = Switch::start(host, &programs)?;
        match datapath {
            Datapath::Kernel => kernel(&switch, side)?,
            Datapath::User => user(&switch, side, scenario.queues)?,
        }
        forward(&switch, side)?;
        switches.push(switch);
    }
    peer::tunnels(&tenant_a, || sent(&switches[0]))?;
    Ok(peer::built(
        [tenant_a, tenant_b],
        scenario,
        Box::new(switches),
    ))
}

/// Asks for the kernel's part, which loads the module where there is one.
fn has_datapath(programs: &Programs, host: &Netns) -> Result<(), Absence> {
    let dir = TempDir::new("ovs")?;
    let mut ask = programs.command(host, dir.path(), "ovs-dpctl")?;
    let said = output(ask.arg("dump-dps"), PATIENCE)?;
    if said.code() == 0 {
        return Ok(());
    }
    let why = "this kernel has no datapath of Open vSwitch (CONFIG_OPENVSWITCH)";
    Err(peer::absent(why))
}

/// The bridges' own devices are taps, whose module no system call loads while its file is missing.
fn has_tun() -> Result<(), Absence> {
    let tun = Path::new("/dev/net/tun");
    if !tun.exists() {
        // A machine without modprobe has no modules to load: what counts is whether the device is there.
        let _ = output(Command::new("modprobe").args(["-q", "tun"]), PATIENCE);
    }
    if tun.exists() {
        return Ok(());
    }
    let why = "there is no /dev/net/tun (CONFIG_TUN): modprobe tun";
    Err(peer::absent(why))
}

fn kernel(switch: &Switch, side: &Side) -> Result<()> {
    let port = side.port;
    switch.configure(&format!(
        "add-br br0 -- set bridge br0 fail_mode=secure -- add-port br0 {port} -- {}",
        tunnel(side)
    ))?;
    Ok(())
}

/// The daemon's own GRE leaves by a bridge whose internal device has the provider address: the routes
/// are the host's, the next hop's MAC is told.
fn user(switch: &Switch, side: &Side, queues: u32) -> Result<()> {
    let Side {
        port,
        local,
        remote,
        uplink,
        next_hop,
        ..
    } = side;
    let netdev = "datapath_type=netdev fail_mode";
    let afxdp = format!("type=afxdp-nonpmd options:xdp-mode=native options:n_rxq={queues}");
    switch
        .netns()
        .exec(&["ip", "address", "flush", "dev", "eth0"])?;
    switch.configure(&format!(
        "add-br under0 -- set bridge under0 {netdev}=standalone other_config:hwaddr={uplink} \
         -- add-port under0 eth0 -- set interface eth0 {afxdp} mtu_request={UNDERLAY_MTU} \
         -- add-br br0 -- set bridge br0 {netdev}=secure \
         -- add-port br0 {port} -- set interface {port} {afxdp} -- {}",
        tunnel(side)
    ))?;
    for device in ["eth0", port] {
        let asked = switch.configure(&format!("get interface {device} ofport"))?;
        ensure!(
            asked.stdout.trim().parse::<u32>().is_ok(),
            "Open vSwitch cannot use {device} by AF_XDP:\n{}",
            switch.log()
        );
    }
    let mtu = UNDERLAY_MTU.to_string();
    let host = switch.netns();
    host.exec(&["ip", "link", "set", "under0", "mtu", &mtu, "up"])?;
    give(host, "under0", &format!("{local}/24"))?;
    switch.control(&format!("tnl/arp/set under0 {remote} {next_hop}"))?;
    Ok(())
}

fn tunnel(side: &Side) -> String {
    let (local, remote, key) = (side.local, side.remote, VSID << 8);
    format!(
        "add-port br0 {TUNNEL} -- set interface {TUNNEL} type=gre \
         options:local_ip={local} options:remote_ip={remote} options:key={key}"
    )
}

fn forward(switch: &Switch, side: &Side) -> Result<()> {
    let (port, far) = (side.port, side.far);
    for flow in [
        format!("in_port={port},dl_dst={far},actions=output:{TUNNEL}"),
        format!("in_port={TUNNEL},actions=output:{port}"),
    ] {
        switch.flow(&format!("add-flow br0 {flow}"))?;
    }
    Ok(())
}

/// Packets that left by the tunnel.
fn sent(switch: &Switch) -> Result<u64> {
    let said = switch.flow(&format!("dump-ports br0 {TUNNEL}"))?.stdout;
    packets_sent(&said).with_context(|| format!("Open vSwitch tells no counter:\n{said}"))
}

fn packets_sent(said: &str) -> Option<u64> {
    let (_, after) = said.split_once("tx pkts=")?;
    after.split(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tunnels_counter_is_read() {
        let said = "OFPST_PORT reply (xid=0x4): 1 ports\n  port  tun0: rx pkts=7, bytes=546, drop=?, \
                    errs=?, frame=?, over=?, crc=?\n           tx pkts=12, bytes=840, drop=?, errs=?, coll=?\n";
        assert_eq!(packets_sent(said), Some(12));
        assert_eq!(packets_sent("OFPST_PORT reply (xid=0x4): 0 ports"), None);
    }
}
