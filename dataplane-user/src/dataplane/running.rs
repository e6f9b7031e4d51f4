//! What the pinned links of an earlier nved run: its programs, and the maps that these read.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use aya::{
    maps::MapInfo,
    programs::{ProgramInfo, links::PinnedLink, loaded_programs},
};

use super::{
    Dataplane, Error,
    links::{Hook, holds},
};

/// Programs that are attached by pins of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Their ids.
    pub programs: BTreeSet<u32>,
    /// One at least is on a device; others may have lost theirs.
    pub attached: bool,
    /// Ids of their maps, by the maps' names. More than one: programs of two nveds run.
    pub maps: BTreeMap<String, BTreeSet<u32>>,
}

impl Running {
    /// Looks at the links below a pin folder.
    pub fn read(pin: &Path) -> Result<Self, Error> {
        let pins = Dataplane::link_pins(pin)?;
        let held = |(hook, ifindex, path): &(String, u32, PathBuf)| holds(path, hook, *ifindex);
        let programs = pins.iter();
        let programs = programs.filter_map(|(hook, _, path)| program(hook, path));
        let mut running = Self {
            programs: programs.collect(),
            attached: pins.iter().any(held),
            maps: BTreeMap::new(),
        };
        let loaded = loaded_programs().flatten();
        for info in loaded.filter(|info| running.programs.contains(&info.id())) {
            for id in info.map_ids().ok().flatten().unwrap_or_default() {
                let map = MapInfo::from_id(id).ok();
                let name = map.as_ref().and_then(MapInfo::name_as_str);
                if let Some(name) = name {
                    running.maps.entry(name.to_owned()).or_default().insert(id);
                }
            }
        }
        Ok(running)
    }
}

/// The program behind a pin; `None` when its device is gone.
pub fn program(hook: &str, pin: &Path) -> Option<u32> {
    if hook == Hook::Clsact.as_str() {
        return Some(ProgramInfo::from_pin(pin).ok()?.id());
    }
    let link: aya::programs::links::FdLink = PinnedLink::from_pin(pin).ok()?.into();
    Some(link.info().ok()?.program_id())
}
