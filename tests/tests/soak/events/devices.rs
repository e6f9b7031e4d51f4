//! Devices of tenants and of the underlay.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{Link, SOON, ping};
use xtask::lab::{run, wait_until};

use super::{World, any_host, degraded, set_link};

pub(super) fn guest(world: &mut World) -> Result<()> {
    world.guest = None;
    world.site.becomes(0, "blue/blue-vm3", "Pending: ")?;
    world.guest_comes()?;
    world.site.becomes(0, "blue/blue-vm3", "Ready")?;
    let guest = world.guest.as_ref().context("no guest")?;
    ping(guest, "10.0.0.7", 56)
}

pub(super) fn tap(world: &mut World) -> Result<()> {
    let host = world.site.host(0);
    let before = Link::named(host, "tap4")?;
    host.exec(&["ip", "link", "delete", "tap4"])?;
    wait_until("another tap", SOON, || {
        let now = Link::named(host, "tap4")?;
        ensure!(now.index != before.index, "it is still there");
        Ok(Some(()))
    })?;
    world.site.becomes(0, "blue/blue-vm4", "Ready").map(drop)
}

pub(super) fn tenant_name(world: &mut World) -> Result<()> {
    let vm = world.site.vm("blue-vm1");
    for [from, to] in [["eth0", "ens3"], ["ens3", "eth0"]] {
        vm.exec(&["ip", "link", "set", "dev", from, "name", to])?;
        world.site.ready()?;
    }
    Ok(())
}

pub(super) fn port(world: &mut World) -> Result<()> {
    let device = world.site.interface(1, "blue/blue-vm2")?;
    let down = ["ip", "link", "set", "dev", &device, "down"];
    world.site.host(1).exec(&down).map(drop)
}

pub(super) fn gro(world: &mut World) -> Result<()> {
    let switch = |world: &World, to| {
        let vm = world.site.vm("blue-vm2");
        vm.exec(&["ethtool", "-K", "eth0", "gro", to]).map(drop)
    };
    switch(world, "off")?;
    if world.site.nves[1].spec().mode == "xdp" {
        degraded(world, 1, "GRO")?;
    }
    switch(world, "on")
}

pub(super) fn rename(world: &mut World) -> Result<()> {
    let host = any_host(world);
    set_link(world, host, &["name", "wan0"])?;
    wait_until("the new name in the status", SOON, || {
        let status = world.site.ask(host, &["status"])?;
        let name = &status["uplinks"][0]["interface"];
        ensure!(name == "wan0", "{name}");
        Ok(Some(()))
    })?;
    let back = ["ip", "link", "set", "dev", "wan0", "name", "eth0"];
    world.site.host(host).exec(&back).map(drop)
}

pub(super) fn mtu(world: &mut World) -> Result<()> {
    for (mtu, tenant) in [("1700", 1658), ("1600", 1558)] {
        for host in [0, 1] {
            set_link(world, host, &["mtu", mtu])?;
        }
        wait_until("the tenants' MTU", SOON, || {
            let status = world.site.ask(0, &["status"])?;
            let ports = status["ports"].as_array().context("no ports")?;
            ensure!(ports.iter().all(|port| port["mtu"] == tenant), "{ports:?}");
            Ok(Some(()))
        })?;
    }
    Ok(())
}

pub(super) fn delete(world: &mut World) -> Result<()> {
    let (near, far) = (world.site.host(0), world.site.host(1));
    near.exec(&["ip", "link", "delete", "dev", "eth0"])?;
    degraded(world, 0, "uplink eth0 is not there")?;
    let end = ["name", "eth0", "mtu", "1600", "netns"];
    let mut link = near.command("ip");
    link.args(["link", "add"]).args(end).arg(near.name());
    link.args(["type", "veth", "peer"])
        .args(end)
        .arg(far.name());
    run(&mut link)?;
    for (host, netns) in [near, far].into_iter().enumerate() {
        let address = format!("192.0.2.{}/24", host + 1);
        netns.exec(&["ip", "address", "add", &address, "dev", "eth0"])?;
        set_link(world, host, &["up"])?;
    }
    world.site.like_wires()
}

pub(super) fn moves(world: &mut World) -> Result<()> {
    let host = any_host(world);
    let place = world.site.vm("blue-vm2");
    set_link(world, host, &["name", "away0"])?;
    let (near, far) = (world.site.host(host), place);
    near.exec(&["ip", "link", "set", "dev", "away0", "netns", far.name()])?;
    degraded(world, host, "uplink eth0 is not there")?;
    far.exec(&["ip", "link", "set", "dev", "away0", "netns", near.name()])?;
    near.exec(&["ip", "link", "set", "dev", "away0", "name", "eth0"])?;
    let address = format!("192.0.2.{}/24", host + 1);
    near.exec(&["ip", "address", "add", &address, "dev", "eth0"])?;
    set_link(world, host, &["up"])
}

pub(super) fn flap(world: &mut World) -> Result<()> {
    let host = any_host(world);
    set_link(world, host, &["down"])?;
    wait_until("a degraded status", SOON, || {
        let down = world.site.nvectl(host, &["status"])?.code() == 1;
        Ok(down.then_some(()))
    })?;
    set_link(world, host, &["up"])
}

pub(super) fn mac(world: &mut World) -> Result<()> {
    let host = any_host(world);
    let mac = format!("02:00:00:00:ff:{:02x}", world.random.below(256));
    set_link(world, host, &["down"])?;
    set_link(world, host, &["address", &mac])?;
    set_link(world, host, &["up"])
}

pub(super) fn neighbours(world: &mut World) -> Result<()> {
    let host = any_host(world);
    let flush = ["ip", "neighbour", "flush", "dev", "eth0"];
    world.site.host(host).exec(&flush).map(drop)
}
