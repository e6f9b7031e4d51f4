//! What the tenants send, and what they must not get through.

use super::stage::Stage;
use super::tenants::{PEER, Tenant};
use anyhow::{Context, Result, bail, ensure};
use std::time::Duration;
use xtask::lab::{self, iperf};

/// A packet that has to be dropped, sent by `blue-vm1`.
pub(super) struct Provocation {
    pub(super) what: &'static str,
    pub(super) reason: &'static str,
    /// Commands in the namespace that make it possible, and take it back.
    prepare: &'static [&'static str],
    restore: &'static [&'static str],
    ping: &'static [&'static str],
}

pub(super) const PROVOCATIONS: [Provocation; 2] = [
    Provocation {
        what: "a packet to nobody",
        reason: "NO_LOOKUP_RECORD",
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
        prepare: &["ip", "address", "add", "10.0.0.66/32", "dev", "eth0"],
        restore: &["ip", "address", "delete", "10.0.0.66/32", "dev", "eth0"],
        ping: &["-I", "10.0.0.66", PEER],
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
    let netns = stage.vm("blue-vm1");
    let before = dropped(stage, provocation.reason)?;
    netns.exec(provocation.prepare)?;
    let mut ping = netns.command("ping");
    ping.args(["-n", "-c", "3", "-i", "0.2", "-W", "1"])
        .args(provocation.ping);
    let pinged = lab::output(&mut ping, Duration::from_secs(10));
    netns.exec(provocation.restore)?;
    let said = pinged?.stdout;
    ensure!(
        said.contains(" 0 received"),
        "somebody answered, or ping sent nothing:\n{said}"
    );
    let count = dropped(stage, provocation.reason)?.saturating_sub(before);
    if count < 3 {
        let drops = stage.ask(&["get", "drops"])?;
        bail!(
            "3 packets sent, {count} counted as {}; all drops: {drops}",
            provocation.reason
        );
    }
    Ok(format!(
        "port blue/blue-vm1, {} +{count}",
        provocation.reason
    ))
}

/// Packets that `blue-vm1` sent and that were dropped for this reason.
fn dropped(stage: &Stage, reason: &str) -> Result<u64> {
    let drops = stage.ask(&["get", "drops"])?;
    let items = drops["items"]
        .as_array()
        .context("`nvectl get drops` lists no items")?;
    let ours = items
        .iter()
        .filter(|item| item["port"] == "blue/blue-vm1" && item["reason"] == reason);
    Ok(ours.filter_map(|item| item["packets"].as_u64()).sum())
}
