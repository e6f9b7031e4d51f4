//! `tableMode: onDemand`: the kernel's table has what is in use, and no first packet is lost.

mod ageing;
mod changes;
mod devices;
mod first;
mod holds;
mod negative;
mod restart;

use anyhow::{Result, ensure};
use dataplane_tests::net::{SOON, Site};
use std::net::Ipv4Addr;
use xtask::lab::{NveSpec, wait_until};

const A: &str = "10.0.0.5";
const B: &str = "10.0.0.7";
const BLUE: u32 = 6001;
const RED: u32 = 7001;
/// The blue VM of each host, as counters name them.
const PORTS: [&str; 2] = ["blue/blue-vm1", "blue/blue-vm2"];
const MAC_B: &str = "02:00:00:00:00:07";
const VMS: [&str; 4] = ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"];

/// The demo's two tenants, of which blue has `onDemand` tables.
fn site(name: &str, mode: &str) -> Result<Site> {
    site_as(name, mode, &[])
}

/// [`site`] with flags for both `nved`s.
fn site_as(name: &str, mode: &str, flags: &[&str]) -> Result<Site> {
    let mut site = Site::bare(name, &VMS)?;
    for host in [0, 1] {
        let with = |spec: &mut NveSpec| spec.flags.extend(flags.iter().map(ToString::to_string));
        site.start_as(host, mode, with)?;
        site.apply(host, &policy(&site))?;
    }
    site.ready()?;
    if mode == "xdp" {
        site.like_wires()?;
    }
    Ok(site)
}

/// The demo's policy with more addresses for the blue VM of `host-b`: .100 to .149.
fn policy(site: &Site) -> String {
    let more: Vec<String> = (100..150).map(address).collect();
    let all = format!("[{B}, {}]", more.join(", "));
    let blue = site.demo().replacen(&format!("[{B}]"), &all, 1);
    on_demand(&blue)
}

fn on_demand(policy: &str) -> String {
    policy.replacen(
        "  virtualSubnets:",
        "  tableMode: onDemand\n  virtualSubnets:",
        1,
    )
}

fn address(last: u8) -> String {
    format!("10.0.0.{last}")
}

fn ca(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

/// `blue-vm1` knows the MAC of an address: what it sends there is no ARP.
fn knows(site: &Site, address: &str) -> Result<()> {
    let entry = ["ip", "neighbour", "replace", address, "lladdr", MAC_B];
    let forever = ["dev", "eth0", "nud", "permanent"];
    site.vm("blue-vm1").exec(&[&entry[..], &forever].concat())?;
    Ok(())
}

/// Waits until the kernel of a host has these records of blue VMs elsewhere, and no others.
fn until_in_use(site: &Site, host: usize, wanted: &[&str]) -> Result<()> {
    let wanted: Vec<Ipv4Addr> = wanted.iter().map(|text| ca(text)).collect();
    wait_until("the records in use", SOON, || {
        let now = site.in_use(host, BLUE)?;
        ensure!(now == wanted, "{now:?} are in use, not {wanted:?}");
        Ok(Some(()))
    })
}

/// Nothing was dropped on either host.
fn nothing_dropped(site: &Site) -> Result<()> {
    for host in [0, 1] {
        let drops = site.drops(host)?;
        ensure!(drops.is_empty(), "dropped by {host}: {drops:?}");
    }
    Ok(())
}
