//! XDP on a NIC's driver: two hosts with a multi-queue virtio-net NIC each.

use anyhow::{Result, ensure};
use dataplane_tests::{
    net::{SOON, Site, inside, proof},
    peer::{FAR, NEAR, TENANTS, exchange, virtio},
};
use std::{
    net::UdpSocket,
    sync::{Mutex, MutexGuard, PoisonError},
};
use xtask::lab::{Netns, skip, wait_until};

/// There is one pair of NICs.
static NICS: Mutex<()> = Mutex::new(());

/// The NICs for the calling test alone; `None` skips it.
fn nics() -> Option<MutexGuard<'static, ()>> {
    let nics = NICS.lock().unwrap_or_else(PoisonError::into_inner);
    if virtio::there().expect("virtio_net can be loaded") {
        return Some(nics);
    }
    skip("this guest has no two virtio-net devices");
    None
}

/// Both hosts with the demo's policy and XDP on their NICs.
fn up(name: &str, change: impl Fn(String) -> String) -> Result<Site> {
    let mut site = virtio::bare(name)?;
    for host in [0, 1] {
        site.start(host, "xdp")?;
        site.apply(host, &change(site.demo()))?;
    }
    site.ready()?;
    for host in [0, 1] {
        let status = site.ask(host, &["status"])?;
        let uplink = &status["uplinks"][0];
        ensure!(uplink["mode"] == "xdp+tc", "{uplink}");
        let mode = virtio::xdp_mode(site.host(host))?;
        ensure!(mode == "xdp", "the kernel calls it {mode:?}");
    }
    Ok(site)
}

/// All kinds of traffic in both tenants, without a drop on either host.
fn carries_everything(site: &Site) -> Result<()> {
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
fn many_flows(from: &Netns, to: &Netns, address: &str) -> Result<()> {
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
fn queues_are_busy(site: &Site) -> Result<()> {
    for host in [0, 1] {
        wait_until("two busy queues", SOON, || {
            let queues = virtio::xdp_packets(site.host(host))?;
            let busy = queues.iter().filter(|packets| **packets > 0).count();
            ensure!(busy > 1, "XDP packets by queue of host {host}: {queues:?}");
            Ok(Some(()))
        })?;
    }
    Ok(())
}

#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn uplinks_run_xdp_natively_on_two_queues() {
    let Some(_nics) = nics() else { return };
    proof(up("vnic", |policy| policy), |site| {
        carries_everything(site)?;
        let (near, far) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        many_flows(near, far, FAR)?;
        many_flows(far, near, NEAR)?;
        queues_are_busy(site)?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn ports_at_xdp_send_by_the_nic() {
    let Some(_nics) = nics() else { return };
    let at_xdp = |policy: String| policy.replace("  attach:", "  mode: xdp\n  attach:");
    proof(up("vxport", at_xdp), |site| {
        for vm in ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"] {
            site.vm(vm).exec(&["ethtool", "-K", "eth0", "tx", "off"])?;
        }
        carries_everything(site)
    });
}

fn channels(site: &Site, count: &str) -> Result<()> {
    let set = ["ethtool", "-L", "eth0", "combined", count];
    site.host(0).exec(&set).map(drop)
}

/// With more queues in use than CPUs and too few left, a frame that XDP sends would crash kernels.
#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn xdp_on_too_many_queues_is_refused() {
    let Some(_nics) = nics() else { return };
    proof(virtio::bare("vmany"), |site| {
        channels(site, "4")?;
        let refused = site.start(0, "xdp").expect_err("nved started");
        let told = format!("{refused:#}");
        site.start(0, "auto")?;
        let attached = wait_until("the uplink at tc", SOON, || {
            let status = site.ask(0, &["status"])?;
            let mode = &status["uplinks"][0]["mode"];
            ensure!(mode == "tc", "{status}");
            Ok(Some(()))
        });
        // The device will be another test's.
        channels(site, "2")?;
        attached?;
        ensure!(told.contains("ethtool -L eth0 combined 2"), "{told}");
        Ok(())
    });
}
