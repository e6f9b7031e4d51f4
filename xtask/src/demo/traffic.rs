//! What the tenants send, and what they must not get through.

use super::stage::Stage;
use super::tenants::{PEER, Tenant};
use anyhow::{Context, Result, bail, ensure};
use std::time::Duration;
use xtask::lab::{self, Netns, iperf};

/// A packet that `host-a` has to drop.
pub(super) struct Provocation {
    pub(super) what: &'static str,
    pub(super) reason: &'static str,
    /// The VM or host that sends it.
    from: &'static str,
    /// The port that it is counted at, or `uplink`.
    port: &'static str,
    /// Commands in the namespace that make it possible, and take it back.
    prepare: &'static [&'static str],
    restore: &'static [&'static str],
    ping: &'static [&'static str],
}

pub(super) const PROVOCATIONS: [Provocation; 4] = [
    Provocation {
        what: "a packet to nobody",
        reason: "NO_LOOKUP_RECORD",
        from: "blue-vm1",
        port: "blue/blue-vm1",
        // Nobody answers ARP for it either: a fixed neighbour makes the packet itself go out.
        prepare: &[
            "ip",
            "neigh",
            "replace",
            "10.0.0.99",
            "lladdr",
            "02:00:00:00:00:63",
            "dev",
            "eth0",
        ],
        restore: &["ip", "neigh", "delete", "10.0.0.99", "dev", "eth0"],
        ping: &["10.0.0.99"],
    },
    Provocation {
        what: "a forged source address",
        reason: "SPOOF_CA",
        from: "blue-vm1",
        port: "blue/blue-vm1",
        prepare: &["ip", "address", "add", "10.0.0.66/32", "dev", "eth0"],
        restore: &["ip", "address", "delete", "10.0.0.66/32", "dev", "eth0"],
        ping: &["-I", "10.0.0.66", PEER],
    },
    Provocation {
        what: "a broadcast that cannot be rewritten",
        reason: "NAT_NOT_CARRIED",
        from: "green-vm1",
        port: "green/green-vm1",
        prepare: &[],
        restore: &[],
        ping: &["-b", "10.0.0.255"],
    },
    Provocation {
        what: "a stranger's packet to a PA of green",
        reason: "NAT_SRC_UNKNOWN",
        from: "host-b",
        port: "uplink",
        prepare: &[],
        restore: &[],
        ping: &["192.0.2.105"],
    },
];

/// Five echo requests, five replies.
pub(super) fn ping(stage: &Stage, tenant: &Tenant) -> Result<String> {
    let hex = |hex: String, byte: u8| format!("{hex}{byte:02x}");
    let pattern = tenant.marker.bytes().fold(String::new(), hex);
    let ping = [
        "ping", "-n", "-c", "5", "-i", "0.2", "-W", "2", "-p", &pattern, PEER,
    ];
    let said = stage.vm(&tenant.client()).exec(&ping)?.stdout;
    ensure!(
        said.contains("5 received"),
        "not all replies came back:\n{said}"
    );
    let times = said
        .lines()
        .find(|line| line.starts_with("rtt "))
        .unwrap_or_default();
    let average = times.split('/').nth(4).unwrap_or("?");
    Ok(format!("5 of 5 replies, {average} ms on average"))
}

/// The page has to come from this tenant's server: the other has one at the same address.
pub(super) fn fetch(stage: &Stage, tenant: &Tenant) -> Result<String> {
    let url = format!("http://{PEER}:8080/{}", tenant.marker);
    let curl = [
        "curl",
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        "10",
        &url,
    ];
    let page = stage.vm(&tenant.client()).exec(&curl)?.stdout;
    let page = page.trim();
    let expected = format!("served by {} ", tenant.server());
    ensure!(
        page.starts_with(&expected),
        "{url} gave {page:?}, not {expected:?}"
    );
    Ok(format!("{page:?}"))
}

/// A TCP stream for two seconds.
pub(super) fn iperf3(stage: &Stage, tenant: &Tenant) -> Result<String> {
    let rate = iperf::throughput(stage.vm(&tenant.client()), PEER, tenant.iperf3, 2)?;
    Ok(format!("{:.1} Gbit/s", rate / 1e9))
}

/// Sends three such packets and looks for them among the counted drops.
pub(super) fn provoke(stage: &Stage, provocation: &Provocation) -> Result<String> {
    let netns = stage.netns(provocation.from);
    let before = dropped(stage, provocation)?;
    exec(netns, provocation.prepare)?;
    let mut ping = netns.command("ping");
    ping.args(["-n", "-c", "3", "-i", "0.2", "-W", "1"])
        .args(provocation.ping);
    let pinged = lab::output(&mut ping, Duration::from_secs(10));
    exec(netns, provocation.restore)?;
    let said = pinged?.stdout;
    ensure!(
        said.contains(" 0 received"),
        "somebody answered, or ping sent nothing:\n{said}"
    );
    let count = dropped(stage, provocation)?.saturating_sub(before);
    if count < 3 {
        let drops = stage.ask(&["get", "drops"])?;
        bail!(
            "3 packets sent, {count} counted as {}; all drops: {drops}",
            provocation.reason
        );
    }
    Ok(format!(
        "port {}, {} +{count}",
        provocation.port, provocation.reason
    ))
}

/// Runs a command, if there is one.
fn exec(netns: &Netns, command: &[&str]) -> Result<()> {
    if !command.is_empty() {
        netns.exec(command)?;
    }
    Ok(())
}

/// Packets that `host-a` dropped for the provocation's reason, at its port.
fn dropped(stage: &Stage, provocation: &Provocation) -> Result<u64> {
    let drops = stage.ask(&["get", "drops"])?;
    let items = drops["items"]
        .as_array()
        .context("`nvectl get drops` lists no items")?;
    let ours = items
        .iter()
        .filter(|item| item["port"] == provocation.port && item["reason"] == provocation.reason);
    Ok(ours.filter_map(|item| item["packets"].as_u64()).sum())
}
