//! XDP on a NIC's driver: two hosts with a multi-queue virtio-net NIC each.

use anyhow::{Result, ensure};
use dataplane_tests::{
    net::{PAIR, SOON, Site, proof, sent_by},
    peer::{
        FAR, NEAR,
        virtio::{
            self, SOURCES, carries_everything, from_each_source, many_flows, nics, on_demand,
            queues_are_busy,
        },
    },
};
use xtask::lab::wait_until;

#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn uplinks_run_xdp_natively_on_two_queues() {
    let Some(_nics) = nics() else { return };
    proof(virtio::up("vnic", |policy| policy, None), |site| {
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
    proof(virtio::up("vxport", at_xdp, None), |site| {
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
    proof(
        virtio::up("vdemand", |policy| on_demand(&policy), None),
        |site| {
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
        },
    );
}
