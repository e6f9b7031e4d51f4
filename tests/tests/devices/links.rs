//! MTUs, and links that are down.

use super::{A, B, PORT, VMS, ifindex, ip, programs, reaches};
use anyhow::{Result, ensure};
use dataplane_tests::net::{SOON, Site, cable, proof, stream::Stream};
use xtask::lab::wait_until;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn mtus_follow_the_policy_or_the_device() {
    proof(Site::up("devmtu", "tc"), |site| {
        let name = site.interface(0, PORT)?;
        let mtu = |site: &Site| Ok::<_, anyhow::Error>(site.port(0, PORT)?["mtu"].as_u64());
        let policy = mtu(site)?.unwrap_or(0).to_string();
        ip(site.host(0), &["link", "set", &name, "mtu", "1200"])?;
        wait_until("the policy's MTU", SOON, || {
            let shown = ip(site.host(0), &["link", "show", &name])?;
            ensure!(shown.contains(&format!("mtu {policy} ")), "{shown}");
            Ok(Some(()))
        })?;
        reaches(site)?;
        cable(site.host(0), "tap5", site.vm("blue-vm1"), "eth1")?;
        site.apply(0, &site.demo_at("{interface: tap5}"))?;
        for bytes in [1500, 1300] {
            let set = bytes.to_string();
            ip(site.host(0), &["link", "set", "tap5", "mtu", &set])?;
            wait_until("the device's MTU", SOON, || {
                let now = mtu(site)?;
                ensure!(now == Some(bytes), "{now:?}");
                Ok(Some(()))
            })?;
        }
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_mtu_that_a_port_cannot_have_stops_no_traffic() {
    proof(Site::up("devbig", "tc"), |site| {
        site.like_wires()?;
        let (vm, far) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        vm.exec(&["ethtool", "-K", "eth0", "tx", "off"])?;
        let netns = format!("{{netns: {}}}", vm.name());
        site.apply(0, &site.demo_at(&format!("{netns}\n  mode: xdp")))?;
        site.ready()?;
        reaches(site)?;
        let before = (ifindex(site)?, site.port(0, PORT)?["mtu"].clone());
        let (out, back) = (
            Stream::start(vm, far, B, 2000)?,
            Stream::start(far, vm, A, 2000)?,
        );
        out.flows(500)?;
        back.flows(500)?;
        let underlay = |site: &Site, mtu: &str| -> Result<()> {
            for host in [0, 1] {
                ip(site.host(host), &["link", "set", "eth0", "mtu", mtu])?;
            }
            Ok(())
        };
        underlay(site, "9000")?;
        let words = [PORT, "takes no MTU of 8958", "goes on as it was"];
        let told = |site: &Site| {
            wait_until("a condition", SOON, || {
                let conditions = site.ask(0, &["status"])?["conditions"].to_string();
                Ok(words
                    .iter()
                    .all(|word| conditions.contains(word))
                    .then_some(()))
            })
        };
        told(site)?;
        // Rounds in which it could be taken out.
        out.flows(4000)?;
        back.flows(4000)?;
        site.nves[0].stop();
        site.resume(0)?;
        told(site)?;
        out.flows(2000)?;
        out.lossless()?;
        back.lossless()?;
        ensure!(site.state(0, PORT)? == "Ready", "it waits");
        let after = (ifindex(site)?, site.port(0, PORT)?["mtu"].clone());
        ensure!(after == before, "{before:?} became {after:?}");
        underlay(site, "1600")?;
        site.ready()?;
        reaches(site)?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_port_works_again_after_its_links_flapped() {
    for mode in ["tc", "xdp"] {
        proof(Site::up("devflap", mode), |site| {
            site.like_wires()?;
            let (name, before) = (site.interface(0, PORT)?, ifindex(site)?);
            ip(site.host(0), &["link", "set", &name, "down"])?;
            wait_until("the veth to be up", SOON, || {
                let up = ip(site.host(0), &["-brief", "link", "show", "up"])?;
                Ok(up.contains(&name).then_some(()))
            })?;
            reaches(site)?;
            let (vm, far) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
            for _ in 0..3 {
                ip(vm, &["link", "set", "eth0", "down"])?;
                ip(vm, &["link", "set", "eth0", "up"])?;
            }
            reaches(site)?;
            site.ready()?;
            let (out, back) = (
                Stream::start(vm, far, B, 2000)?,
                Stream::start(far, vm, A, 2000)?,
            );
            out.flows(1000)?;
            back.flows(1000)?;
            out.lossless()?;
            back.lossless()?;
            ensure!(ifindex(site)? == before, "it is another veth");
            wait_until("the default route", SOON, || {
                let routes = ip(vm, &["route"])?;
                ensure!(routes.contains("default via 10.0.0.1"), "{routes}");
                Ok(Some(()))
            })?;
            site.conserved()
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interface_that_is_down_waits_with_its_program() {
    proof(Site::bare("devdown", &VMS), |site| {
        cable(site.host(0), "tap5", site.vm("blue-vm1"), "eth0")?;
        let address = ["address", "add", "10.0.0.5/24", "dev", "eth0"];
        ip(site.vm("blue-vm1"), &address)?;
        ip(site.host(0), &["link", "set", "tap5", "down"])?;
        for host in [0, 1] {
            site.start(host, "tc")?;
            site.apply(host, &site.demo_at("{interface: tap5}"))?;
        }
        for _ in 0..3 {
            ip(site.host(0), &["link", "set", "tap5", "down"])?;
            site.becomes(0, PORT, "Pending: interface tap5 is down")?;
            let attached = programs(site.host(0), "tap5")?;
            ensure!(attached == 1, "{attached} programs are attached");
            ip(site.host(0), &["link", "set", "tap5", "up"])?;
            site.becomes(0, PORT, "Ready")?;
            reaches(site)?;
        }
        site.conserved()
    });
}
