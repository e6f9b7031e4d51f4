//! Namespaces and agents that come and go; the dataplane stays as long as it should.

use anyhow::{Context, Result, ensure};
use aya::programs::{SchedClassifier, TcAttachType};
use dataplane_tests::net::{SOON, Site, inside, ping, proof};
use std::collections::BTreeMap;
use xtask::lab::{Netns, Proc, wait_until};

const PORT: &str = "blue/blue-vm1";
const B: &str = "10.0.0.7";

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_port_follows_its_namespace() {
    let present = ["blue-vm2", "red-vm1", "red-vm2"];
    proof(Site::bare("lifens", &present), |site| {
        for host in [0, 1] {
            site.start(host, "tc")?;
            site.apply(host, &site.demo())?;
        }
        let name = site.named("blue-vm1");
        for _ in 0..2 {
            let state = site.becomes(0, PORT, "Pending: ")?;
            ensure!(state.contains(&name), "it does not say for what: {state}");
            let status = site.nvectl(0, &["status"])?;
            ensure!(status.code() == 1, "a pending port is no degraded status");
            let vm = Netns::new(&name)?.without_ipv6()?;
            site.becomes(0, PORT, "Ready")?;
            site.ready()?;
            ping(&vm, B, 56)?;
        }
        Ok(())
    });
}

/// Pings every 20 ms until told to stop.
fn steady_ping(site: &Site) -> Result<Proc> {
    site.vm("blue-vm1")
        .spawn(&["ping", "-n", "-i", "0.02", "-W", "2", B])
}

fn replies(ping: &Proc) -> usize {
    ping.stdout().matches("bytes from").count()
}

fn more_replies(ping: &mut Proc, count: usize) -> Result<()> {
    let goal = replies(ping) + count;
    wait_until("more replies", SOON, || {
        ping.still_running()?;
        Ok((replies(ping) >= goal).then_some(()))
    })
}

fn none_lost(ping: Proc) -> Result<()> {
    // The last request may still be on its way when ping is told to stop.
    let said = ping.interrupt()?.stdout;
    let numbers: Vec<u64> = said
        .lines()
        .find(|line| line.contains(" received"))
        .context("ping printed no summary")?
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [sent, received, ..] = numbers[..] else {
        anyhow::bail!("no counts in {said}");
    };
    ensure!(sent <= received + 1 && received > 40, "{said}");
    Ok(())
}

fn survives(site: &mut Site, end: impl Fn(&mut Site) -> Result<()>) -> Result<()> {
    let mut ping = steady_ping(site)?;
    more_replies(&mut ping, 20)?;
    let before = site.counter(0, PORT, "egress_encapped")?;
    end(site)?;
    let gone = site.nvectl(0, &["status"])?;
    ensure!(gone.code() == 3, "an agent answered: {}", gone.stdout);
    more_replies(&mut ping, 20)?;
    site.resume(0)?;
    site.ready()?;
    more_replies(&mut ping, 20)?;
    let after = site.counter(0, PORT, "egress_encapped")?;
    ensure!(
        after >= before + 40,
        "{before} packets before, {after} after"
    );
    none_lost(ping)?;
    site.conserved()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_packet_is_lost_over_a_restart() {
    for mode in ["tc", "xdp"] {
        proof(Site::up("lifeterm", mode), |site| {
            survives(site, |site| {
                site.nves[0].stop();
                Ok(())
            })
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_packet_is_lost_over_a_kill() {
    proof(Site::up("lifekill", "tc"), |site| {
        survives(site, |site| site.nves[0].kill())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_deleted_port_is_detached_and_the_others_stay() {
    proof(Site::up("lifedel", "tc"), |site| {
        site.nvectl(0, &["delete", "port", "blue-vm1", "-n", "blue"])?
            .success()?;
        let links = site.host(0).exec(&["ip", "-brief", "link"])?.stdout;
        ensure!(
            links.matches("nve").count() == 1,
            "the veth is still there:\n{links}"
        );
        ping(site.vm("blue-vm1"), B, 56).expect_err("a deleted port still talks");
        ping(site.vm("red-vm1"), B, 56)?;
        site.apply(0, &site.demo())?;
        site.ready()?;
        ping(site.vm("blue-vm1"), B, 56)
    });
}

/// All that a dataplane could leave in a namespace, by `ip` and `tc`.
fn traces(netns: &Netns) -> Result<String> {
    let links = netns.exec(&["ip", "-details", "link"])?.stdout;
    let filters = netns.exec(&["tc", "qdisc", "show"])?.stdout;
    let attached = || SchedClassifier::query_tcx("eth0", TcAttachType::Ingress).map_err(Into::into);
    let (_, programs) = match netns.exec(&["ip", "link", "show", "eth0"]) {
        Ok(_) => inside(netns, attached)?,
        Err(_) => (0, Vec::new()),
    };
    Ok(format!(
        "{links}{filters}{} programs at tcx\n",
        programs.len()
    ))
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn unload_leaves_nothing() {
    for mode in ["tc", "xdp"] {
        let vms = ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"];
        proof(Site::bare("lifeunl", &vms), |site| {
            let places: Vec<_> = (0..2)
                .map(|host| site.host(host).name().to_owned())
                .chain(vms.iter().map(|vm| site.named(vm)))
                .collect();
            let all = |places: &[String]| -> Result<BTreeMap<String, String>> {
                let one = |name: &String| {
                    let netns = Netns::adopt(name)?.context("the namespace is gone")?;
                    let found = traces(&netns);
                    netns.leave();
                    Ok((name.clone(), found?))
                };
                places.iter().map(one).collect()
            };
            wait_until("the underlay's carrier", SOON, || {
                let up = |text: &String| !text.contains("NO-CARRIER");
                Ok(all(&places)?.values().all(up).then_some(()))
            })?;
            let before = all(&places)?;
            for host in [0, 1] {
                site.start(host, mode)?;
                site.apply(host, &site.demo())?;
            }
            site.ready()?;
            ping(site.vm("blue-vm1"), B, 56)?;
            ensure!(
                all(&places)? != before,
                "a dataplane leaves no trace even while it is there"
            );
            for host in [0, 1] {
                let pin = site.nves[host].spec().pin.clone();
                ensure!(
                    pin.join("links").read_dir()?.count() >= 3,
                    "no links are pinned"
                );
                site.nvectl(host, &["unload"])?.success()?;
                wait_until("nved to end", SOON, || {
                    Ok((site.nvectl(host, &["status"])?.code() == 3).then_some(()))
                })?;
                ensure!(!pin.exists(), "{} is still there", pin.display());
            }
            let after = all(&places)?;
            ensure!(after == before, "before: {before:#?}\nafter: {after:#?}");
            Ok(())
        });
    }
}
