//! What `nvectl` tells of the slow path, and what its settings change.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{SOON, Site, ping, proof};
use serde_json::Value;
use xtask::lab::wait_until;

const B: &str = "10.0.0.7";
const VM1: &str = "blue/blue-vm1";

/// The demo's two tenants, of which blue has `onDemand` tables; nveds with further flags.
fn site(name: &str, flags: &[&str]) -> Result<Site> {
    let mut site = Site::bare(name, &["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"])?;
    for host in [0, 1] {
        site.start_as(host, "tc", |spec| {
            spec.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        })?;
        let on_demand = "  tableMode: onDemand\n  slowPathWeight: 3\n  virtualSubnets:";
        // Tenants of blue may send packets that the path, of 1558 bytes, does not carry.
        let policy = site
            .demo()
            .replacen("  virtualSubnets:", on_demand, 1)
            .replacen(
                "    virtualSubnetId: 6001",
                "    mtu: 1700\n    virtualSubnetId: 6001",
                1,
            );
        site.apply(host, &policy)?;
    }
    site.ready()?;
    Ok(site)
}

/// What is told of a VM network on the first host.
fn upcalls(site: &Site, network: &str) -> Result<Value> {
    let list = site.ask(0, &["get", "upcalls"])?;
    let items = list["items"].as_array().context("items")?;
    let found = items.iter().find(|item| item["vmNetwork"] == network);
    found
        .cloned()
        .with_context(|| format!("no {network}: {list}"))
}

fn number(of: &Value, pointer: &str) -> u64 {
    of.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// The upcall pair's queue on the first host.
fn queue(site: &Site) -> Result<Value> {
    let status = site.ask(0, &["status"])?;
    let queues = status["slowPath"]["queues"].as_array().context("queues")?;
    ensure!(queues.len() == 1, "{queues:?}");
    Ok(queues[0].clone())
}

/// One ping to each address, whether anybody answers or not.
fn knock(site: &Site, addresses: &[&str]) -> Result<()> {
    let mut pings = Vec::new();
    for address in addresses {
        pings.push(
            site.vm("blue-vm1")
                .spawn(&["ping", "-c1", "-W1", address])?,
        );
    }
    for ping in pings {
        ping.wait(SOON)?;
    }
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn upcalls_and_drops_are_told_by_tenant() {
    proof(site("upctell", &[]), |site| {
        ping(site.vm("blue-vm1"), B, 56)?;
        // The answer to the ping is told by nved: it does not fit.
        let vm1 = site.vm("blue-vm1");
        let refused = vm1.exec(&["ping", "-c1", "-W2", "-Mdo", "-s1600", B]);
        ensure!(
            refused.is_err() || refused?.code() != 0,
            "1628 bytes passed"
        );
        let blue = wait_until("every upcall to have ended", SOON, || {
            let blue = upcalls(site, "blue")?;
            let ends = number(&blue, "/reinjected") + number(&blue, "/dropped");
            let ended = number(&blue, "/held") == 0 && ends == number(&blue, "/punted");
            ensure!(ended && number(&blue, "/dropped") > 0, "{blue}");
            Ok(Some(blue))
        })?;
        let punted = number(&blue, "/punted");
        ensure!(
            number(&blue, "/punts/MISS") >= 1 && number(&blue, "/punts/OVERSIZE") == 1,
            "{blue}"
        );
        ensure!(
            number(&blue, "/reinjected") >= 1 && number(&blue, "/answered") == 1,
            "{blue}"
        );
        ensure!(
            number(&blue, "/weight") == 3 && number(&blue, "/recordsInUse") == 1,
            "{blue}"
        );
        ensure!(number(&blue, "/latency/p50Microseconds") > 0, "{blue}");
        let (p50, p99) = ("/latency/p50Microseconds", "/latency/p99Microseconds");
        ensure!(number(&blue, p50) <= number(&blue, p99), "{blue}");
        let red = upcalls(site, "red")?;
        ensure!(
            number(&red, "/punted") == 0 && red["latency"].is_null(),
            "{red}"
        );

        // What user space dropped is among the drops of the port, and of the tenant.
        let told = number(&blue, "/drops/MTU_EXCEEDED");
        let drops = site.ask(0, &["get", "drops"])?;
        let items = drops["items"].as_array().context("items")?;
        let drop = items
            .iter()
            .find(|d| d["port"] == VM1 && d["reason"] == "MTU_EXCEEDED");
        let drop = drop.with_context(|| drops.to_string())?;
        ensure!(
            told >= 1 && number(drop, "/inUserSpace") == told,
            "{told}: {drop}"
        );
        ensure!(drop["direction"] == "egress", "{drop}");
        ensure!(
            number(drop, "/packets") >= told && number(drop, "/bytes") > 0,
            "{drop}"
        );

        let table = site.nvectl(0, &["get", "upcalls"])?.success()?.stdout;
        let row = table.lines().find(|line| line.starts_with("blue "));
        let cells: Vec<&str> = row.context("no row")?.split_whitespace().collect();
        ensure!(cells[1] == punted.to_string(), "{punted} in:\n{table}");
        ensure!(table.starts_with("VMNETWORK  PUNTED"), "{table}");
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_restart_of_the_slow_path_is_told_and_costs_no_later_packet() {
    proof(site("upcrest", &[]), |site| {
        let before = number(&queue(site)?, "/restarts");
        let said = site.nvectl(0, &["restart", "slow-path"])?.success()?;
        ensure!(
            said.stdout == "1 worker of the slow path restarted\n",
            "{}",
            said.stdout
        );
        let queue = wait_until("another socket", SOON, || {
            let queue = queue(site)?;
            let again = number(&queue, "/restarts") > before && queue["mode"] == "copy";
            Ok((again && number(&queue, "/frames/all") > 0).then_some(queue))
        })?;
        ensure!(number(&queue, "/frames/lost") == 0, "{queue}");
        ensure!(
            queue["trouble"]
                .as_str()
                .is_some_and(|why| why.contains("request")),
            "{queue}"
        );
        let status = site.nvectl(0, &["status"])?.success()?.stdout;
        let row = status.lines().find(|line| line.starts_with("nve-up"));
        ensure!(
            row.is_some_and(|row| row.contains("  copy  1  ")),
            "{status}"
        );
        ping(site.vm("blue-vm1"), B, 56)?;
        ensure!(
            number(&upcalls(site, "blue")?, "/reinjected") >= 1,
            "not by user space"
        );
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn limits_from_the_settings_hold() {
    let flags = [
        "--negative-per-tenant=1",
        "--negative-seconds=5",
        "--punt-rate=1",
        "--punt-burst=3",
    ];
    proof(site("upclimit", &flags), |site| {
        let absent: Vec<String> = (100..120).map(|last| format!("10.0.0.{last}")).collect();
        let absent: Vec<&str> = absent.iter().map(String::as_str).collect();
        knock(site, &absent)?;
        let blue = upcalls(site, "blue")?;
        ensure!(number(&blue, "/negativeAnswers") <= 1, "{blue}");
        let refused = site.dropped(0, VM1, "PUNT_RATE")?;
        ensure!(
            refused >= 10,
            "{refused} of 20 or more, at 3 and one a second: {blue}"
        );
        ensure!(number(&blue, "/punted") < refused, "{refused}: {blue}");
        site.conserved()
    });
}
