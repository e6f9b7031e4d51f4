//! Devices of ports that come, go, move and change while `nved` runs.

mod links;
mod lists;
mod moves;

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
