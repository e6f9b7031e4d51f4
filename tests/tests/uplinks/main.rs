//! Uplinks that are renamed, go and come back, change their MTU or flap.

mod changes;
mod gone;

use anyhow::{Result, ensure};
use dataplane_tests::net::{Link, SOON, Site, ping, proof, stream::Stream};
use xtask::lab::{Netns, run, wait_until};

const B: &str = "10.0.0.7";

fn ip(host: &Netns, line: &str) -> Result<()> {
    let words: Vec<&str> = std::iter::once("ip").chain(line.split(' ')).collect();
    host.exec(&words).map(drop)
}

/// Waits until `host-a` is degraded and says these words.
fn says(site: &Site, words: &str) -> Result<()> {
    wait_until(&format!("a status with {words:?}"), SOON, || {
        let status = site.nvectl(0, &["status"])?;
        let said = status.code() == 1 && status.stdout.contains(words);
        ensure!(said, "{}", status.stdout);
        Ok(Some(()))
    })
}

/// Ready, and packets as long as the path takes pass both ways.
fn works(site: &Site) -> Result<()> {
    site.ready()?;
    // The status may be of the moment before the last change.
    wait_until("pings both ways", SOON, || {
        ping(site.vm("blue-vm1"), B, 1472)?;
        ping(site.vm("blue-vm2"), "10.0.0.5", 1472).map(Some)
    })?;
    site.conserved()
}

/// What is attached on `host-a`, by pins.
fn pins(site: &Site) -> Result<Vec<String>> {
    let links = std::fs::read_dir(site.nves[0].spec().pin.join("links"))?;
    let names = links.map(|link| Ok(link?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

/// The cable between the hosts, made again.
fn recable(site: &Site) -> Result<()> {
    let (a, b) = (site.host(0), site.host(1));
    let mut link = a.command("ip");
    link.args(["link", "add", "eth0", "mtu", "1600", "type", "veth", "peer"]);
    link.args(["name", "eth0", "mtu", "1600", "netns"]);
    run(link.arg(b.path()))?;
    for (host, address) in [(a, "192.0.2.1/24"), (b, "192.0.2.2/24")] {
        ip(host, &format!("address add {address} dev eth0"))?;
        ip(host, "link set eth0 up")?;
    }
    Ok(())
}

fn renamed(mode: &str) {
    proof(Site::up("uprename", mode), |site| {
        site.like_wires()?;
        let there = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), B, 2000)?;
        let back = Stream::start(site.vm("red-vm2"), site.vm("red-vm1"), "10.0.0.5", 2000)?;
        there.flows(200)?;
        ip(site.host(0), "link set eth0 name wan0")?;
        says(site, "uplink eth0 is called wan0 now")?;
        there.flows(200)?;
        // The next nved knows it too, and a port may not have it.
        site.nves[0].stop();
        site.resume(0)?;
        says(site, "uplink eth0 is called wan0 now")?;
        back.flows(200)?;
        ip(site.host(0), "link set wan0 name eth0")?;
        site.ready()?;
        there.flows(200)?;
        there.lossless()?;
        back.lossless()?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_renamed_uplink_loses_no_packet_with_tc() {
    renamed("tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_renamed_uplink_loses_no_packet_with_xdp() {
    renamed("xdp");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_new_device_with_the_name_is_the_uplink() {
    proof(Site::up("upname", "tc"), |site| {
        let old = Link::named(site.host(0), "eth0")?.index;
        ip(site.host(0), "link set eth0 down")?;
        ip(site.host(0), "address flush dev eth0")?;
        ip(site.host(0), "link set eth0 name old0")?;
        ip(site.host(1), "link set eth0 name old0")?;
        ip(site.host(1), "address flush dev old0")?;
        recable(site)?;
        works(site)?;
        let left = pins(site)?.contains(&format!("tc-{old}"));
        ensure!(!left, "programs are left on the former device");
        Ok(())
    });
}
