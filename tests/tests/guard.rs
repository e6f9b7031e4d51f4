//! What an agent must not touch: the host's own devices, and tables of a host that it is not.

use anyhow::ensure;
use dataplane_tests::net::{SOON, Site, ping, proof};
use std::{thread::sleep, time::Duration};
use xtask::lab::{Nve, wait_until};

const PORT: &str = "blue/blue-vm1";
const B: &str = "10.0.0.7";
const PEER_PA: &str = "192.0.2.2";

/// The demo with `blue-vm1` on a device of the host.
fn on_device(site: &Site, device: &str) -> String {
    let netns = format!("{{netns: {}}}", site.named("blue-vm1"));
    let text = site.demo();
    assert!(text.contains(&netns), "the demo's first port moved");
    text.replace(&netns, &format!("{{interface: {device}}}"))
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_port_takes_no_device_of_the_host() {
    proof(Site::up("guarddev", "tc"), |site| {
        let red = site.ask(0, &["status"])?["ports"]
            .as_array()
            .and_then(|ports| ports.iter().find(|port| port["name"] == "red-vm1"))
            .and_then(|port| port["interface"].as_str())
            .unwrap_or_default()
            .to_owned();
        for (device, why) in [
            ("eth0", "interface eth0 is an uplink"),
            ("lo", "interface lo is the loopback"),
            (red.as_str(), "is already of a port"),
        ] {
            site.apply(0, &on_device(site, device))?;
            site.becomes(0, PORT, "Pending: ")?;
            let state = site.becomes(0, PORT, &format!("Pending: interface {device}"))?;
            ensure!(state.contains(why), "{state}");
            ping(site.host(0), PEER_PA, 56)?;
            ping(site.host(0), "127.0.0.1", 56)?;
            ping(site.vm("red-vm1"), B, 56)?;
        }
        site.apply(0, &site.demo())?;
        site.ready()?;
        ping(site.vm("blue-vm1"), B, 56)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_mistyped_host_leaves_tenants_alone() {
    proof(Site::up("guardhost", "tc"), |site| {
        site.nves[0].stop();
        let mut spec = site.nves[0].spec().clone();
        spec.host = "host-typo".to_owned();
        let typo = Nve::start_with(site.host(0), spec)?;
        let told = "no Host document named host-typo";
        wait_until(told, SOON, || {
            let said = typo.nvectl(&["status"])?.stdout;
            Ok(said.contains(told).then_some(()))
        })?;
        // Rounds in which it could do harm.
        sleep(Duration::from_secs(3));
        ping(site.vm("blue-vm1"), B, 56)
    });
}
