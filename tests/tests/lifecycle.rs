//! Namespaces and agents that come and go; the dataplane stays as long as it should.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{SOON, Site, ping, proof};
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
        let of_ports = |line: &&str| line.starts_with("nve") && !line.starts_with("nve-up");
        ensure!(
            links.lines().filter(of_ports).count() == 1,
            "the veth is still there:\n{links}"
        );
        ping(site.vm("blue-vm1"), B, 56).expect_err("a deleted port still talks");
        ping(site.vm("red-vm1"), B, 56)?;
        site.apply(0, &site.demo())?;
        site.ready()?;
        ping(site.vm("blue-vm1"), B, 56)
    });
}
