//! Agents that come, go, change and are disturbed.

use anyhow::{Context, Result, ensure};
use aya::programs::{SchedClassifier, TcAttachType};
use dataplane_tests::{
    net::{SOON, inside, refused},
    stranger::stranger,
};
use std::{io::Write, os::unix::net::UnixStream, time::Duration};
use xtask::lab::{NveSpec, TempDir, output, wait_until};

use super::{World, any_host};

pub(super) fn restart(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].stop();
    world.resume(host)
}

pub(super) fn kill(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].kill()?;
    world.resume(host)
}

pub(super) fn kill_at_start(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].stop();
    for _ in 0..3 {
        // A start takes about half a second here.
        let after = u64::try_from(world.random.below(700))?;
        world.start_and_kill(host, Duration::from_millis(after))?;
    }
    world.resume(host)
}

pub(super) fn unload(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nvectl(host, &["unload"])?.success()?;
    world.site.nves[host].stop();
    world.resume(host)
}

pub(super) fn upgrade(world: &mut World) -> Result<()> {
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

pub(super) fn capacity(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].stop();
    world.builds[host].capacity = [1_000, 65_536, 100_000][world.random.below(3)];
    world.resume(host)
}

pub(super) fn hook(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].stop();
    let build = &mut world.builds[host];
    build.hook = if build.hook == "tcx" { "clsact" } else { "tcx" };
    world.resume(host)
}

pub(super) fn mode(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].stop();
    let spec = world.site.nves[host].spec_mut();
    let other = if spec.mode == "tc" { "xdp" } else { "tc" };
    other.clone_into(&mut spec.mode);
    world.resume(host)
}

pub(super) fn second(world: &mut World) -> Result<()> {
    let dir = TempDir::new("second")?;
    let mut pin = world.site.nves[0].spec().pin.clone();
    pin.set_file_name(xtask::lab::unique("second"));
    let spec = NveSpec::new("host-a", "tc", dir.path(), pin);
    let said = output(&mut spec.daemon(world.site.host(0))?, SOON)?;
    refused(&said, 1, &["eth0", "another nved"])
}

pub(super) fn program(world: &mut World) -> Result<()> {
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

pub(super) fn garbage(world: &mut World) -> Result<()> {
    let socket = world.site.nves[0].spec().socket();
    let mut open = Vec::new();
    for number in 0..250_u8 {
        let mut stream = UnixStream::connect(&socket)?;
        // The agent may close a connection at any byte.
        let _ = stream.write_all(&[number; 100]);
        open.push(stream);
    }
    world.site.nvectl(0, &["status"])?.success()?;
    Ok(())
}
