//! What can happen to the slow path.

use super::world::World;
use anyhow::Result;

/// Something that happens to `host-a`, whose tenant talks, or to `host-b`, whose uplink is at XDP.
pub(crate) struct Event {
    /// What.
    pub(crate) name: &'static str,
    /// Does it, and undoes it.
    pub(crate) run: fn(&mut World) -> Result<()>,
}

const fn event(name: &'static str, run: fn(&mut World) -> Result<()>) -> Event {
    Event { name, run }
}

/// All of it.
pub(crate) const EVENTS: &[Event] = &[
    event("all workers end", once),
    event("all workers end many times", often),
    event("the near end of the upcall pair flaps", near),
    event("the far end of the upcall pair flaps", far),
    event("the upcall pair is deleted", delete),
    event("an uplink flaps", uplink),
    event("the agent is killed and started", kill),
    event("the agent is stopped and started", stop),
    event("records change", records),
    event("a while without events", quiet),
];

fn any_host(world: &mut World) -> usize {
    world.random.below(2)
}

/// Ends all workers of a host.
pub(crate) fn restart(world: &World, host: usize) -> Result<()> {
    let told = world.site.nvectl(host, &["restart", "slow-path"])?;
    told.success().map(drop)
}

fn once(world: &mut World) -> Result<()> {
    let host = any_host(world);
    restart(world, host)
}

fn often(world: &mut World) -> Result<()> {
    let host = any_host(world);
    (0..5).try_for_each(|_| restart(world, host))
}

fn flap(world: &mut World, host: usize, device: &str) -> Result<()> {
    for to in ["down", "up"] {
        let host = world.site.host(host);
        host.exec(&["ip", "link", "set", "dev", device, to])?;
    }
    Ok(())
}

fn near(world: &mut World) -> Result<()> {
    let host = any_host(world);
    flap(world, host, "nve-up0")
}

fn far(world: &mut World) -> Result<()> {
    let host = any_host(world);
    flap(world, host, "nve-up1")
}

fn delete(world: &mut World) -> Result<()> {
    let host = any_host(world);
    let delete = ["ip", "link", "delete", "dev", "nve-up0"];
    world.site.host(host).exec(&delete).map(drop)
}

fn uplink(world: &mut World) -> Result<()> {
    let host = any_host(world);
    flap(world, host, "eth0")?;
    world.path(host)
}

fn kill(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].kill()?;
    world.site.resume(host)
}

fn stop(world: &mut World) -> Result<()> {
    let host = any_host(world);
    world.site.nves[host].stop();
    world.site.resume(host)
}

fn records(world: &mut World) -> Result<()> {
    world.variant = !world.variant;
    let host = any_host(world);
    let policy = world.policy();
    world.site.apply(host, &policy).map(drop)
}

#[expect(clippy::unnecessary_wraps, reason = "an event like the others")]
fn quiet(_: &mut World) -> Result<()> {
    Ok(())
}
