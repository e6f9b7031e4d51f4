//! The layout of pinned maps: only one that matches is adopted.

use std::{fmt, mem::size_of, path::Path};

use aya::maps::{MapInfo, MapType, lpm_trie::Key};
use dataplane_common::abi::{
    bucket::BUCKETS_LEN,
    config::Config,
    flood::Flood,
    lookup::LookupRecord,
    port_ca::PortCaKey,
    programs::PROGS_LEN,
    rewrite::RewriteEntry,
    route::RouteKey,
    stats::{COUNTERS_LEN, Count, DROPS_LEN},
    underlay::NextHop,
    upcall::{UPLINKS_LEN, XSKS_LEN},
    vport::{LocalPortKey, NEAR_IFINDEXES, NEAR_PORTS, PLACES_OF_VPORTS, Vport},
    vsid::VirtualSubnet,
};
use dataplane_common::id::Address;

/// The maps by name.
pub const MAPS: [&str; 23] = [
    "CONFIG",
    "VPORTS",
    "PLACES",
    "FAR_PLACES",
    "PORT_CAS",
    "NEAR_PORTS",
    "LOCAL_PORTS",
    "LOOKUP",
    "LOOKUP6",
    "MACS",
    "ROUTES",
    "FLOODS",
    "UNDERLAY",
    "VSIDS",
    "LOCAL_PAS",
    "REWRITES",
    "COUNTERS",
    "DROPS",
    "TX_PORTS",
    "BUCKETS",
    "UPLINKS",
    "XSKS",
    "PROGS",
];

/// The maps that grow with their content up to a setting (`lookup-capacity`).
pub const SIZED: [&str; 3] = ["LOOKUP", "LOOKUP6", "MACS"];

/// Kind and sizes of a map; `None` is "whatever the object says".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    kind: MapType,
    key: u32,
    value: Option<u32>,
    entries: Option<u32>,
}

/// A pinned map that cannot be adopted.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// Kind or sizes differ.
    #[error(
        "pinned map {path} is a {found}; this nved needs a {needed}: nothing was changed; run `nvectl unload` with the nved that made it (traffic stops until the next start)"
    )]
    Layout {
        /// The pin.
        path: String,
        /// Of the pinned map.
        found: Layout,
        /// Of this build with these settings.
        needed: Layout,
    },
    /// A smaller table was asked for than its content needs.
    #[error(
        "pinned map {path} holds {entries} records; this nved needs one with room for {room}: nothing was changed; set a larger lookup-capacity"
    )]
    Records {
        /// The pin.
        path: String,
        /// Records in the table.
        entries: u64,
        /// The setting.
        room: u64,
    },
    /// What is in `LOOKUP` is no table of ours.
    #[error(
        "the pinned map LOOKUP has a table of another layout: nothing was changed; run `nvectl unload` with the nved that made it (traffic stops until the next start)"
    )]
    Table,
    /// Written by another version.
    #[error(
        "the pinned maps in {path} have layout version {found}, this nved needs {needed}: nothing was changed; run `nvectl unload` with the nved that made them (traffic stops until the next start)"
    )]
    Version {
        /// The pin folder.
        path: String,
        /// In `CONFIG`.
        found: u32,
        /// Of this build.
        needed: u32,
    },
}

impl Layout {
    /// What this build needs of the map `name`.
    pub fn needed(name: &str) -> Option<Self> {
        Some(match name {
            "CONFIG" => Self::of::<u32, Config>(MapType::Array, Some(1)),
            "VPORTS" => Self::of::<u32, Vport>(MapType::Array, Some(PLACES_OF_VPORTS)),
            "PLACES" => Self::of::<u32, u32>(MapType::Array, Some(NEAR_IFINDEXES)),
            "FAR_PLACES" => Self::of::<u32, u32>(MapType::Hash, None),
            "PORT_CAS" => Self::of::<PortCaKey, u32>(MapType::Hash, None),
            "NEAR_PORTS" => Self::of::<u32, u32>(MapType::Array, Some(NEAR_PORTS)),
            "LOCAL_PORTS" => Self::of::<LocalPortKey, u32>(MapType::Hash, None),
            // The table is a map of its own, of the size that it needs.
            "LOOKUP" | "LOOKUP6" | "MACS" => Self::of::<u32, u32>(MapType::ArrayOfMaps, Some(1)),
            "ROUTES" => Self::of::<Key<RouteKey>, LookupRecord>(MapType::LpmTrie, None),
            "FLOODS" => Self::of::<u32, Flood>(MapType::Hash, None),
            "PROGS" => Self::of::<u32, u32>(MapType::ProgramArray, Some(PROGS_LEN)),
            "UNDERLAY" => Self::of::<u32, NextHop>(MapType::Array, None),
            "VSIDS" => Self::of::<u32, VirtualSubnet>(MapType::Hash, None),
            "LOCAL_PAS" => Self::of::<Address, u32>(MapType::Hash, None),
            "REWRITES" => Self::of::<Address, RewriteEntry>(MapType::Hash, None),
            "COUNTERS" => Self::of::<u32, Count>(MapType::PerCpuArray, Some(COUNTERS_LEN)),
            "DROPS" => Self::of::<u32, Count>(MapType::PerCpuArray, Some(DROPS_LEN)),
            // The kernel decides on the value: with or without a program's id.
            "TX_PORTS" => Self {
                kind: MapType::DevMapHash,
                key: 4,
                value: None,
                entries: None,
            },
            "BUCKETS" => Self::of::<u32, u64>(MapType::Array, Some(BUCKETS_LEN)),
            "UPLINKS" => Self::of::<u32, u32>(MapType::Hash, Some(UPLINKS_LEN)),
            "XSKS" => Self::of::<u32, u32>(MapType::XskMap, Some(XSKS_LEN)),
            _ => return None,
        })
    }

    /// How many entries a pinned map has room for.
    pub fn room(pin: &Path) -> Option<u32> {
        Self::pinned(&MapInfo::from_pin(pin).ok()?).entries
    }

    fn of<K, V>(kind: MapType, entries: Option<u32>) -> Self {
        Self {
            kind,
            key: bytes::<K>(),
            value: Some(bytes::<V>()),
            entries,
        }
    }

    fn pinned(info: &MapInfo) -> Self {
        Self {
            kind: info.map_type().unwrap_or(MapType::Unspecified),
            key: info.key_size(),
            value: Some(info.value_size()),
            entries: Some(info.max_entries()),
        }
    }

    /// Whether a pinned map is what is needed.
    fn fits(self, pinned: Self) -> bool {
        let same = |needed: Option<u32>, found| needed.is_none() || needed == found;
        let alike = self.kind == pinned.kind && self.key == pinned.key;
        alike && same(self.value, pinned.value) && same(self.entries, pinned.entries)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} map with {}-byte keys", self.kind, self.key)?;
        if let Some(value) = self.value {
            write!(f, ", {value}-byte values")?;
        }
        if let Some(entries) = self.entries {
            write!(f, ", room for {entries}")?;
        }
        Ok(())
    }
}

/// Refuses a map that was found for a pin and cannot be taken over.
pub fn check(path: &Path, name: &str, info: &MapInfo) -> Result<(), Mismatch> {
    let found = Layout::pinned(info);
    match Layout::needed(name) {
        Some(needed) if !needed.fits(found) => Err(Mismatch::Layout {
            path: path.display().to_string(),
            found,
            needed,
        }),
        Some(_) | None => Ok(()),
    }
}

/// Refuses to go on with a table that has more records than it may have.
pub fn may_have(path: &Path, entries: u64, room: u64) -> Result<(), Mismatch> {
    if entries <= room {
        return Ok(());
    }
    let path = path.display().to_string();
    Err(Mismatch::Records {
        path,
        entries,
        room,
    })
}

/// Refuses the content of another version. Version 0 is a map that nobody has written yet.
pub fn check_version(folder: &Path, found: u32) -> Result<(), Mismatch> {
    let needed = dataplane_common::abi::VERSION;
    if found == needed || found == 0 {
        return Ok(());
    }
    Err(Mismatch::Version {
        path: folder.display().to_string(),
        found,
        needed,
    })
}

fn bytes<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
