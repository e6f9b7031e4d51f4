//! Ports on taps that `nved` makes for virtual machines.

use anyhow::{Result, ensure};
use dataplane_tests::{
    net::{
        PacketSocket, SOON, Site, TapVm, has_tcx, ping, proof,
        watch::{good, good_comes_first},
    },
    packet::who_has,
    policy::vm,
};
use std::time::Duration;
use xtask::lab::wait_until;

const PORT: &str = "blue/blue-vm1";
const TAP: &str = "vm5";
const A: [u8; 4] = [10, 0, 0, 5];
const B: [u8; 4] = [10, 0, 0, 7];

fn policy(site: &Site) -> String {
    site.demo_at("{tap: vm5}")
}

/// `blue-vm1` is a virtual machine on a tap, the other three are as in the demo.
fn up(name: &str, mode: &str) -> Result<Site> {
    let mut site = Site::bare(name, &["blue-vm2", "red-vm1", "red-vm2"])?;
    for host in [0, 1] {
        site.start(host, mode)?;
        site.apply(host, &policy(&site))?;
    }
    site.ready()?;
    Ok(site)
}

fn power_on(site: &Site) -> Result<TapVm> {
    TapVm::on(site.host(0), TAP, vm(5), A)
}

/// ARP, UDP and ICMP, both ways.
fn talks(site: &Site, machine: &TapVm) -> Result<()> {
    let far = PacketSocket::open(site.vm("blue-vm2"), "eth0")?;
    machine.send(&who_has(A, B))?;
    let answer =
        |frame: &[u8]| frame.get(12..14) == Some(&[8, 6]) && frame.get(20..22) == Some(&[0, 2]);
    let answer = machine.find("the answer to ARP", answer)?;
    ensure!(answer[22..28] == vm(7).0, "another MAC: {answer:x?}");
    machine.send(&good(A, B))?;
    good_comes_first(&far)?;
    far.send(&good(B, A))?;
    machine.find("the UDP packet", |frame| frame == good(B, A))?;
    ping(site.vm("blue-vm2"), "10.0.0.5", 1400)
}

fn ifindex(site: &Site) -> Result<u64> {
    let port = site.port(0, PORT)?;
    Ok(port["ifindex"].as_u64().unwrap_or(0))
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_virtual_machine_on_a_tap_talks_to_another_host() {
    for (uplink, port) in [("tc", "tc"), ("xdp", "tc"), ("tc", "xdp"), ("xdp", "xdp")] {
        proof(up("taptalk", uplink), |site| {
            site.like_wires()?;
            let attach = format!("{{tap: vm5}}\n  mode: {port}");
            site.apply(0, &site.demo_at(&attach))?;
            site.ready()?;
            talks(site, &power_on(site)?)?;
            site.conserved()
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_tap_outlives_nved_and_the_machine() {
    proof(up("taplife", "tc"), |site| {
        let (machine, before) = (power_on(site)?, ifindex(site)?);
        talks(site, &machine)?;
        site.nves[0].stop();
        talks(site, &machine)?;
        site.resume(0)?;
        site.ready()?;
        talks(site, &machine)?;
        site.nves[0].kill()?;
        site.resume(0)?;
        site.ready()?;
        talks(site, &machine)?;
        drop(machine);
        // Another address of the VM changes nothing about its tap.
        let other = policy(site).replace(
            "customerAddresses: [10.0.0.5]",
            "customerAddresses: [10.0.0.8]",
        );
        site.apply(0, &other)?;
        site.apply(0, &policy(site))?;
        site.ready()?;
        ensure!(ifindex(site)? == before, "it is another tap");
        talks(site, &power_on(site)?)?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_deleted_port_takes_its_tap_along() {
    proof(up("tapdel", "tc"), |site| {
        let machine = power_on(site)?;
        talks(site, &machine)?;
        site.nvectl(0, &["delete", "port", "blue-vm1", "-n", "blue"])?
            .success()?;
        machine.unplugged()?;
        let links = site.host(0).exec(&["ip", "-brief", "link"])?.stdout;
        ensure!(!links.contains(TAP), "the tap is still there:\n{links}");
        // A port that asks for another tap gets it, and the former one goes.
        site.apply(0, &policy(site))?;
        site.ready()?;
        site.apply(0, &site.demo_at("{tap: vm6}"))?;
        site.becomes(0, PORT, "Ready")?;
        wait_until("the former tap to go", SOON, || {
            let links = site.host(0).exec(&["ip", "-brief", "link"])?.stdout;
            Ok((links.contains("vm6") && !links.contains(TAP)).then_some(()))
        })
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_device_of_others_with_the_taps_name_is_not_touched() {
    let present = ["blue-vm2", "red-vm1", "red-vm2"];
    proof(Site::bare("tapforeign", &present), |site| {
        site.host(0)
            .exec(&["ip", "tuntap", "add", TAP, "mode", "tap"])?;
        let shown = |site: &Site| -> Result<String> {
            Ok(site
                .host(0)
                .exec(&["ip", "-d", "link", "show", TAP])?
                .stdout)
        };
        let before = shown(site)?;
        site.start(0, "tc")?;
        site.apply(0, &policy(site))?;
        let state = site.becomes(0, PORT, "Pending: interface vm5")?;
        ensure!(state.contains("is not nved's"), "{state}");
        // Rounds in which it could be touched.
        std::thread::sleep(Duration::from_secs(2));
        let after = shown(site)?;
        ensure!(after == before, "before: {before}after: {after}");
        site.host(0).exec(&["ip", "link", "delete", TAP])?;
        site.becomes(0, PORT, "Ready")?;
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_tap_is_down_until_its_programs_are_attached_and_for_root_alone() {
    let present = ["blue-vm2", "red-vm1", "red-vm2"];
    proof(Site::bare("tapdown", &present), |site| {
        site.start(0, "tc")?;
        // Folders where the links' pins will be: nothing can be attached.
        let links = site.nves[0].spec().pin.join("links");
        let hook = if has_tcx() { "tc" } else { "clsact" };
        let pins: Vec<_> = (2..60).map(|n| links.join(format!("{hook}-{n}"))).collect();
        let (taken, blocked): (Vec<_>, _) = pins.into_iter().partition(|pin| pin.exists());
        ensure!(taken.len() == 1, "the uplink has no link");
        for pin in &blocked {
            std::fs::create_dir(pin)?;
        }
        site.apply(0, &policy(site))?;
        site.becomes(0, PORT, "Pending: ")?;
        std::thread::sleep(Duration::from_secs(2));
        let shown = |args: &[&str]| Ok::<_, anyhow::Error>(site.host(0).exec(args)?.stdout);
        let link = ["ip", "-brief", "link", "show"];
        ensure!(shown(&link)?.contains(TAP), "there is no tap");
        let up = shown(&[&link[..], &["up"]].concat())?;
        ensure!(!up.contains(TAP), "the tap is up: {up}");
        for pin in &blocked {
            std::fs::remove_dir(pin)?;
        }
        site.becomes(0, PORT, "Ready")?;
        let up = shown(&[&link[..], &["up"]].concat())?;
        ensure!(up.contains(TAP), "the tap of a ready port is down");
        let taps = shown(&["ip", "-details", "link", "show", TAP])?;
        ensure!(taps.contains("user root"), "anybody may open it: {taps}");
        Ok(())
    });
}
