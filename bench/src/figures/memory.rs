//! Memory of the kernel's tables and of the agent.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd},
};

use anyhow::{Context, Result};
use aya::{
    EbpfLoader,
    maps::{Map, MapData},
};
use dataplane_user::dataplane::{OBJECT, layout};
use xtask::lab::interrupted;

use super::{Figure, Plan, Unit, tables};

/// The table of the IPv4 lookup records.
pub const LOOKUP: &str = "LOOKUP";

/// Memory of the table of lookup records at every size, full or not: it is there from the start.
pub fn measure(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for records in &plan.records {
        interrupted()?;
        let capacity = (*records).max(tables::DEFAULT_CAPACITY);
        let bytes = of_tables(capacity)?
            .into_iter()
            .find(|(name, _)| *name == LOOKUP)
            .context("no table of lookup records")?
            .1;
        let mut figure = Figure::new("kernel-memory", Unit::BytesPerMillionRecords)
            .with("records", records)
            .with("capacity", capacity);
        // A table with room to spare is not dearer by the record.
        figure.trials.push(per_million(bytes, capacity));
        figures.push(figure);
    }
    Ok(figures)
}

/// Bytes that each table takes in the kernel, as it tells itself, with so much room for records.
///
/// Kernels before 6.4 count only keys and values.
pub fn of_tables(lookup_capacity: u32) -> Result<Vec<(&'static str, u64)>> {
    let mut loader = EbpfLoader::new();
    for name in layout::SIZED {
        loader.map_max_entries(name, lookup_capacity);
    }
    let ebpf = loader
        .load(OBJECT)
        .context("the object with the programs")?;
    let bytes = layout::MAPS.into_iter().map(|name| {
        let map = ebpf.map(name).with_context(|| format!("no map {name}"))?;
        let map = data(map).with_context(|| format!("map {name} is of no known kind"))?;
        Ok((name, locked(map)?))
    });
    bytes.collect()
}

/// What every kind of our maps has.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is the library's; we have seven kinds of it"
)]
const fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::PerCpuArray(data)
        | Map::DevMapHash(data)
        | Map::LpmTrie(data)
        | Map::ProgramArray(data)
        | Map::XskMap(data) => Some(data),
        _ => None,
    }
}

/// `memlock` of a map.
fn locked(map: &MapData) -> Result<u64> {
    let file = format!("/proc/self/fdinfo/{}", map.fd().as_fd().as_raw_fd());
    let text = fs::read_to_string(&file).context(file)?;
    field(&text, "memlock").context("the kernel does not tell the memory of a map")
}

/// What a process takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Its proportional share of the memory that is mapped now (PSS), bytes.
    pub(super) now: u64,
    /// The most that was ever resident, bytes.
    pub(super) peak: u64,
}

/// Memory of a process.
pub(super) fn of_process(pid: u32) -> Result<Process> {
    let read = |file: &str, name: &str| {
        let path = format!("/proc/{pid}/{file}");
        let text = fs::read_to_string(&path).with_context(|| path.clone())?;
        let kilobytes = field(&text, name).with_context(|| format!("no {name} in {path}"))?;
        Ok::<_, anyhow::Error>(kilobytes * 1024)
    };
    Ok(Process {
        now: read("smaps_rollup", "Pss")?,
        peak: read("status", "VmHWM")?,
    })
}

/// The number behind `NAME:` in a file of /proc.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines();
    lines.find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        value.split_whitespace().next()?.parse().ok()
    })
}

/// Bytes of so many records, as bytes of a million.
#[expect(
    clippy::cast_precision_loss,
    reason = "bytes of a machine's memory are exact in 53 bits"
)]
pub(super) fn per_million(bytes: u64, records: u32) -> f64 {
    bytes as f64 * 1e6 / f64::from(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "Pss_Anon:  7 kB\nPss:   1234 kB\nmemlock:\t5242880\n";
        assert_eq!(field(text, "Pss"), Some(1234));
        assert_eq!(field(text, "memlock"), Some(5_242_880));
        assert_eq!(field(text, "Rss"), None);
    }

    #[test]
    fn a_process_knows_its_own_memory() {
        let own = of_process(std::process::id()).expect("memory");
        assert!(own.peak >= own.now && own.now > 1 << 20, "{own:?}");
    }

    #[test]
    fn a_million_is_the_unit() {
        assert!((per_million(96 << 16, 1 << 16) - 96e6).abs() < 1e-3);
    }
}
