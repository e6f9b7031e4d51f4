//! The upcall pair and the uplinks go and come.

use crate::{A, B, BLUE, address, knows, policy, site};
use anyhow::{Result, ensure};
use dataplane_tests::net::{Burst, Link, PAIR, SOON, Site, ping, proof, stream::Stream};
use std::path::Path;
use xtask::lab::{Netns, Nve, wait_until};

/// A first packet to a CA that was not asked for before arrives.
fn works(site: &Site, last: u8) -> Result<()> {
    let to = address(last);
    knows(site, &to)?;
    let (vm1, vm2) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
    // What was counted as ready may still have been seen too late.
    wait_until("a first packet", SOON, || {
        let mut burst = Burst::between(vm1, vm2, &to)?;
        burst.send(1)?;
        let arrived = burst.arrived()?.len();
        ensure!(arrived == 1, "it did not arrive");
        Ok(Some(()))
    })
}

fn ip(place: &Netns, args: &[&str]) -> Result<String> {
    Ok(place.exec(&[&["ip"], args].concat())?.stdout)
}

/// Waits until both ends are there with these names and have sockets.
fn pair_is(site: &Site, host: usize, names: [&str; 2]) -> Result<()> {
    wait_until("the upcall pair", SOON, || {
        for name in names {
            Link::named(site.host(host), name)?;
        }
        let queues = site.queues(host, names[1])?;
        ensure!(queues.len() == 1, "{queues:?}");
        ensure!(queues[0]["mode"] == "copy", "{queues:?}");
        Ok(Some(()))
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_pair_comes_back_whatever_happens_to_it() {
    proof(site("oddev", "tc"), |site| {
        let host = site.host(0);
        ping(site.vm("blue-vm1"), B, 56)?;
        let stream = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), B, 2000)?;
        stream.flows(100)?;
        let first = Link::named(host, PAIR[0])?.index;
        ip(host, &["link", "delete", PAIR[0]])?;
        wait_until("another pair", SOON, || {
            Ok((Link::named(host, PAIR[0])?.index != first).then_some(()))
        })?;
        pair_is(site, 0, PAIR)?;
        works(site, 100)?;
        let queues = site.queues(0, PAIR[1])?;
        ensure!(
            queues[0]["restarts"].as_u64() >= Some(1),
            "not counted: {queues:?}"
        );
        for end in [PAIR[1], PAIR[0]] {
            ip(host, &["link", "set", end, "down"])?;
            wait_until("the end to be up again", SOON, || {
                let shown = ip(host, &["link", "show", end])?;
                Ok(shown.contains("LOWER_UP").then_some(()))
            })?;
            works(site, if end == PAIR[1] { 101 } else { 102 })?;
        }
        ip(host, &["link", "set", PAIR[0], "name", "elsewhere"])?;
        works(site, 103)?;
        site.ready()?;
        stream.lossless()?;
        site.frames_accounted(0)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_at_xdp_comes_back_with_its_sockets() {
    proof(site("oduplink", "xdp"), |site| {
        works(site, 100)?;
        for end in ["down", "up"] {
            ip(site.host(1), &["link", "set", "eth0", end])?;
        }
        ping_again(site)?;
        // New sources at host-b: what it learned before says nothing.
        site.apply(
            1,
            &policy(site).replace("tableMode: onDemand", "tableMode: full"),
        )?;
        site.apply(1, &policy(site))?;
        works(site, 101)?;
        wait_until("the sockets", SOON, || {
            let queues = site.queues(1, "eth0")?;
            ensure!(!queues.is_empty(), "no queue");
            ensure!(queues.iter().all(|q| q["mode"] == "copy"), "{queues:?}");
            Ok(Some(()))
        })?;
        let punted = site.counter(1, "uplink", "ingress_punted")?;
        ensure!(punted > 0, "nothing came from the uplink");
        site.frames_accounted(1)
    });
}

fn ping_again(site: &Site) -> Result<()> {
    wait_until("pings again", SOON, || {
        ping(site.vm("blue-vm1"), B, 56).map(Some)
    })
}

/// Each end of the pair is refused to a port, and goes on.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_port_takes_an_end_of_the_pair() {
    proof(site("odguard", "tc"), |site| {
        for end in PAIR {
            let at_end = site.demo_at(&format!("{{interface: {end}}}"));
            site.apply(0, &crate::on_demand(&at_end))?;
            let waits = site.becomes(0, "blue/blue-vm1", "Pending")?;
            ensure!(waits.contains("upcall pair"), "it waits for {waits:?}");
        }
        site.apply(0, &policy(site))?;
        site.ready()?;
        works(site, 100)
    });
}

/// A device of others with our name, and a second `nved` in the same namespace.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn others_may_have_our_names() {
    let mut site = Site::bare("odnames", &crate::VMS);
    if let Ok(site) = &mut site {
        foreign(site.host(0)).expect("a device");
    }
    proof(site, |site| {
        let before = ip(site.host(0), &["link", "show", PAIR[0]])?;
        for host in [0, 1] {
            site.start(host, "tc")?;
            site.apply(host, &policy(site))?;
        }
        site.ready()?;
        pair_is(site, 0, ["nve-up2", "nve-up3"])?;
        let mut second = second(site)?;
        works(site, 100)?;
        ping(site.vm("blue-vm2"), A, 56)?;
        wait_until("the second pair", SOON, || {
            Link::named(site.host(0), "nve-up4").map(Some)
        })?;
        second.nvectl(&["unload"])?.success()?;
        second.stop();
        ensure!(Link::named(site.host(0), "nve-up4").is_err(), "it stays");
        works(site, 101)?;
        ensure!(site.in_use(0, BLUE)?.len() >= 2, "no records");
        site.nvectl(0, &["unload"])?.success()?;
        let links = ip(site.host(0), &["-brief", "link"])?;
        ensure!(
            !links.contains("nve-up2") && !links.contains("nve-up3"),
            "{links}"
        );
        let after = ip(site.host(0), &["link", "show", PAIR[0]])?;
        ensure!(before == after, "before: {before}\nafter: {after}");
        Ok(())
    });
}

fn foreign(host: &Netns) -> Result<()> {
    let add = [
        "link", "add", PAIR[0], "type", "veth", "peer", "name", PAIR[1],
    ];
    ip(host, &add)?;
    ip(
        host,
        &["link", "set", PAIR[0], "alias", "somebody else's", "up"],
    )?;
    ip(host, &["link", "set", PAIR[1], "up"]).map(drop)
}

/// An `nved` for another Host document beside that of `host-a`, on an uplink of its own.
fn second(site: &Site) -> Result<Nve> {
    let host = site.host(0);
    ip(
        host,
        &[
            "link", "add", "eth9", "type", "veth", "peer", "name", "eth8",
        ],
    )?;
    ip(host, &["address", "add", "192.0.9.1/24", "dev", "eth9"])?;
    for end in ["eth8", "eth9"] {
        ip(host, &["link", "set", end, "up"])?;
    }
    let nve = Nve::start_as(host, "host-c", "tc", |spec| {
        spec.uplinks = vec!["eth9".to_owned()];
    })?;
    let document = "apiVersion: nve/v1
kind: ProviderNetwork
metadata: {name: default}
spec:
  nvgre: {flowId: hash, outerTtl: 64, dscp: copy, foreignGre: pass}
---
apiVersion: nve/v1
kind: Host
metadata: {name: host-c}
spec:
  providerAddresses: [{address: 192.0.9.1, interface: eth9}]
";
    let file = site.file("second.yaml", document)?;
    let file: &Path = &file;
    nve.nvectl(&["apply", "-f", &file.to_string_lossy()])?
        .success()?;
    Ok(nve)
}
