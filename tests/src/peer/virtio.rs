//! Two hosts with a multi-queue virtio-net NIC each, cabled to each other outside the guest.

mod traffic;

use super::{NEEDED, OURS, THEIRS, modules};
use crate::net::{SOON, Site};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};
use xtask::lab::{Netns, run, skip, wait_until};

pub use traffic::{
    SOURCES, carries_everything, from_each_source, many_flows, on_demand, queues_are_busy,
};

/// There is one pair of NICs.
static NICS: Mutex<()> = Mutex::new(());

const VMS: [&str; 4] = ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"];
/// As the site's veths have it.
const MTU: &str = "1600";

/// The NICs for the calling test alone; `None` skips it.
pub fn nics() -> Option<MutexGuard<'static, ()>> {
    let nics = NICS.lock().unwrap_or_else(PoisonError::into_inner);
    if there().expect("virtio_net can be loaded") {
        return Some(nics);
    }
    skip("this guest has no two virtio-net devices");
    None
}

/// Both hosts with the demo's policy, changed, and XDP on their NICs; `nved` has a flag more.
pub fn up(name: &str, change: impl Fn(String) -> String, flag: Option<&str>) -> Result<Site> {
    let mut site = bare(name)?;
    for host in [0, 1] {
        let more = |flags: &mut Vec<String>| flags.extend(flag.map(str::to_owned));
        site.start_as(host, "xdp", |spec| more(&mut spec.flags))?;
        site.apply(host, &change(site.demo()))?;
    }
    site.ready()?;
    for host in [0, 1] {
        let status = site.ask(host, &["status"])?;
        let uplink = &status["uplinks"][0];
        ensure!(uplink["mode"] == "xdp+tc", "{uplink}");
        let mode = xdp_mode(site.host(host))?;
        ensure!(mode == "xdp", "the kernel calls it {mode:?}");
    }
    Ok(site)
}

/// Whether this guest has two such NICs, wherever they are now.
fn there() -> Result<bool> {
    modules(&["virtio_net"])?;
    let bound = fs::read_dir("/sys/bus/virtio/drivers/virtio_net")?;
    let names = bound.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let devices = names.filter(|name| name.starts_with("virtio"));
    Ok(devices.count() >= 2)
}

/// Both hosts on their NICs, which are called `eth0` as the site's veths are; no `nved` yet.
///
/// A NIC keeps a queue for each CPU, as the kernel gives it: the driver takes the others for XDP.
pub fn bare(name: &str) -> Result<Site> {
    modules(NEEDED)?;
    let site = Site::bare(name, &VMS)?;
    // The other end goes with it.
    site.host(0).exec(&["ip", "link", "delete", "eth0"])?;
    for (host, pa) in [(0, OURS), (1, THEIRS)] {
        give(site.host(host), pa)?;
    }
    Ok(site)
}

fn give(host: &Netns, pa: &str) -> Result<()> {
    // The NICs of a test before come back a while after its namespaces went.
    let nic = wait_until("a virtio-net NIC", SOON, || {
        idle().map(|nics| nics.first().cloned())
    });
    let nic = nic.context("does somebody else use them?")?;
    let mut hand_over = Command::new("ip");
    hand_over.args([
        "link",
        "set",
        &nic,
        "down",
        "netns",
        host.name(),
        "name",
        "eth0",
    ]);
    run(&mut hand_over)?;
    host.exec(&["ip", "address", "add", &format!("{pa}/24"), "dev", "eth0"])?;
    host.exec(&["ip", "link", "set", "eth0", "mtu", MTU, "up"])?;
    Ok(())
}

/// The virtio-net NICs that are in no namespace of a test.
fn idle() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/class/net")? {
        let path = entry?.path();
        let driver = fs::read_link(path.join("device/driver")).unwrap_or_default();
        let name = path.file_name().and_then(|name| name.to_str());
        if let (true, Some(name)) = (driver.ends_with("virtio_net"), name) {
            found.push(name.to_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// How the kernel runs the XDP program of a host's uplink: `xdp` natively, `xdpgeneric` not.
pub fn xdp_mode(host: &Netns) -> Result<String> {
    let shown = host
        .exec(&["ip", "-details", "link", "show", "eth0"])?
        .stdout;
    let mut words = shown.split_whitespace();
    let mode = words.find(|word| word.starts_with("xdp"));
    Ok(mode.unwrap_or_default().to_owned())
}

/// Packets that the XDP program has had from each receive queue of a host's NIC.
pub fn xdp_packets(host: &Netns) -> Result<Vec<u64>> {
    let told = host.exec(&["ethtool", "-S", "eth0"])?.stdout;
    // `rx_queue_0_xdp_packets: 7`, `rx0_xdp_packets: 7` on newer kernels.
    let queue = |line: &str| {
        let (name, packets) = line.trim().split_once(": ")?;
        let queue = name.strip_prefix("rx")?.strip_suffix("_xdp_packets")?;
        queue
            .ends_with(|digit: char| digit.is_ascii_digit())
            .then(|| packets.parse())
    };
    let queues: Vec<u64> = told.lines().filter_map(queue).collect::<Result<_, _>>()?;
    ensure!(!queues.is_empty(), "no XDP counters in {told}");
    Ok(queues)
}
