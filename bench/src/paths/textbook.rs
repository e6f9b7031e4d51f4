//! What a textbook has: XDP on each host, one HASH look-up by destination address, no checks.
//!
//! It has a record for each destination, as ours has, in a table with the same room.

use std::any::Any;

use anyhow::{Context, Result};
use aya::{
    Ebpf, Pod,
    maps::{HashMap, MapData, xdp::DevMap},
};
use dataplane_common::id::Mac;
use xtask::lab::Netns;

use super::{
    Absence, Built,
    frames::{VSID, octets},
    peer, room, route,
    topology::{
        HOST_A, HOST_B, MAC_HOST_A, MAC_HOST_B, TENANT_A, Topology, ifindex, inside, key_address,
        take_frames,
    },
};
use crate::{
    programs::{self, Hook},
    scenario::{PathName, Scenario, Work},
};

/// Where a destination is, as the programs have it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Remote {
    pa: [u8; 4],
    mac: [u8; 6],
    pad: [u8; 2],
}

// SAFETY: `repr(C)` of byte arrays: no padding, any pattern is valid.
unsafe impl Pod for Remote {}

type Records = HashMap<MapData, [u8; 4], Remote>;

/// One host.
#[derive(Clone, Copy)]
struct Host<'t> {
    netns: &'t Netns,
    port: &'t str,
    pa: &'t str,
    mac: Mac,
}

/// Builds it.
pub(super) fn build(scenario: &Scenario) -> Result<Built, Absence> {
    match scenario.work {
        Work::Encap | Work::Decap | Work::EncapDecap => Ok(stand(scenario)?),
        Work::RewriteOut
        | Work::RewriteIn
        | Work::RewriteOutIn
        | Work::SameHost
        | Work::Drop(_) => Err(peer::absent(format!(
            "{} only encapsulates and decapsulates",
            PathName::TextbookXdp
        ))),
    }
}

fn stand(scenario: &Scenario) -> Result<Built> {
    let topology = Topology::of(scenario)?;
    let [a, b] = hosts(&topology);
    let at_b = remote(b);
    let (forth, mut records) = encap(a, room::room(scenario.records))?;
    for key in 0..room::keys(scenario.records) {
        write(&mut records, key, at_b)?;
    }
    let mut keep: Vec<Box<dyn Any + Send>> = vec![Box::new(forth)];
    if scenario.work != Work::Encap {
        keep.push(Box::new(decap(b)?));
    }
    for (netns, device) in [
        (&topology.tenant_a, "a0"),
        (&topology.tenant_b, "b0"),
        (b.netns, "eth0"),
    ] {
        take_frames(netns, device)?;
    }
    if scenario.work == Work::EncapDecap {
        keep.extend(back([a, b])?);
        peer::without_offloads(&topology)?;
        peer::tunnels(&topology.tenant_a, || peer::sent_by(a.netns, "eth0"))?;
    }
    let (source, sink, rest) = route::places(topology, scenario.work);
    keep.push(Box::new(rest));
    Ok(Built {
        source,
        sink,
        frames: route::frames(scenario),
        counted: None,
        counters: None,
        rewrite: Some(Box::new(move |key| write(&mut records, key, at_b))),
        keep: Box::new(keep),
    })
}

fn hosts(topology: &Topology) -> [Host<'_>; 2] {
    let (a, b) = (&topology.host_a, &topology.host_b);
    let host = |netns, port, pa, mac| Host {
        netns,
        port,
        pa,
        mac,
    };
    [
        host(a, "a1", HOST_A, MAC_HOST_A),
        host(b, "b1", HOST_B, MAC_HOST_B),
    ]
}

/// The way back, for what waits for answers.
fn back([a, b]: [Host<'_>; 2]) -> Result<[Box<dyn Any + Send>; 2]> {
    let (encap, mut records) = encap(b, 1)?;
    records.insert(octets(TENANT_A), remote(a), 0)?;
    Ok([Box::new(encap), Box::new(decap(a)?)])
}

/// From the tenant of a host into the underlay, with room for so many records, which are still to be written.
fn encap(host: Host<'_>, room: u32) -> Result<(Ebpf, Records)> {
    let (pa, mac, key) = (octets(host.pa), host.mac.0, VSID << 8);
    let mut loader = programs::loader();
    programs::set(&mut loader, "TEXTBOOK_PA", &pa);
    programs::set(&mut loader, "TEXTBOOK_MAC", &mac);
    programs::set(&mut loader, "TEXTBOOK_KEY", &key);
    loader.map_max_entries("TEXTBOOK_RECORDS", room);
    let mut ebpf = loader.load(programs::OBJECT)?;
    let records = ebpf.take_map("TEXTBOOK_RECORDS").context("no such map")?;
    run(
        &mut ebpf,
        "bench_textbook_encap",
        host.netns,
        [host.port, "eth0"],
    )?;
    Ok((ebpf, records.try_into()?))
}

/// From the underlay to the tenant of a host.
fn decap(host: Host<'_>) -> Result<Ebpf> {
    let mut ebpf = programs::loader().load(programs::OBJECT)?;
    run(
        &mut ebpf,
        "bench_textbook_decap",
        host.netns,
        ["eth0", host.port],
    )?;
    Ok(ebpf)
}

/// Attaches a program to one device, to send to another.
fn run(ebpf: &mut Ebpf, program: &str, host: &Netns, [from, to]: [&str; 2]) -> Result<()> {
    let target = ifindex(host, to)?;
    inside(host, || {
        let map = ebpf.map_mut("TEXTBOOK_DEVICE").context("no such map")?;
        DevMap::try_from(map)?.set(0, target, None, 0)?;
        Ok(())
    })?;
    programs::attach(ebpf, (program, Hook::Xdp), host, from)
}

fn write(records: &mut Records, key: u32, remote: Remote) -> Result<()> {
    let address = key_address(key);
    let written = records.insert(address.octets(), remote, 0);
    written.with_context(|| format!("cannot write the record of {address}"))
}

fn remote(host: Host<'_>) -> Remote {
    Remote {
        pa: octets(host.pa),
        mac: host.mac.0,
        pad: [0; 2],
    }
}
