//! XDP on a NIC's driver: two hosts with a multi-queue virtio-net NIC each.

use anyhow::{Result, ensure};
use dataplane_tests::{
    net::{PAIR, SOON, Site, inside, proof, sent_by},
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

/// Addresses of `blue-vm1` beside its first: each is a source that `host-b` has to ask about.
const SOURCES: std::ops::Range<u8> = 100..164;

/// Blue has `onDemand` tables, and a VM with many addresses.
fn on_demand(policy: &str) -> String {
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
fn from_each_source(site: &Site) -> Result<()> {
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

/// Every queue of the NICs has a socket, in the mode that the driver offers.
fn sockets(site: &Site) -> Result<()> {
    for host in [0, 1] {
        let queues = site.queues(host, "eth0")?;
        ensure!(queues.len() > 1, "queues of host {host}: {queues:?}");
        for queue in &queues {
            let mode = queue["mode"].as_str().unwrap_or_default();
            println!("host {host}, queue {}: {mode}", queue["queue"]);
            ensure!(mode == "copy" || mode == "zeroCopy", "{queue}");
        }
    }
    Ok(())
}

/// Misses come from the NIC's queues by sockets of theirs, whatever else the queues carry.
#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn misses_come_by_sockets_on_every_queue() {
    let Some(_nics) = nics() else { return };
    proof(up("vdemand", |policy| on_demand(&policy)), |site| {
        sockets(site)?;
        from_each_source(site)?;
        let sources = u64::from(SOURCES.end - SOURCES.start);
        let punted = site.counter(1, "uplink", "ingress_punted")?;
        ensure!(punted >= sources, "{punted} punts of {sources} sources");
        let by_pair = sent_by(site.host(1), PAIR[0])?;
        let of_port = site.counter(1, "blue/blue-vm2", "egress_punted")?;
        ensure!(
            by_pair == of_port,
            "{by_pair} by the pair, {of_port} of the port"
        );
        carries_everything(site)?;
        let (near, far) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        many_flows(near, far, FAR)?;
        many_flows(far, near, NEAR)?;
        queues_are_busy(site)?;
        for host in [0, 1] {
            site.frames_accounted(host)?;
        }
        site.conserved()
    });
}
