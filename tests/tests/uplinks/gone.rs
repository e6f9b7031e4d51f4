//! Uplinks that are not there: deleted, replaced, in another namespace, late at the start.

use super::{ip, pins, recable, says, works};
use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{Link, SOON, Site, ping, proof};
use std::time::{Duration, Instant};
use xtask::lab::{Netns, output, wait_until};

fn recreated(mode: &str) {
    proof(Site::up("upnew", mode), |site| {
        ip(site.host(0), "link delete eth0")?;
        says(site, "uplink eth0 is not there")?;
        // Tenants keep the MTU that the uplink will have again.
        let mtu = Link::named(site.vm("blue-vm1"), "eth0")?.mtu;
        ensure!(mtu == 1558, "the tenant has MTU {mtu}");
        recable(site)?;
        // Events tell of it; a CPU that others use may make one of these late.
        wait_until("an uplink that is back within a second", SOON, || {
            ip(site.host(0), "link delete eth0")?;
            says(site, "uplink eth0 is not there")?;
            recable(site)?;
            let since = Instant::now();
            site.ready()?;
            let took = since.elapsed();
            println!("ready again after {took:?}");
            ensure!(took < Duration::from_secs(1), "it took {took:?}");
            Ok(Some(()))
        })?;
        site.like_wires()?;
        works(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_that_is_made_again_is_used_again_with_tc() {
    recreated("tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_that_is_made_again_is_used_again_with_xdp() {
    recreated("xdp");
}

/// As when it is replaced between two looks: nothing but its programs is missing.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_twin_of_the_uplink_gets_programs_too() {
    proof(Site::up("uptwin", "tc"), |site| {
        let before = Link::named(site.host(0), "eth0")?;
        let (index, mac, far) = (before.index, &before.mac, site.named("host-b"));
        let batch = format!(
            "link delete eth0\n\
             link add eth0 index {index} address {mac} mtu 1600 type veth peer name eth0 mtu 1600 netns {far}\n\
             address add 192.0.2.1/24 dev eth0\n\
             link set eth0 up\n"
        );
        let file = site.file("batch", batch)?;
        unseen(site, || {
            let batch = ["ip", "-batch", &file.to_string_lossy()];
            site.host(0).exec(&batch)?;
            ip(site.host(1), "address add 192.0.2.2/24 dev eth0")?;
            ip(site.host(1), "link set eth0 up")
        })?;
        ensure!(before == Link::named(site.host(0), "eth0")?, "no twin");
        wait_until("programs on the twin", SOON, || works(site).map(Some))
    });
}

/// Does something while the `nved` of `host-a` looks away.
fn unseen(site: &Site, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let pid = site.nves[0].pid().context("no nved")?.to_string();
    site.host(0).exec(&["kill", "-STOP", &pid])?;
    let done = work();
    site.host(0).exec(&["kill", "-CONT", &pid])?;
    done
}

/// Both hosts, the first one's `nved` with a hook of this kind.
fn hooked(mode: &str, hook: &'static str) -> Result<Site> {
    Site::up_as("upns", mode, |host, spec| {
        if host == 0 {
            spec.flags.push(format!("--tc-hook={hook}"));
        }
    })
}

fn elsewhere(mode: &str, hook: &'static str) {
    proof(hooked(mode, hook), |site| {
        site.like_wires()?;
        let index = Link::named(site.host(0), "eth0")?.index;
        let away = Netns::fresh(&site.named("away"))?;
        ip(
            site.host(0),
            &format!("link set eth0 netns {}", away.name()),
        )?;
        says(site, "uplink eth0 is not there")?;
        wait_until("programs that let go", SOON, || {
            let pins = pins(site)?;
            let on = pins.iter().any(|pin| pin.ends_with(&format!("-{index}")));
            ensure!(!on, "{pins:?}");
            Ok(Some(()))
        })?;
        // There the device is as any other: what comes reaches the stack, NVGRE too.
        ip(&away, "address add 192.0.2.1/24 dev eth0")?;
        ip(&away, "link set eth0 up")?;
        let before = site.counter(0, "uplink", "ingress_received")?;
        ping(&away, "192.0.2.2", 56)?;
        let mut once = site.vm("blue-vm2").command("ping");
        once.args(["-n", "-c", "3", "-i", "0.05", "-W", "0.2", "10.0.0.5"]);
        output(&mut once, SOON)?;
        let now = site.counter(0, "uplink", "ingress_received")?;
        ensure!(before == now, "{before} packets, then {now}");
        let back = format!("link set eth0 netns {}", site.host(0).name());
        ip(&away, &back)?;
        ip(site.host(0), "address add 192.0.2.1/24 dev eth0")?;
        ip(site.host(0), "link set eth0 up")?;
        works(site)?;
        // The same, and nobody looked.
        unseen(site, || {
            let there = format!("link set eth0 netns {}", away.name());
            ip(site.host(0), &there)?;
            ip(&away, &back)?;
            ip(site.host(0), "address add 192.0.2.1/24 dev eth0")?;
            ip(site.host(0), "link set eth0 up")
        })?;
        wait_until("packets again", SOON, || works(site).map(Some))
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_in_another_namespace_is_let_go_until_it_returns_with_tc() {
    elsewhere("tc", "tcx");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_in_another_namespace_is_let_go_until_it_returns_with_xdp() {
    elsewhere("xdp", "tcx");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_in_another_namespace_is_let_go_until_it_returns_with_clsact() {
    elsewhere("tc", "clsact");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_that_is_late_is_waited_for_if_it_was_there_before() {
    proof(Site::up("uplate", "tc"), |site| {
        let log = |site: &Site| site.nves[0].log();
        site.nves[0].stop();
        ip(site.host(0), "link delete eth0")?;
        site.resume(0)?;
        says(site, "uplink eth0 is not there")?;
        recable(site)?;
        works(site)?;
        // A name that never was is a mistake, also beside one that is good.
        site.nves[0].stop();
        let spec = site.nves[0].spec_mut();
        spec.uplinks.push("eht1".to_owned());
        let started = site.resume(0);
        let error = started.err().context("it started")?;
        let told = format!("{error:#}").contains("uplink eht1 is not there and never was");
        ensure!(told, "{error:#}\n{}", log(site));
        site.nves[0].spec_mut().uplinks.pop();
        site.resume(0)?;
        works(site)
    });
}
