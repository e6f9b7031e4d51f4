//! Copies of the object with generator, sinks and twins, and programs on devices.

use std::io::ErrorKind;

use anyhow::{Context, Result, bail};
use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Map, MapData, PerCpuArray},
    programs::{
        LinkOrder, SchedClassifier, TcAttachType, Xdp, XdpMode,
        tc::{NlOptions, TcAttachOptions, qdisc_add_clsact},
    },
    util::KernelVersion,
};
use xtask::lab::Netns;

use crate::paths::topology::{ifindex, inside};

/// The eBPF object that is built with this crate.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/bench"));

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Native XDP.
    Xdp,
    /// TC, ingress.
    Tc,
}

/// A loader that makes the large maps of other programs small; give constants and sizes to it.
pub fn loader<'a>() -> EbpfLoader<'a> {
    let mut loader = EbpfLoader::new();
    loader.map_max_entries("SAMPLES", 1);
    loader
}

/// Attaches a program to a device, natively or at ingress; it stays as long as `ebpf`.
pub fn attach(
    ebpf: &mut Ebpf,
    (program, hook): (&str, Hook),
    netns: &Netns,
    device: &str,
) -> Result<()> {
    let index = ifindex(netns, device)?;
    let attached = inside(netns, || match hook {
        Hook::Xdp => attach_xdp(ebpf, program, index),
        Hook::Tc => attach_tc(ebpf, program, device),
    });
    attached.with_context(|| format!("cannot attach {program} to interface {device}"))
}

fn attach_xdp(ebpf: &mut Ebpf, name: &str, index: u32) -> Result<()> {
    let program: &mut Xdp = ebpf
        .program_mut(name)
        .context("no such program")?
        .try_into()?;
    if program.fd().is_err() {
        program.load()?;
    }
    program.attach_to_if_index(index, XdpMode::Driver)?;
    Ok(())
}

fn attach_tc(ebpf: &mut Ebpf, name: &str, device: &str) -> Result<()> {
    let program: &mut SchedClassifier = ebpf
        .program_mut(name)
        .context("no such program")?
        .try_into()?;
    if program.fd().is_err() {
        program.load()?;
    }
    if KernelVersion::current()? >= KernelVersion::new(6, 6, 0) {
        let options = TcAttachOptions::TcxOrder(LinkOrder::default());
        program.attach_with_options(device, TcAttachType::Ingress, options)?;
        return Ok(());
    }
    match qdisc_add_clsact(device) {
        Err(error) if io_kind(&error) != Some(ErrorKind::AlreadyExists) => {
            return Err(error).context("cannot add a clsact qdisc (kernel module sch_ingress)");
        }
        _ => {}
    }
    let options = TcAttachOptions::Netlink(NlOptions::default());
    let id = program.attach_with_options(device, TcAttachType::Ingress, options)?;
    // Such a link would be removed by device index in whatever namespace it is dropped; the filter
    // goes with the device.
    std::mem::forget(program.take_link(id)?);
    Ok(())
}

/// Element 0 of a per-CPU array, CPU by CPU.
pub fn by_cpu(ebpf: &Ebpf, map: &str) -> Result<Vec<u64>> {
    element_by_cpu(ebpf, map, 0)
}

/// Another one.
pub fn element_by_cpu(ebpf: &Ebpf, map: &str, index: u32) -> Result<Vec<u64>> {
    let array: PerCpuArray<&MapData, u64> = ebpf.map(map).context("no such map")?.try_into()?;
    let values = array
        .get(&index, 0)
        .with_context(|| format!("cannot read map {map}"))?;
    Ok(values.iter().copied().collect())
}

/// The same, added up.
pub fn total(ebpf: &Ebpf, map: &str) -> Result<u64> {
    Ok(by_cpu(ebpf, map)?.iter().sum())
}

/// Makes a constant of the programs be `value`.
pub fn set<'a, T: Pod>(loader: &mut EbpfLoader<'a>, name: &'a str, value: &'a T) {
    loader.override_global(name, value, true);
}

/// The kernel's number of an array or a hash map.
pub fn map_id(ebpf: &Ebpf, name: &str) -> Result<u32> {
    match ebpf.map(name) {
        Some(Map::Array(map) | Map::HashMap(map)) => Ok(map.info()?.id()),
        _ => bail!("no array or hash map {name}"),
    }
}

/// What the system call at the bottom of an error said.
pub fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        cause = current.source();
    }
    None
}
