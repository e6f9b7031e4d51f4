//! What can happen.

use anyhow::{Context, Result, ensure};
use aya::programs::{SchedClassifier, TcAttachType};
use dataplane_tests::{
    net::{Link, SOON, inside, ping, refused},
    stranger::stranger,
};
use std::{io::Write, os::unix::net::UnixStream};
use xtask::lab::{NveSpec, TempDir, output, wait_until};

use super::world::World;

/// Something that happens to a host.
pub(crate) struct Event {
    /// What.
    pub(crate) name: &'static str,
    /// Whether streams may lose datagrams by it.
    pub(crate) harms: bool,
    /// Does it, and undoes it.
    pub(crate) run: fn(&mut World) -> Result<()>,
}

const fn harmless(name: &'static str, run: fn(&mut World) -> Result<()>) -> Event {
    Event {
        name,
        harms: false,
        run,
    }
}

const fn harmful(name: &'static str, run: fn(&mut World) -> Result<()>) -> Event {
    Event {
        name,
        harms: true,
        run,
    }
}

/// All of it.
pub(crate) const EVENTS: &[Event] = &[
    harmless("the agent is stopped and started", restart),
    harmless("the agent is killed and started", kill),
    harmless("the agent is upgraded to another build", upgrade),
    harmless("the lookup capacity changes", capacity),
    // The kernel stops a device's transmission while it grafts a clsact qdisc.
    harmful("the TC hook changes", hook),
    harmless("a second agent tries the uplink", second),
    harmless("somebody's program comes and goes", program),
    harmless("garbage on the control socket", garbage),
    harmless("a tenant's namespace goes and comes", guest),
    harmless("a virtual machine's tap is deleted", tap),
    harmless("a tenant's end gets another name", tenant_name),
    harmless("records change by the hundred", records),
    harmless("the store's disk is full", full),
    harmless("the store's file is lost", lost),
    harmless("the store's file is damaged", damaged),
    harmless("an uplink gets another name", rename),
    harmless("an uplink's MTU changes", mtu),
    harmless("all neighbours are flushed", neighbours),
    harmful("a port's link flaps", port),
    harmful("GRO goes off and on at a tenant's end", gro),
    harmful("an uplink's link flaps", flap),
    harmful("the peer's MAC changes", mac),
    harmful("an uplink moves away and comes back", moves),
    harmful("an uplink goes from TC to XDP or back", mode),
];

fn any_host(world: &mut World) -> usize {
    world.random.below(2)
}

fn restart(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].stop();
    world.resume(host)
}

fn kill(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].kill()?;
    world.resume(host)
}

fn upgrade(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].stop();
    let other = world.other.clone();
    let spec = world.site.nves[host].spec_mut();
    spec.program = match spec.program {
        Some(_) => None,
        None => Some(other),
    };
    world.resume(host)
}

fn capacity(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].stop();
    world.builds[host].capacity = [1_000, 65_536, 100_000][world.random.below(3)];
    world.resume(host)
}

fn hook(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].stop();
    let build = &mut world.builds[host];
    build.hook = if build.hook == "tcx" { "clsact" } else { "tcx" };
    world.resume(host)
}

fn mode(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].stop();
    let spec = world.site.nves[host].spec_mut();
    let other = if spec.mode == "tc" { "xdp" } else { "tc" };
    other.clone_into(&mut spec.mode);
    world.resume(host)
}

fn second(world: &mut World) -> Result<()> {
    let dir = TempDir::new("second")?;
    let mut pin = world.site.nves[0].spec().pin.clone();
    pin.set_file_name(xtask::lab::unique("second"));
    let spec = NveSpec::new("host-a", "tc", dir.path(), pin);
    let said = output(&mut spec.daemon(world.site.host(0))?, SOON)?;
    refused(&said, 1, &["eth0", "another nved"])
}

fn program(world: &mut World) -> Result<()> {
    let host = any_host(world);
    let mut object = stranger()?;
    let program = object.program_mut("xyz_tc_ingress").context("no program")?;
    let program: &mut SchedClassifier = program.try_into()?;
    program.load()?;
    inside(world.site.host(host), || {
        program.attach("eth0", TcAttachType::Ingress)?;
        Ok(())
    })?;
    wait_until("the program in the status", SOON, || {
        let status = world.site.ask(host, &["status"])?;
        let others = status["uplinks"][0]["others"].to_string();
        ensure!(others.contains("xyz_tc_ingress"), "{others}");
        Ok(Some(()))
    })
}

fn garbage(world: &mut World) -> Result<()> {
    let socket = world.site.nves[0].spec().socket();
    let mut open = Vec::new();
    for number in 0..200_u8 {
        let mut stream = UnixStream::connect(&socket)?;
        // The agent may close a connection at any byte.
        let _ = stream.write_all(&[number; 100]);
        open.push(stream);
    }
    world.site.nvectl(0, &["status"])?.success()?;
    Ok(())
}

fn guest(world: &mut World) -> Result<()> {
    world.guest = None;
    world.site.becomes(0, "blue/blue-vm3", "Pending: ")?;
    world.guest_comes()?;
    world.site.becomes(0, "blue/blue-vm3", "Ready")?;
    let guest = world.guest.as_ref().context("no guest")?;
    ping(guest, "10.0.0.7", 56)
}

fn tap(world: &mut World) -> Result<()> {
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

fn tenant_name(world: &mut World) -> Result<()> {
    let vm = world.site.vm("blue-vm1");
    for [from, to] in [["eth0", "ens3"], ["ens3", "eth0"]] {
        vm.exec(&["ip", "link", "set", "dev", from, "name", to])?;
        world.site.ready()?;
    }
    Ok(())
}

/// Its end at the host, which nved brings up again.
fn port(world: &mut World) -> Result<()> {
    let device = world.site.interface(1, "blue/blue-vm2")?;
    let down = ["ip", "link", "set", "dev", &device, "down"];
    world.site.host(1).exec(&down).map(drop)
}

/// Frames that XDP redirects are lost meanwhile, which the status says.
fn gro(world: &mut World) -> Result<()> {
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

fn records(world: &mut World) -> Result<()> {
    let variant = world.random.below(200) + 10;
    let records = (100..250).map(|last| {
        format!(
            "apiVersion: nve/v1\nkind: LookupRecord\nmetadata: {{vmNetwork: blue}}\nspec: \
             {{virtualSubnetId: 6001, customerAddress: 10.0.0.{last}, macAddress: \
             02:00:00:00:{variant:02x}:{last:02x}, providerAddress: 192.0.2.2}}\n---\n"
        )
    });
    let text: String = records.collect();
    for host in [0, 1] {
        world.site.apply(host, &text)?;
    }
    Ok(())
}

fn degraded(world: &World, host: usize, word: &str) -> Result<()> {
    wait_until(&format!("a status that says {word:?}"), SOON, || {
        let said = world.site.nvectl(host, &["status"])?;
        ensure!(
            said.code() == 1 && said.stdout.contains(word),
            "{}",
            said.stdout
        );
        Ok(Some(()))
    })
}

fn full(world: &mut World) -> Result<()> {
    world.disk.fill()?;
    // More than the pages that the store has to spare.
    let label = format!("env: {}", "x".repeat(2 << 20));
    let file = world.policy().replace("env: demo", &label);
    let file = world.site.file("full.yaml", file)?;
    let said = world
        .site
        .nvectl(0, &["apply", "-f", &file.to_string_lossy()])?;
    refused(&said, 1, &["make room"])?;
    degraded(world, 0, "make room")?;
    world.disk.free()
}

fn lost(world: &mut World) -> Result<()> {
    std::fs::remove_file(world.store())?;
    degraded(world, 0, "replaced")?;
    world.site.apply(0, &world.policy()).map(drop)
}

fn damaged(world: &mut World) -> Result<()> {
    std::fs::write(world.store(), b"no store any more")?;
    degraded(world, 0, "policy.redb")?;
    std::fs::remove_file(world.store())?;
    degraded(world, 0, "replaced")?;
    world.site.apply(0, &world.policy()).map(drop)
}

fn rename(world: &mut World) -> Result<()> {
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

fn mtu(world: &mut World) -> Result<()> {
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

/// Into the namespace of the other host's tenant, and back with its address.
fn moves(world: &mut World) -> Result<()> {
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

fn set_link(world: &World, host: usize, what: &[&str]) -> Result<()> {
    let words = [&["ip", "link", "set", "dev", "eth0"], what].concat();
    world.site.host(host).exec(&words).map(drop)
}

fn flap(world: &mut World) -> Result<()> {
    let host = any_host(world);
    set_link(world, host, &["down"])?;
    wait_until("a degraded status", SOON, || {
        let down = world.site.nvectl(host, &["status"])?.code() == 1;
        Ok(down.then_some(()))
    })?;
    set_link(world, host, &["up"])
}

fn mac(world: &mut World) -> Result<()> {
    let host = any_host(world);
    let mac = format!("02:00:00:00:ff:{:02x}", world.random.below(256));
    set_link(world, host, &["down"])?;
    set_link(world, host, &["address", &mac])?;
    set_link(world, host, &["up"])
}

fn neighbours(world: &mut World) -> Result<()> {
    let host = any_host(world);
    let flush = ["ip", "neighbour", "flush", "dev", "eth0"];
    world.site.host(host).exec(&flush).map(drop)
}
