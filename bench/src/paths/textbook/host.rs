//! A host of the textbook: its programs, each on one device to send to another.

use anyhow::{Context, Result};
use aya::{
    Ebpf, Pod,
    maps::{HashMap, MapData, xdp::DevMap},
};
use dataplane_common::id::Mac;
use xtask::lab::Netns;

use crate::{
    paths::{
        frames::{VSID, octets},
        topology::{HOST_A, HOST_B, MAC_HOST_A, MAC_HOST_B, Topology, ifindex, inside},
    },
    programs::{self, Hook},
};

/// Where a destination is, as the programs have it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Remote {
    pa: [u8; 4],
    mac: [u8; 6],
    pad: [u8; 2],
}

// SAFETY: `repr(C)` of byte arrays: no padding, any pattern is valid.
unsafe impl Pod for Remote {}

impl Remote {
    /// A destination with this address, behind this MAC.
    pub(crate) const fn new(pa: [u8; 4], mac: Mac) -> Self {
        let (mac, pad) = (mac.0, [0; 2]);
        Self { pa, mac, pad }
    }
}

/// Destination addresses to where they are.
pub(crate) type Records = HashMap<MapData, [u8; 4], Remote>;

/// A copy of the programs that sends to the device with an index, with room for so many records. Packets
/// get this source.
pub(crate) fn load(target: u32, (source, room): (Remote, u32)) -> Result<(Ebpf, Records)> {
    let key = VSID << 8;
    let mut loader = programs::loader();
    programs::set(&mut loader, "TEXTBOOK_TARGET", &target);
    programs::set(&mut loader, "TEXTBOOK_PA", &source.pa);
    programs::set(&mut loader, "TEXTBOOK_MAC", &source.mac);
    programs::set(&mut loader, "TEXTBOOK_KEY", &key);
    loader.map_max_entries("TEXTBOOK_RECORDS", room);
    let mut ebpf = loader.load(programs::OBJECT)?;
    let devices = ebpf.map_mut("TEXTBOOK_DEVICE").context("no such map")?;
    DevMap::try_from(devices)?.set(0, target, None, 0)?;
    let records = ebpf.take_map("TEXTBOOK_RECORDS").context("no such map")?;
    Ok((ebpf, records.try_into()?))
}

/// One host.
#[derive(Clone, Copy)]
pub(super) struct Host<'t> {
    pub(super) netns: &'t Netns,
    /// The device of its tenant.
    port: &'static str,
    pub(super) pa: [u8; 4],
    pub(super) mac: Mac,
}

/// Name of a host's device on the underlay.
const UNDERLAY: &str = "eth0";

/// What leads from a tenant into the underlay, and back.
struct Ways {
    out: &'static str,
    back: &'static str,
}

/// The names of the programs at a hook.
const fn ways(hook: Hook) -> Ways {
    match hook {
        Hook::Xdp => Ways {
            out: "bench_textbook_encap",
            back: "bench_textbook_decap",
        },
        Hook::Tc => Ways {
            out: "bench_textbook_encap_tc",
            back: "bench_textbook_decap_tc",
        },
    }
}

const REWRITE: &str = "bench_textbook_rewrite";

impl<'t> Host<'t> {
    /// Both hosts.
    pub(super) fn both(topology: &'t Topology) -> [Self; 2] {
        let host = |netns, port, pa, mac| Self {
            netns,
            port,
            pa: octets(pa),
            mac,
        };
        [
            host(&topology.host_a, "a1", HOST_A, MAC_HOST_A),
            host(&topology.host_b, "b1", HOST_B, MAC_HOST_B),
        ]
    }

    /// What other hosts send to.
    pub(super) const fn remote(self) -> Remote {
        Remote::new(self.pa, self.mac)
    }

    /// From its tenant into the underlay, with room for so many records, which are still to be written.
    pub(super) fn encap(self, hook: Hook, room: u32) -> Result<(Ebpf, Records)> {
        let (mut ebpf, records) = self.sends_to(UNDERLAY, (self.remote(), room))?;
        programs::attach(&mut ebpf, (ways(hook).out, hook), self.netns, self.port)?;
        Ok((ebpf, records))
    }

    /// From the underlay to its tenant.
    pub(super) fn decap(self, hook: Hook) -> Result<Ebpf> {
        let (mut ebpf, _) = self.sends_to(self.port, (self.remote(), 1))?;
        programs::attach(&mut ebpf, (ways(hook).back, hook), self.netns, UNDERLAY)?;
        Ok(ebpf)
    }

    /// Like [`Self::encap`], with other addresses in place of an outer header.
    pub(super) fn rewrite_out(self, source: Remote, room: u32) -> Result<(Ebpf, Records)> {
        let (mut ebpf, records) = self.sends_to(UNDERLAY, (source, room))?;
        programs::attach(&mut ebpf, (REWRITE, Hook::Xdp), self.netns, self.port)?;
        Ok((ebpf, records))
    }

    /// Like [`Self::decap`], with the addresses of the tenants in place of those of the underlay.
    pub(super) fn rewrite_in(self, source: Remote, room: u32) -> Result<(Ebpf, Records)> {
        let (mut ebpf, records) = self.sends_to(self.port, (source, room))?;
        programs::attach(&mut ebpf, (REWRITE, Hook::Xdp), self.netns, UNDERLAY)?;
        Ok((ebpf, records))
    }

    /// Programs that send to a device of this host.
    fn sends_to(self, device: &str, with: (Remote, u32)) -> Result<(Ebpf, Records)> {
        let target = ifindex(self.netns, device)?;
        inside(self.netns, || load(target, with))
    }
}
