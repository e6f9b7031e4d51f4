//! What an agent must not touch: the host's own devices, and tables of a host that it is not.

use anyhow::{Result, ensure};
use aya::programs::{SchedClassifier, TcAttachType};
use dataplane_tests::net::{SOON, Site, inside, ping, proof, stream::Stream};
use std::{thread::sleep, time::Duration};
use xtask::lab::{Nve, wait_until};

const PORT: &str = "blue/blue-vm1";
const B: &str = "10.0.0.7";
const PEER_PA: &str = "192.0.2.2";

/// The demo with `blue-vm1` at XDP, which a veth refuses at an MTU of this size.
fn without_xdp(site: &Site) -> String {
    let text = site.demo();
    let text = text.replacen("10.0.0.0/24]", "10.0.0.0/24]\n    mtu: 9000", 1);
    let attach = format!("attach: {{netns: {}}}", site.named("blue-vm1"));
    text.replace(&attach, &format!("{attach}\n  mode: xdp"))
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_port_takes_no_device_of_the_host() {
    proof(Site::up("guarddev", "tc"), |site| {
        let red = site.interface(0, "red/red-vm1")?;
        for (device, why) in [
            ("eth0", "interface eth0 is an uplink"),
            ("lo", "interface lo is the loopback"),
            (red.as_str(), "is already of a port"),
        ] {
            site.apply(0, &site.demo_at(&format!("{{interface: {device}}}")))?;
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

/// The name of another host of the same policy is no typing error that `nved` could see.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_name_of_another_host_leaves_tenants_alone() {
    proof(Site::up("guardother", "tc"), |site| {
        let stream = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), B, 2_000)?;
        stream.flows(500)?;
        for (host, told) in [
            ("host-b", Some("which are another host's")),
            ("host-a", None),
        ] {
            site.nves[0].stop();
            host.clone_into(&mut site.nves[0].spec_mut().host);
            site.resume(0)?;
            match told {
                Some(told) => wait_until(told, SOON, || {
                    let said = site.nvectl(0, &["status"])?.stdout;
                    Ok(said.contains(told).then_some(()))
                })?,
                None => site.ready()?,
            }
            // Some rounds in which it could do harm.
            stream.flows(4_000)?;
        }
        println!("{}", stream.lossless()?);
        site.conserved()
    });
}

/// A host that gets another name takes over its tables, and leaves no veth without a program.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_host_that_is_renamed_leaves_no_port_unguarded() {
    proof(Site::up("guardname", "tc"), |site| {
        let policy = site.demo().replace("host-a", "host-c");
        site.nves[0].stop();
        "host-c".clone_into(&mut site.nves[0].spec_mut().host);
        let store = site.nves[0].spec().dir.join("policy.redb");
        std::fs::remove_file(store)?;
        site.resume(0)?;
        site.apply(0, &policy)?;
        site.ready()?;
        wait_until("the former veths to go", SOON, || {
            let links = site.host(0).exec(&["ip", "-details", "link"])?.stdout;
            ensure!(!links.contains("alias nve host-a "), "{links}");
            ensure!(
                links.matches("alias nve host-c port ").count() == 2,
                "{links}"
            );
            Ok(Some(()))
        })?;
        ping(site.vm("blue-vm1"), B, 56)?;
        ping(site.vm("red-vm1"), B, 56)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_port_that_waits_for_xdp_keeps_its_tc_program() {
    proof(Site::up("guardtc", "tc"), |site| {
        let device = site.interface(0, PORT)?;
        site.apply(0, &without_xdp(site))?;
        site.becomes(0, PORT, "Pending: ")?;
        for _ in 0..60 {
            let attached =
                || SchedClassifier::query_tcx(&device, TcAttachType::Ingress).map_err(Into::into);
            let (_, programs) = inside(site.host(0), attached)?;
            ensure!(programs.len() == 1, "{} programs at tcx", programs.len());
            sleep(Duration::from_millis(50));
        }
        let state = site.becomes(0, PORT, "Pending: ")?;
        ensure!(
            state.contains("nve_xdp"),
            "it waits for another reason: {state}"
        );
        site.apply(0, &site.demo())?;
        site.ready()?;
        ping(site.vm("blue-vm1"), B, 56)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_new_veth_is_down_until_its_programs_are_attached() {
    proof(Site::bare("guarddown", &["blue-vm1"]), |site| {
        site.start(0, "tc")?;
        site.apply(0, &without_xdp(site))?;
        site.becomes(0, PORT, "Pending: ")?;
        sleep(Duration::from_secs(2));
        let links = |site: &Site, which: &[&str]| -> Result<usize> {
            let args = [&["ip", "-brief", "link", "show"], which].concat();
            let said = site.host(0).exec(&args)?.stdout;
            let of_ports = |line: &&str| line.starts_with("nve") && !line.starts_with("nve-up");
            Ok(said.lines().filter(of_ports).count())
        };
        ensure!(links(site, &[])? == 1, "there is no veth");
        ensure!(links(site, &["up"])? == 0, "the veth is up");
        site.apply(0, &site.demo())?;
        site.becomes(0, PORT, "Ready")?;
        ensure!(
            links(site, &["up"])? == 1,
            "the veth of a ready port is down"
        );
        Ok(())
    });
}
