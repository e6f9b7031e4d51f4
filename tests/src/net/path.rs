//! The way between two VMs as they see it: routers, TTLs, neighbours, MTUs.

use super::SOON;
use anyhow::{Context, Result, ensure};
use xtask::lab::{Netns, output, wait_until};

/// More routers than there can be.
const MOST: u8 = 5;

/// One echo request with this TTL; what `ping` says.
fn probe(from: &Netns, to: &str, ttl: u8) -> Result<String> {
    let mut ping = from.command("ping");
    ping.args(["-n", "-c", "1", "-W", "5", "-t", &ttl.to_string(), to]);
    Ok(output(&mut ping, SOON)?.stdout)
}

/// The routers on the way to an address, as traceroute finds them: each tells that a TTL ended.
pub fn hops(from: &Netns, to: &str) -> Result<Vec<String>> {
    let mut routers = Vec::new();
    for ttl in 1..=MOST {
        let said = probe(from, to, ttl)?;
        if said.contains(" 1 received") {
            return Ok(routers);
        }
        // "From 10.0.0.1 icmp_seq=1 Time to live exceeded" or "... Time exceeded: Hop limit".
        let told = said.lines().find(|line| line.contains("exceeded"));
        let told = told.with_context(|| format!("nothing from hop {ttl} to {to}:\n{said}"))?;
        let router = told.split_whitespace().nth(1).unwrap_or_default();
        routers.push(router.trim_end_matches(':').to_owned());
    }
    anyhow::bail!("{to} is behind more than {MOST} routers: {routers:?}")
}

/// The TTL or hop limit of a reply to a ping; a VM sends it with 64.
pub fn reply_ttl(from: &Netns, to: &str) -> Result<u8> {
    let said = probe(from, to, 64)?;
    let ttl = said
        .split_whitespace()
        .find_map(|word| word.strip_prefix("ttl="));
    let ttl = ttl.with_context(|| format!("no reply from {to}:\n{said}"))?;
    Ok(ttl.parse()?)
}

/// Whether one ping is answered within a second.
pub fn answers(from: &Netns, to: &str) -> Result<bool> {
    let mut ping = from.command("ping");
    ping.args(["-n", "-c", "1", "-W", "1", to]);
    Ok(output(&mut ping, SOON)?.code() == 0)
}

/// Waits until a ping is answered, or is not.
pub fn becomes(from: &Netns, to: &str, reachable: bool) -> Result<()> {
    let what = if reachable { "an answer" } else { "silence" };
    wait_until(&format!("{what} of {to}"), SOON, || {
        Ok((answers(from, to)? == reachable).then_some(()))
    })
}

/// What `ip` shows of a neighbour of `eth0`; empty when there is none.
pub fn neighbour(vm: &Netns, address: &str) -> Result<String> {
    let shown = vm.exec(&["ip", "neighbour", "show", address, "dev", "eth0"])?;
    Ok(shown.stdout.trim().to_owned())
}

/// The MAC of a neighbour that was talked to just now.
pub fn neighbour_mac(vm: &Netns, address: &str) -> Result<String> {
    // Whether it answers is another question.
    answers(vm, address)?;
    let shown = neighbour(vm, address)?;
    let mut words = shown
        .split_whitespace()
        .skip_while(|word| *word != "lladdr");
    let mac = words.nth(1);
    Ok(mac
        .with_context(|| format!("no MAC of {address}: {shown:?}"))?
        .to_owned())
}

/// What the kernel of a VM holds the path to an address for; `None` while nobody told it.
pub fn path_mtu(vm: &Netns, to: &str) -> Result<Option<usize>> {
    let shown = vm.exec(&["ip", "route", "get", to])?.stdout;
    let mut words = shown.split_whitespace().skip_while(|word| *word != "mtu");
    words.nth(1).map(str::parse).transpose().context("an MTU")
}

/// An echo request of so many bytes, headers and all, that nobody may cut; what `ping` says.
pub fn large_ping(from: &Netns, to: &str, packet: usize) -> Result<String> {
    let headers = if to.contains(':') { 48 } else { 28 };
    let size = packet
        .checked_sub(headers)
        .context("smaller than its headers")?;
    let mut ping = from.command("ping");
    ping.args([
        "-n",
        "-c",
        "1",
        "-W",
        "2",
        "-M",
        "do",
        "-s",
        &size.to_string(),
        to,
    ]);
    let said = output(&mut ping, SOON)?;
    Ok(said.stdout + &said.stderr)
}

/// Sends large pings until one is told of this MTU, and then one of that size gets through.
pub fn learns(from: &Netns, to: &str, before: usize, mtu: usize) -> Result<()> {
    wait_until(&format!("an MTU of {mtu} to {to}"), SOON, || {
        let said = large_ping(from, to, before)?;
        let held = path_mtu(from, to)?;
        ensure!(held == Some(mtu), "the path is {held:?}; ping said {said}");
        Ok(Some(()))
    })?;
    let said = large_ping(from, to, mtu)?;
    ensure!(said.contains(" 1 received"), "{mtu} bytes to {to}: {said}");
    Ok(())
}
