//! What a textbook has: a program on each host, one HASH look-up by destination address, no checks.
//!
//! It has a record for each destination, as ours has, in a table with the same room.

use std::any::Any;

use anyhow::{Context, Result};
use xtask::lab::Netns;

use super::{
    Absence, Built,
    frames::octets,
    peer, room, route,
    topology::{
        FIRST_PA, MAC_A, MAC_B, MAC_HOST_B, PA_A, TENANT_A, Topology, key_address, take_frames,
    },
};
use crate::{
    programs::Hook,
    scenario::{Scenario, Work},
};

mod host;

pub(crate) use host::{Records, Remote, load};

use host::Host;

/// What lives as long as the path.
type Keep = Vec<Box<dyn Any + Send>>;

/// Builds it.
pub(super) fn build(hook: Hook, scenario: &Scenario) -> Result<Built, Absence> {
    super::refuse_frames_of_skbs(hook, scenario)?;
    match (scenario.work, hook) {
        (Work::Encap | Work::Decap | Work::EncapDecap, _) => Ok(tunnel(hook, scenario)?),
        (Work::RewriteOutIn, Hook::Xdp) => Ok(rewrite(scenario)?),
        _ => Err(peer::absent(
            "a textbook's programs encapsulate and decapsulate, and at XDP rewrite on the whole way",
        )),
    }
}

fn tunnel(hook: Hook, scenario: &Scenario) -> Result<Built> {
    let topology = Topology::of(scenario)?;
    let [a, b] = Host::both(&topology);
    let at_b = b.remote();
    let (forth, mut records) = a.encap(hook, room::room(scenario.records))?;
    for key in 0..room::keys(scenario.records) {
        write(&mut records, key_address(key).octets(), at_b)?;
    }
    let mut keep: Keep = vec![Box::new(forth)];
    if scenario.work != Work::Encap {
        keep.push(Box::new(b.decap(hook)?));
    }
    open_gates(hook, scenario, &topology)?;
    if scenario.work == Work::EncapDecap {
        let (back, mut records) = b.encap(hook, 1)?;
        write(&mut records, octets(TENANT_A), a.remote())?;
        keep.push(Box::new(back));
        keep.push(Box::new(a.decap(hook)?));
        if hook == Hook::Xdp {
            peer::without_offloads(&topology)?;
        }
        peer::tunnels(&topology.tenant_a, || peer::sent_by(a.netns, "eth0"))?;
    }
    let again = move |key| write(&mut records, key_address(key).octets(), at_b);
    let mut built = built(topology, scenario, keep);
    built.rewrite = Some(Box::new(again));
    Ok(built)
}

/// PAs in place of CAs, on the way from the first tenant to the second.
fn rewrite(scenario: &Scenario) -> Result<Built> {
    let topology = Topology::of(scenario)?;
    let [a, b] = Host::both(&topology);
    let asked = room::asked(scenario);
    let pa = |key: u32| (FIRST_PA + key).to_be_bytes();
    let sender = Remote::new(PA_A, a.mac);
    let (out, mut records) = a.rewrite_out(sender, room::room(scenario.records))?;
    for key in 0..room::keys(scenario.records) {
        // As in our table, those that nobody asks for are there.
        let there = if key < asked { pa(key) } else { b.pa };
        let remote = Remote::new(there, MAC_HOST_B);
        write(&mut records, key_address(key).octets(), remote)?;
    }
    let sender = Remote::new(octets(TENANT_A), MAC_A);
    let (back, mut records) = b.rewrite_in(sender, room::PAS)?;
    for key in 0..asked {
        let remote = Remote::new(key_address(key).octets(), MAC_B);
        write(&mut records, pa(key), remote)?;
    }
    open_gates(Hook::Xdp, scenario, &topology)?;
    Ok(built(
        topology,
        scenario,
        vec![Box::new(out), Box::new(back)],
    ))
}

/// Lets frames into devices without a program, where programs at XDP send some.
fn open_gates(hook: Hook, scenario: &Scenario, topology: &Topology) -> Result<()> {
    if hook == Hook::Tc {
        return super::open_gates(hook, scenario, topology);
    }
    let gates: [(&Netns, &str); 3] = [
        (&topology.tenant_a, "a0"),
        (&topology.tenant_b, "b0"),
        (&topology.host_b, "eth0"),
    ];
    for (netns, device) in gates {
        take_frames(netns, device)?;
    }
    Ok(())
}

fn built(topology: Topology, scenario: &Scenario, mut keep: Keep) -> Built {
    let (source, sink, rest) = route::places(topology, scenario.work);
    keep.push(Box::new(rest));
    Built {
        source,
        sink,
        frames: route::frames(scenario),
        counted: None,
        counters: None,
        rewrite: None,
        keep: Box::new(keep),
    }
}

fn write(records: &mut Records, address: [u8; 4], remote: Remote) -> Result<()> {
    let written = records.insert(address, remote, 0);
    written.with_context(|| format!("cannot write the record of {address:?}"))
}
