//! What the pinned links of an earlier nved run: its programs, and the maps that these read.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use aya::{
    maps::MapInfo,
    programs::{ProgramInfo, links::PinnedLink, loaded_programs},
};

use super::{Dataplane, Error, links::Hook};

/// Programs that are attached by pins of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Their ids.
    pub programs: BTreeSet<u32>,
    /// Ids of their maps, by the maps' names. More than one: programs of two nveds run.
    pub maps: BTreeMap<String, BTreeSet<u32>>,
}

impl Running {
    /// Looks at the links below a pin folder.
    pub fn read(pin: &Path) -> Result<Self, Error> {
        let pins = Dataplane::link_pins(pin)?.into_iter();
        let programs: BTreeSet<u32> = pins
            .filter_map(|(hook, _, path)| program(&hook, &path))
            .collect();
        let mut running = Self {
            programs,
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
