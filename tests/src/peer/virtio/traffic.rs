//! What goes through hosts with virtio-net NICs.

use super::xdp_packets;
use crate::{
    net::{SOON, Site, inside},
    peer::{FAR, NEAR, TENANTS, exchange},
};
use anyhow::{Result, ensure};
use std::net::UdpSocket;
use xtask::lab::{Netns, wait_until};

/// All kinds of traffic in both tenants, without a drop on either host.
pub fn carries_everything(site: &Site) -> Result<()> {
    for tenant in TENANTS {
        exchange(site, tenant, || Ok(()))?;
    }
    site.conserved()?;
    for host in [0, 1] {
        let drops = site.drops(host)?;
        ensure!(drops.is_empty(), "dropped by {host}: {drops:?}");
    }
    Ok(())
}

/// Flows enough for a NIC to spread: one datagram each, all of which arrive.
pub fn many_flows(from: &Netns, to: &Netns, address: &str) -> Result<()> {
    const FLOWS: usize = 64;
    let receiver = inside(to, || Ok(UdpSocket::bind((address, 0))?))?;
    receiver.set_read_timeout(Some(SOON))?;
    let at = receiver.local_addr()?;
    for _ in 0..FLOWS {
        let sender = inside(from, || Ok(UdpSocket::bind("0.0.0.0:0")?))?;
        sender.send_to(b"flow", at)?;
        let mut room = [0; 8];
        ensure!(receiver.recv(&mut room)? == 4, "another datagram");
    }
    Ok(())
}

/// The program has had packets from two receive queues at least, on each host.
pub fn queues_are_busy(site: &Site) -> Result<()> {
    for host in [0, 1] {
        wait_until("two busy queues", SOON, || {
            let queues = xdp_packets(site.host(host))?;
            let busy = queues.iter().filter(|packets| **packets > 0).count();
            ensure!(busy > 1, "XDP packets by queue of host {host}: {queues:?}");
            Ok(Some(()))
        })?;
    }
    Ok(())
}

/// Addresses of `blue-vm1` beside its first: each is a source that `host-b` has to ask about.
pub const SOURCES: std::ops::Range<u8> = 100..164;

/// Blue has `onDemand` tables, and a VM with many addresses.
pub fn on_demand(policy: &str) -> String {
    let more: Vec<String> = SOURCES.map(|last| format!("10.0.0.{last}")).collect();
    let all = format!("[{NEAR}, {}]", more.join(", "));
    let blue = policy.replacen(&format!("[{NEAR}]"), &all, 1);
    blue.replacen(
        "  virtualSubnets:",
        "  tableMode: onDemand\n  virtualSubnets:",
        1,
    )
}

/// A datagram from each of the addresses arrives, the first that `host-b` has of it.
pub fn from_each_source(site: &Site) -> Result<()> {
    let receiver = inside(site.vm("blue-vm2"), || Ok(UdpSocket::bind((FAR, 0))?))?;
    receiver.set_read_timeout(Some(SOON))?;
    let at = receiver.local_addr()?;
    for last in SOURCES {
        let open = || Ok(UdpSocket::bind((format!("10.0.0.{last}"), 0))?);
        let sender = inside(site.vm("blue-vm1"), open)?;
        sender.send_to(b"first", at)?;
        let mut room = [0; 8];
        let (_, from) = receiver.recv_from(&mut room)?;
        ensure!(
            from == sender.local_addr()?,
            "another datagram, from {from}"
        );
    }
    Ok(())
}
