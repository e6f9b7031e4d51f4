//! What can happen.

mod agents;
mod devices;
mod stores;

use anyhow::{Result, ensure};
use dataplane_tests::net::SOON;
use xtask::lab::wait_until;

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
    harmless("the agent is stopped and started", agents::restart),
    harmless("the agent is killed and started", agents::kill),
    harmless("the agent is killed while it starts", agents::kill_at_start),
    harmless("the agent is upgraded to another build", agents::upgrade),
    harmless("the lookup capacity changes", agents::capacity),
    // The kernel stops a device's transmission while it grafts a clsact qdisc.
    harmful("the TC hook changes", agents::hook),
    harmless("a second agent tries the uplink", agents::second),
    harmless("somebody's program comes and goes", agents::program),
    harmless("garbage on the control socket", agents::garbage),
    harmless("a tenant's namespace goes and comes", devices::guest),
    harmless("a virtual machine's tap is deleted", devices::tap),
    harmless("a tenant's end gets another name", devices::tenant_name),
    harmless("records change by the hundred", stores::records),
    harmless("the store's disk is full", stores::full),
    harmless("the store's file is lost", stores::lost),
    harmless("the store's file is damaged", stores::damaged),
    harmless("an uplink gets another name", devices::rename),
    harmless("an uplink's MTU changes", devices::mtu),
    harmless("all neighbours are flushed", devices::neighbours),
    harmful("a port's link flaps", devices::port),
    harmful("GRO goes off and on at a tenant's end", devices::gro),
    harmful("an uplink's link flaps", devices::flap),
    harmful("the peer's MAC changes", devices::mac),
    harmful("the dataplane is unloaded and loaded", agents::unload),
    harmful("an uplink is deleted and made again", devices::delete),
    harmful("an uplink moves away and comes back", devices::moves),
    harmful("an uplink goes from TC to XDP or back", agents::mode),
];

fn any_host(world: &mut World) -> usize {
    world.random.below(2)
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

fn set_link(world: &World, host: usize, what: &[&str]) -> Result<()> {
    let words = [&["ip", "link", "set", "dev", "eth0"], what].concat();
    world.site.host(host).exec(&words).map(drop)
}
