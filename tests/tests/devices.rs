//! Devices of ports that come, go, move and change while `nved` runs.

use anyhow::{Result, ensure};
use aya::programs::{SchedClassifier, TcAttachType};
use dataplane_tests::net::{SOON, Site, cable, inside, ping, proof, stream::Stream};
use dataplane_user::ports::{netns::NetNs, watch};
use std::{
    sync::mpsc,
    time::{Duration, Instant},
};
use xtask::lab::{Netns, unique, wait_until};

const PORT: &str = "blue/blue-vm1";
const A: &str = "10.0.0.5";
const B: &str = "10.0.0.7";
const VMS: [&str; 4] = ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"];

/// A site whose `blue-vm1` is not there.
fn without_vm1(name: &str) -> Result<Site> {
    let mut site = Site::bare(name, &VMS[1..])?;
    for host in [0, 1] {
        site.start(host, "tc")?;
        site.apply(host, &site.demo())?;
    }
    site.becomes(0, PORT, "Pending: ")?;
    Ok(site)
}

/// A site whose `blue-vm1` hangs on `tap5`, a veth of others.
fn on_tap5(name: &str, mode: &str) -> Result<Site> {
    let mut site = Site::bare(name, &VMS)?;
    cable(site.host(0), "tap5", site.vm("blue-vm1"), "eth0")?;
    let address = ["ip", "address", "add", "10.0.0.5/24", "dev", "eth0"];
    site.vm("blue-vm1").exec(&address)?;
    for host in [0, 1] {
        site.start(host, mode)?;
        site.apply(host, &site.demo_at("{interface: tap5}"))?;
    }
    site.ready()?;
    site.like_wires()?;
    Ok(site)
}

fn ifindex(site: &Site) -> Result<u64> {
    Ok(site.port(0, PORT)?["ifindex"].as_u64().unwrap_or(0))
}

fn has_interface(site: &Site, name: &str) -> Result<()> {
    wait_until(&format!("{PORT} to have {name}"), SOON, || {
        let now = site.interface(0, PORT)?;
        ensure!(now == name, "it has {now:?}");
        Ok(Some(()))
    })
}

fn ip(place: &Netns, args: &[&str]) -> Result<String> {
    Ok(place.exec(&[&["ip"], args].concat())?.stdout)
}

/// Pings until they pass: what was counted as ready may still have been seen too late.
fn reaches(site: &Site) -> Result<()> {
    let vm = site.vm("blue-vm1");
    wait_until("a ping", SOON, || ping(vm, B, 56).map(Some))
}

fn programs(place: &Netns, device: &str) -> Result<usize> {
    let attached = || SchedClassifier::query_tcx(device, TcAttachType::Ingress).map_err(Into::into);
    Ok(inside(place, attached)?.1.len())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_namespace_is_told_of_when_it_is_mounted() {
    let name = unique("devmount");
    let (sender, told) = mpsc::channel();
    let there = {
        let name = name.clone();
        move || NetNs::open(&name).expect("it can be opened").is_some()
    };
    let seen = there.clone();
    watch::namespaces(move || sender.send(seen()).expect("the test listens")).expect("a watch");
    let expect = |wanted: bool| {
        let until = Instant::now() + SOON;
        while told.recv_timeout(until - Instant::now()).expect("news") != wanted {}
    };
    for _ in 0..5 {
        let netns = Netns::new(&name).expect("a namespace");
        expect(true);
        drop(netns);
        expect(false);
    }
    // What `ip netns add` has made before it mounts.
    let file = std::path::Path::new("/run/netns").join(&name);
    std::fs::write(&file, "").expect("a file");
    let half = there();
    std::fs::remove_file(&file).expect("the file is there");
    assert!(!half, "an empty file is taken for a namespace");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_port_is_back_within_a_second() {
    proof(without_vm1("devsecond"), |site| {
        let name = site.named("blue-vm1");
        let round = |site: &Site| -> Result<Duration> {
            let netns = Netns::new(&name)?;
            let made = Instant::now();
            site.becomes(0, PORT, "Ready")?;
            let took = made.elapsed();
            drop(netns);
            site.becomes(0, PORT, "Pending: ")?;
            Ok(took)
        };
        // Other tests may have the CPUs; one quiet moment shows it.
        let mut rounds = Vec::new();
        while rounds.len() < 30 {
            rounds.push(round(site)?);
            if let [.., a, b, c] = rounds[..]
                && [a, b, c].iter().all(|took| *took < Duration::from_secs(1))
            {
                return Ok(());
            }
        }
        anyhow::bail!("these rounds took longer: {rounds:?}")
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_namespace_made_again_under_load_has_its_port_back() {
    proof(without_vm1("devload"), |site| {
        let name = site.named("blue-vm1");
        let vm = Netns::new(&name)?.without_ipv6()?;
        site.ready()?;
        let far = site.vm("blue-vm2");
        let (out, back) = (
            Stream::start(&vm, far, B, 2000)?,
            Stream::start(far, &vm, A, 2000)?,
        );
        out.flows(500)?;
        back.flows(500)?;
        // Its sockets keep the namespace alive, and they go on sending.
        drop(vm);
        site.becomes(0, PORT, "Pending: network namespace")?;
        for (port, reason) in [("-", "PORT_UNKNOWN"), ("uplink", "NO_LOCAL_PORT")] {
            let before = site.dropped(0, port, reason)?;
            site.drops_reach(0, port, reason, before + 100)?;
        }
        let vm = Netns::new(&name)?.without_ipv6()?;
        site.becomes(0, PORT, "Ready")?;
        site.ready()?;
        ping(&vm, B, 56)?;
        let (again, ways) = (
            Stream::start(&vm, far, B, 2000)?,
            Stream::start(far, &vm, A, 2000)?,
        );
        again.flows(1000)?;
        ways.flows(1000)?;
        again.lossless()?;
        ways.lossless()?;
        drop((out, back));
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn both_ends_of_a_pair_may_be_renamed() {
    proof(Site::up("devname", "tc"), |site| {
        let before = ifindex(site)?;
        let name = site.interface(0, PORT)?;
        let (vm, far) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        let (out, back) = (
            Stream::start(vm, far, B, 5000)?,
            Stream::start(far, vm, A, 5000)?,
        );
        ip(site.host(0), &["link", "set", &name, "name", "green0"])?;
        ip(vm, &["link", "set", "eth0", "name", "ens3"])?;
        has_interface(site, "green0")?;
        out.flows(1000)?;
        site.nves[0].stop();
        site.resume(0)?;
        site.ready()?;
        has_interface(site, "green0")?;
        out.flows(1000)?;
        ensure!(ifindex(site)? == before, "it is another veth");
        ensure!(ip(site.vm("blue-vm1"), &["link"])?.contains("ens3"));
        out.lossless()?;
        back.lossless()?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interface_is_followed_to_another_name_until_the_name_is_there_again() {
    proof(on_tap5("devfollow", "tc"), |site| {
        let before = ifindex(site)?;
        ip(site.host(0), &["link", "set", "tap5", "name", "other5"])?;
        has_interface(site, "other5")?;
        reaches(site)?;
        site.nves[0].stop();
        site.resume(0)?;
        site.ready()?;
        has_interface(site, "other5")?;
        ensure!(ifindex(site)? == before, "it is another device");
        reaches(site)?;
        let place = Netns::fresh(&site.named("second"))?;
        cable(site.host(0), "tap5", &place, "eth0")?;
        has_interface(site, "tap5")?;
        wait_until("programs to follow", SOON, || {
            let (new, old) = (
                programs(site.host(0), "tap5")?,
                programs(site.host(0), "other5")?,
            );
            ensure!((new, old) == (1, 0), "{new} at tap5, {old} at other5");
            Ok(Some(()))
        })?;
        // Another name in the policy is another device.
        site.apply(0, &site.demo_at("{interface: missing5}"))?;
        site.becomes(0, PORT, "Pending: interface missing5 is not there")?;
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interface_that_is_moved_away_is_let_go_and_taken_back() {
    for mode in ["tc", "xdp"] {
        proof(on_tap5("devmove", mode), |site| {
            reaches(site)?;
            let attic = Netns::fresh(&site.named("attic"))?;
            let home = site.host(0).name().to_owned();
            ip(
                site.host(0),
                &["link", "set", "tap5", "netns", attic.name()],
            )?;
            site.becomes(0, PORT, "Pending: interface tap5 is not there")?;
            wait_until("programs to be detached", SOON, || {
                let left = programs(&attic, "tap5")?;
                ensure!(left == 0, "{left} programs moved along");
                Ok(Some(()))
            })?;
            ip(&attic, &["link", "set", "tap5", "netns", &home])?;
            site.becomes(0, PORT, "Pending: interface tap5 is down")?;
            ip(site.host(0), &["link", "set", "tap5", "up"])?;
            site.becomes(0, PORT, "Ready")?;
            reaches(site)?;
            // There and back before anybody looks.
            let (there, back) = (attic.path(), site.host(0).path());
            let script = format!(
                "ip link set tap5 netns {there}; nsenter --net={there} ip link set tap5 netns {back}; ip link set tap5 up",
                there = there.display(),
                back = back.display(),
            );
            site.host(0).exec(&["sh", "-ec", &script])?;
            reaches(site)?;
            site.ready()?;
            ensure!(programs(site.host(0), "tap5")? == 1, "not one program");
            reaches(site)?;
            site.conserved()
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_pair_whose_end_is_moved_is_taken_back_or_made_anew() {
    proof(Site::up("devends", "tc"), |site| {
        let attic = Netns::fresh(&site.named("attic"))?;
        let (name, home) = (site.interface(0, PORT)?, site.host(0).name().to_owned());
        ip(site.host(0), &["link", "set", &name, "netns", attic.name()])?;
        let state = site.becomes(0, PORT, "Pending: network namespace")?;
        ensure!(state.contains("eth0"), "{state}");
        ip(&attic, &["link", "set", &name, "netns", &home])?;
        site.becomes(0, PORT, "Ready")?;
        reaches(site)?;
        ensure!(programs(site.host(0), &name)? == 1, "not one program");
        // The policy says where the tenant's end belongs.
        let before = ifindex(site)?;
        ip(
            site.vm("blue-vm1"),
            &["link", "set", "eth0", "netns", attic.name()],
        )?;
        reaches(site)?;
        site.ready()?;
        ensure!(ifindex(site)? != before, "it is the former veth");
        let left = ip(&attic, &["-brief", "link"])?;
        ensure!(!left.contains("eth0"), "the former end is there: {left}");
        site.conserved()
    });
}

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
