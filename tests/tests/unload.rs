//! After `nvectl unload` nothing of ours is left, and all that others have is as it was.

use anyhow::{Context, Result, ensure};
use aya::programs::{
    SchedClassifier, TcAttachType,
    tc::{NlOptions, TcAttachOptions},
};
use dataplane_tests::{
    net::{
        SOON, Site, has_tcx, inside, ping, proof,
        traces::{Objects, all_traces},
    },
    stranger::stranger,
};
use std::path::Path;
use xtask::lab::{Netns, NveSpec, run, skip, wait_until};

const VMS: [&str; 5] = ["blue-vm1", "blue-vm2", "blue-vm3", "red-vm1", "red-vm2"];

/// One port of each kind on `host-a`: blue-vm1 by namespace, red-vm1 in XDP mode, and
/// blue-vm3 by an interface that exists.
fn every_kind(site: &Site) -> String {
    let red = format!("  attach: {{netns: {}}}", site.named("red-vm1"));
    let existing = "---
apiVersion: nve/v1
kind: Port
metadata: {name: blue-vm3, vmNetwork: blue}
spec:
  host: host-a
  virtualSubnetId: 6001
  macAddress: 02:00:00:00:00:09
  customerAddresses: [10.0.0.9]
  attach: {interface: tap9}
";
    site.demo().replace(&red, &format!("  mode: xdp\n{red}")) + existing
}

/// The interface that blue-vm3 has without us.
fn interface(site: &Site) -> Result<()> {
    let mut link = site.host(0).command("ip");
    link.args(["link", "add", "name", "tap9", "mtu", "1500", "type", "veth"]);
    link.args(["peer", "name", "eth0", "mtu", "1500", "netns"]);
    run(link.arg(site.vm("blue-vm3").path()))?;
    site.vm("blue-vm3")
        .exec(&["ip", "link", "set", "eth0", "up"])?;
    site.host(0).exec(&["ip", "link", "set", "tap9", "up"])?;
    Ok(())
}

fn places(site: &Site) -> Result<Vec<String>> {
    let hosts = (0..2).map(|host| site.host(host).name().to_owned());
    let places: Vec<_> = hosts.chain(VMS.iter().map(|vm| site.named(vm))).collect();
    wait_until("carrier", SOON, || {
        let told = all_traces(&places)?;
        let up = |(_, text): &(String, String)| !text.contains("NO-CARRIER");
        Ok(told.iter().all(up).then_some(()))
    })?;
    Ok(places)
}

/// Unloads a host and waits for the end of its `nved`.
fn unload(site: &Site, host: usize) -> Result<()> {
    let (pin, socket) = (
        site.nves[host].spec().pin.clone(),
        site.nves[host].spec().socket(),
    );
    site.nvectl(host, &["unload"])?.success()?;
    wait_until("nved to end", SOON, || {
        Ok((site.nvectl(host, &["status"])?.code() == 3).then_some(()))
    })?;
    for left in [&pin, &socket] {
        ensure!(!left.exists(), "{} is still there", left.display());
    }
    Ok(())
}

/// Both hosts with every kind of port, and traffic; the second `nved` of `host-a`, which has to
/// know what the first made.
fn in_use(site: &mut Site, mode: &str, hook: &str) -> Result<()> {
    for host in [0, 1] {
        site.start_as(host, mode, |spec| {
            spec.flags = vec!["--tc-hook".into(), hook.into()];
        })?;
        site.apply(host, &every_kind(site))?;
    }
    site.ready()?;
    ping(site.vm("blue-vm1"), "10.0.0.7", 56)?;
    site.nves[0].kill()?;
    site.resume(0)?;
    site.ready()
}

fn comes_and_goes(site: &mut Site, mode: &str, hook: &str) -> Result<()> {
    interface(site)?;
    let places = places(site)?;
    let before = all_traces(&places)?;
    in_use(site, mode, hook)?;
    let with = all_traces(&places)?;
    for ((place, before), (_, with)) in before.iter().zip(&with) {
        let own = place == &site.named("blue-vm3");
        ensure!(
            own || before != with,
            "a dataplane leaves no trace in {place} while it is there"
        );
    }
    let objects = [0, 1]
        .map(|host| Objects::of(site.nves[host].pid().context("nved runs")?))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    // The upcall pair has one with both hooks, for its program at XDP.
    let more = objects.iter().all(|objects| objects.links() > 1);
    ensure!(
        more == (hook == "tcx" || mode == "xdp"),
        "links: {objects:?}"
    );
    for host in [0, 1] {
        unload(site, host)?;
    }
    let after = all_traces(&places)?;
    ensure!(after == before, "before: {before:#?}\nafter: {after:#?}");
    objects.iter().try_for_each(Objects::gone)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn unload_leaves_nothing_of_tcx() {
    if !has_tcx() {
        return skip("this kernel has no tcx");
    }
    for mode in ["tc", "xdp"] {
        proof(Site::bare("unltcx", &VMS), |site| {
            comes_and_goes(site, mode, "tcx")
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn unload_leaves_nothing_of_clsact() {
    for mode in ["tc", "xdp"] {
        proof(Site::bare("unlcls", &VMS), |site| {
            comes_and_goes(site, mode, "clsact")
        });
    }
}

/// A filter of somebody else at the egress of a device; it stays when the object is dropped.
fn foreign_filter(netns: &Netns, device: &str) -> Result<()> {
    let mut object = stranger()?;
    let program: &mut SchedClassifier = object
        .program_mut("xyz_tc_ingress")
        .context("no program")?
        .try_into()?;
    program.load()?;
    inside(netns, || {
        let options = TcAttachOptions::Netlink(NlOptions::default());
        let id = program.attach_with_options(device, TcAttachType::Egress, options)?;
        std::mem::forget(program.take_link(id)?);
        Ok(())
    })
}

fn qdiscs(netns: &Netns) -> Result<String> {
    Ok(netns.exec(&["tc", "qdisc"])?.stdout)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn unload_leaves_the_clsact_qdisc_of_somebody_else() {
    proof(Site::bare("unlqd", &VMS), |site| {
        interface(site)?;
        let bare = places(site).and_then(|places| all_traces(&places))?;
        let eth0 = |host: usize| qdiscs(site.host(host)).map(|told| told.contains("clsact"));
        site.host(0)
            .exec(&["tc", "qdisc", "add", "dev", "eth0", "clsact"])?;
        ensure!(!eth0(1)?, "host-b has a clsact qdisc already");
        let before = all_traces(&[site.host(0).name().to_owned()])?;
        for host in [0, 1] {
            site.start_as(host, "tc", |spec| {
                spec.flags = vec!["--tc-hook".into(), "clsact".into()];
            })?;
            site.apply(host, &every_kind(site))?;
        }
        site.ready()?;
        ensure!(qdiscs(site.host(0))?.contains("clsact ffff: dev tap9"));
        site.nvectl(0, &["delete", "port", "blue-vm3", "-n", "blue"])?
            .success()?;
        ensure!(!qdiscs(site.host(0))?.contains("clsact ffff: dev tap9"));
        foreign_filter(site.host(1), "eth0")?;
        unload(site, 0)?;
        unload(site, 1)?;
        let after = all_traces(&[site.host(0).name().to_owned()])?;
        ensure!(after == before, "before: {before:#?}\nafter: {after:#?}");
        let host_b = all_traces(&[site.host(1).name().to_owned()])?;
        let filters = host_b[0].1.matches("xyz_tc_ingress").count();
        ensure!(filters > 0, "the other's filter went: {host_b:#?}");
        site.host(1)
            .exec(&["tc", "qdisc", "del", "dev", "eth0", "clsact"])?;
        let host_b = all_traces(&[site.host(1).name().to_owned()])?;
        ensure!(bare.contains(&host_b[0]), "more than that: {host_b:#?}");
        Ok(())
    });
}

/// A second underlay of `host-a`, and an `nved` on it that is another host, `host-c`.
fn second_nved(site: &mut Site) -> Result<()> {
    let mut link = site.host(0).command("ip");
    link.args(["link", "add", "name", "eth1", "mtu", "1600", "type", "veth"]);
    run(link.args(["peer", "name", "wire1", "mtu", "1600"]))?;
    for device in ["eth1", "wire1"] {
        site.host(0).exec(&["ip", "link", "set", device, "up"])?;
    }
    let pa = ["ip", "address", "add", "198.51.100.1/24", "dev", "eth1"];
    site.host(0).exec(&pa)?;
    site.start_as(0, "tc", |spec: &mut NveSpec| {
        spec.host = "host-c".into();
        spec.uplinks = vec!["eth1".into()];
    })?;
    let policy = site
        .demo()
        .replace("host-a", "host-c")
        .replace(
            "192.0.2.1, interface: eth0",
            "198.51.100.1, interface: eth1",
        )
        .replace(&site.named("blue-vm1"), &site.named("blue-vm3"));
    site.apply(1, &policy)?;
    site.becomes(1, "blue/blue-vm1", "Ready").map(drop)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn unload_with_a_wrong_host_takes_its_ports_along_and_no_others() {
    proof(Site::bare("unlhost", &VMS), |site| {
        site.start(0, "tc")?;
        let ports = format!("{{netns: {}}}", site.named("red-vm1"));
        let policy = site.demo().replace(&ports, "{interface: none9}");
        site.apply(0, &policy)?;
        site.becomes(0, "blue/blue-vm1", "Ready")?;
        second_nved(site)?;
        let veths = |site: &Site| -> Result<Vec<String>> {
            let listed = site.host(0).exec(&["ip", "link"])?.stdout;
            let aliases = listed
                .lines()
                .filter_map(|line| line.split_once("alias nve "));
            Ok(aliases.map(|(_, alias)| alias.trim().to_owned()).collect())
        };
        let mut both = veths(site)?;
        both.sort();
        ensure!(
            both == [
                "host-a port blue/blue-vm1",
                "host-a upcall far",
                "host-a upcall near",
                "host-c port blue/blue-vm1",
                "host-c port red/red-vm1",
                "host-c upcall far",
                "host-c upcall near",
            ],
            "{both:?}"
        );
        site.nves[0].stop();
        site.nves[0].spec_mut().host = "host-typo".into();
        site.resume(0)?;
        unload(site, 0)?;
        let mut left = veths(site)?;
        left.sort();
        ensure!(left == both[3..], "{left:?}");
        ensure!(Path::new(&site.nves[1].spec().pin).exists());
        site.becomes(1, "blue/blue-vm1", "Ready").map(drop)
    });
}
