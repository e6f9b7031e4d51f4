//! Memory of the kernel's tables and of the agent.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use aya::{
    EbpfLoader,
    maps::{IterableMap as _, Map, MapData},
};
use dataplane_common::abi::{lookup::LookupRecord, vport::LocalPortKey};
use dataplane_user::dataplane::{OBJECT, hash::Hash, layout, lookups::Lookups};
use xtask::lab::interrupted;

use super::{Figure, Plan, Unit, tables};

/// The table of the IPv4 lookup records.
pub const LOOKUP: &str = "LOOKUP";

/// Memory of the table of lookup records at every size, when it has them all.
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

/// Bytes that each table takes in the kernel, as it tells itself, with so many IPv4 lookup records and
/// nothing else.
///
/// Kernels before 6.4 count only keys and values.
pub fn of_tables(lookup_capacity: u32) -> Result<Vec<(&'static str, u64)>> {
    let mut ebpf = EbpfLoader::new()
        .load(OBJECT)
        .context("the object with the programs")?;
    let lookups = Lookups::take(&mut ebpf, lookup_capacity)?;
    let stations: Hash<LocalPortKey, LookupRecord> =
        Hash::take(&mut ebpf, "MACS", lookup_capacity)?;
    let records = {
        let mut table = lookups.v4();
        table.reserve(lookup_capacity.into())?;
        locked(table.writer().memory().map().map())?
    };
    let bytes = layout::MAPS.into_iter().map(|name| {
        match name {
            LOOKUP => return Ok((name, records)),
            "LOOKUP6" => return Ok((name, locked(lookups.v6().current().map())?)),
            "MACS" => return Ok((name, locked(stations.current().map())?)),
            _ => {}
        }
        let map = ebpf.map(name).with_context(|| format!("no map {name}"))?;
        let map = data(map).with_context(|| format!("map {name} is of no known kind"))?;
        Ok((name, locked(map)?))
    });
    bytes.collect()
}

/// Bytes that the maps of a process take in the kernel; each counts once, however often it is open.
pub(super) fn of_maps(pid: u32) -> Result<u64> {
    let folder = format!("/proc/{pid}/fdinfo");
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.clone())? {
        // A descriptor may be closed meanwhile.
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        if let (Some(id), Some(bytes)) = (field(&text, "map_id"), field(&text, "memlock")) {
            maps.insert(id, bytes);
        }
    }
    ensure!(!maps.is_empty(), "process {pid} has no maps");
    Ok(maps.values().sum())
}

/// Bytes that all tables take that has next to no room for records.
pub(super) fn without_records() -> Result<u64> {
    const LEAST: u32 = 1024;
    Ok(of_tables(LEAST)?.iter().map(|(_, bytes)| bytes).sum())
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
pub fn locked(map: &MapData) -> Result<u64> {
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

/// Memory of a process. What it has mapped of the kernel's tables is no memory of its own: it is in
/// [`of_maps`], and not in `now`. The peak cannot be told apart.
pub(super) fn of_process(pid: u32) -> Result<Process> {
    let read = |file: &str, name: &str| {
        let path = format!("/proc/{pid}/{file}");
        let text = fs::read_to_string(&path).with_context(|| path.clone())?;
        let kilobytes = field(&text, name).with_context(|| format!("no {name} in {path}"))?;
        Ok::<_, anyhow::Error>(kilobytes * 1024)
    };
    Ok(Process {
        now: own_share(pid)?,
        peak: read("status", "VmHWM")?,
    })
}

/// The same once it has stayed the same for two seconds, or after half a minute: what a change leaves
/// behind is given back when its answer has been sent.
pub(super) fn at_rest(pid: u32) -> Result<Process> {
    let mut process = of_process(pid)?;
    let mut unchanged = 0;
    for _ in 0..LOOKS {
        if unchanged == LOOKS_AT_REST {
            break;
        }
        interrupted()?;
        std::thread::sleep(BETWEEN_LOOKS);
        let later = of_process(pid)?;
        let same = later.now.abs_diff(process.now) < AT_REST;
        unchanged = if same { unchanged + 1 } else { 0 };
        process = later;
    }
    Ok(process)
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// Thirty seconds, and two.
const LOOKS: u32 = 150;
const LOOKS_AT_REST: u32 = 10;
/// Bytes by which a process at rest changes.
const AT_REST: u64 = 128 << 10;

/// Bytes that the machine has for programs to come.
pub(super) fn of_machine() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
    let kilobytes = field(&text, "MemAvailable").context("no MemAvailable in /proc/meminfo")?;
    Ok(kilobytes * 1024)
}

/// Proportional share of all that is mapped but maps of the kernel, bytes.
fn own_share(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps");
    let text = fs::read_to_string(&path).context(path)?;
    Ok(shares(&text) * 1024)
}

/// The same of the text of `smaps`, KiB.
fn shares(text: &str) -> u64 {
    let mut sum = 0;
    let mut is_table = false;
    for line in text.lines() {
        let first = line.split(' ').next().unwrap_or_default();
        // A mapping begins with its addresses; all other lines are fields.
        if !first.ends_with(':') {
            is_table = line.contains("bpf-map");
        } else if !is_table && first == "Pss:" {
            sum += field(line, "Pss").unwrap_or(0);
        }
    }
    sum
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
    fn a_mapped_table_is_no_memory_of_the_process() {
        let text = "5581-5582 r-xp 0000 08:01 42 /usr/bin/nved\nRss: 9 kB\nPss:   10 kB\nPss_Dirty: 3 kB\n\
            7f00-7f01 rw-s 0000 00:0f 1 anon_inode:bpf-map\nPss:  500 kB\n\
            7f02-7f03 rw-p 0000 00:00 0 \nPss:   7 kB\nVmFlags: rd wr\n";
        assert_eq!(shares(text), 17);
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
