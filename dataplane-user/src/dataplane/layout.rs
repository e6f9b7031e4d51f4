//! The layout of pinned maps: only one that matches is adopted.

use std::{fmt, mem::size_of, path::Path};

use aya::maps::MapInfo;
use dataplane_common::abi::{
    config::Config,
    lookup::{LookupKey, LookupRecord},
    pa::PaKey,
    port_ca::PortCaKey,
    stats::{COUNTERS_LEN, Count, DROPS_LEN},
    underlay::NextHop,
    vport::{LocalPortKey, Vport},
    vsid::VirtualSubnet,
};

/// The maps by name.
pub const MAPS: [&str; 11] = [
    "CONFIG",
    "VPORTS",
    "PORT_CAS",
    "LOCAL_PORTS",
    "LOOKUP",
    "UNDERLAY",
    "VSIDS",
    "LOCAL_PAS",
    "COUNTERS",
    "DROPS",
    "TX_PORTS",
];

/// Sizes of a map; `None` is "whatever the object says".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    key: u32,
    value: Option<u32>,
    entries: Option<u32>,
}

/// A pinned map that cannot be adopted.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// Sizes differ.
    #[error(
        "pinned map {path} has {found}, this nved needs {needed}; run `nvectl unload` with the nved that made it (traffic stops until the next start), or set lookup-capacity as it was"
    )]
    Sizes {
        /// The pin.
        path: String,
        /// Of the pinned map.
        found: Layout,
        /// Of this build with these settings.
        needed: Layout,
    },
    /// Written by another version.
    #[error(
        "the pinned maps in {path} have layout version {found}, this nved needs {needed}; run `nvectl unload` with the nved that made them (traffic stops until the next start)"
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
    pub fn needed(name: &str, lookup_capacity: u32) -> Option<Self> {
        Some(match name {
            "CONFIG" => Self::of::<u32, Config>(Some(1)),
            "VPORTS" => Self::of::<u32, Vport>(None),
            "PORT_CAS" => Self::of::<PortCaKey, u32>(None),
            "LOCAL_PORTS" => Self::of::<LocalPortKey, u32>(None),
            "LOOKUP" => Self::of::<LookupKey, LookupRecord>(Some(lookup_capacity)),
            "UNDERLAY" => Self::of::<u32, NextHop>(None),
            "VSIDS" => Self::of::<u32, VirtualSubnet>(None),
            "LOCAL_PAS" => Self::of::<PaKey, u32>(None),
            "COUNTERS" => Self::of::<u32, Count>(Some(COUNTERS_LEN)),
            "DROPS" => Self::of::<u32, Count>(Some(DROPS_LEN)),
            // The kernel decides on the value: with or without a program's id.
            "TX_PORTS" => Self {
                key: 4,
                value: None,
                entries: None,
            },
            _ => return None,
        })
    }

    /// How many entries a pinned map has room for.
    pub fn room(pin: &Path) -> Option<u32> {
        Self::pinned(&MapInfo::from_pin(pin).ok()?).entries
    }

    fn of<K, V>(entries: Option<u32>) -> Self {
        Self {
            key: bytes::<K>(),
            value: Some(bytes::<V>()),
            entries,
        }
    }

    fn pinned(info: &MapInfo) -> Self {
        Self {
            key: info.key_size(),
            value: Some(info.value_size()),
            entries: Some(info.max_entries()),
        }
    }

    fn fits(self, pinned: Self) -> bool {
        let same = |needed: Option<u32>, found| needed.is_none() || needed == found;
        self.key == pinned.key
            && same(self.value, pinned.value)
            && same(self.entries, pinned.entries)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-byte keys", self.key)?;
        if let Some(value) = self.value {
            write!(f, ", {value}-byte values")?;
        }
        if let Some(entries) = self.entries {
            write!(f, ", room for {entries}")?;
        }
        Ok(())
    }
}

/// Refuses pinned maps in `folder` whose sizes are not the needed ones.
pub fn check(folder: &Path, lookup_capacity: u32) -> Result<(), Mismatch> {
    for name in MAPS {
        let path = folder.join(name);
        let Ok(info) = MapInfo::from_pin(&path) else {
            continue;
        };
        let Some(needed) = Layout::needed(name, lookup_capacity) else {
            continue;
        };
        let found = Layout::pinned(&info);
        if !needed.fits(found) {
            return Err(Mismatch::Sizes {
                path: path.display().to_string(),
                found,
                needed,
            });
        }
    }
    Ok(())
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
mod tests {
    use super::*;

    #[test]
    fn every_map_has_a_layout() {
        for name in MAPS {
            assert!(Layout::needed(name, 1).is_some(), "{name}");
        }
    }

    #[test]
    fn sizes_and_capacity_must_match() {
        let needed = Layout::needed("LOOKUP", 65536).expect("layout");
        assert!(needed.fits(needed));
        let grown = Layout::needed("LOOKUP", 65537).expect("layout");
        assert!(!needed.fits(grown));
        let text = format!("{needed}");
        assert_eq!(text, "8-byte keys, 20-byte values, room for 65536");
    }

    #[test]
    fn only_our_version_or_an_unwritten_map_is_adopted() {
        let folder = Path::new("/pin");
        assert!(check_version(folder, 0).is_ok());
        assert!(check_version(folder, dataplane_common::abi::VERSION).is_ok());
        assert!(check_version(folder, dataplane_common::abi::VERSION + 1).is_err());
    }
}
