//! Maps that an earlier nved left: all of them are taken over, or none.
//!
//! What the attached programs read is the truth; a pin that is missing or names another map
//! (a start was killed half-way) is set right. Any other difference is refused before anything is
//! changed. How large the tables of records are is no difference: they grow, and `lookup-capacity`
//! bounds them.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use aya::maps::{Array, Map, MapData, MapInfo};
use dataplane_common::abi::config::Config;

use super::{
    Error,
    detach::pin_failed,
    layout::{self, MAPS},
    load::MAPS_FOLDER,
    lookups,
    maps::{Maps, failed},
    namespace,
    running::Running,
};

/// What shall become of the pinned maps.
#[derive(Debug)]
pub struct Adoption {
    pin: PathBuf,
    folder: PathBuf,
    /// Pins to set to these maps first.
    mend: Vec<(&'static str, u32)>,
    /// Pins that nothing runs on and that do not fit.
    discard: bool,
    /// Nothing of an earlier nved is here.
    fresh: bool,
    /// What is attached by pins.
    running: Running,
}

impl Adoption {
    /// Decides; changes nothing.
    pub fn plan(pin: &Path) -> Result<Self, Error> {
        let mut adoption = Self {
            pin: pin.to_owned(),
            folder: pin.join(MAPS_FOLDER),
            mend: Vec::new(),
            discard: false,
            fresh: true,
            running: Running::read(pin)?,
        };
        namespace::check(pin, &adoption.running)?;
        match adoption.examine() {
            // What no program runs on is of no use to anybody.
            Err(Error::Layout(mismatch)) if adoption.running.programs.is_empty() => {
                tracing::info!("unused pinned maps are made anew: {mismatch}");
                adoption.discard = true;
            }
            done => done?,
        }
        Ok(adoption)
    }

    /// Ids of the programs that an earlier nved left attached.
    pub fn programs(&self) -> impl Iterator<Item = u32> {
        self.running.programs.iter().copied()
    }

    fn examine(&mut self) -> Result<(), Error> {
        for name in MAPS {
            let path = self.folder.join(name);
            let pinned = MapInfo::from_pin(&path).ok().map(|info| info.id());
            let used = self.running.maps.get(name);
            let Some(id) = live(pinned, used) else {
                continue;
            };
            self.fresh = false;
            if pinned != Some(id) {
                self.mend.push((name, id));
            }
            let info = MapInfo::from_id(id).map_err(failed(name))?;
            layout::check(&path, name, &info)?;
            if name == "LOOKUP" && !lookups::is_known(id).map_err(failed(name))? {
                return Err(layout::Mismatch::Table.into());
            }
            if name == "CONFIG" {
                layout::check_version(&self.folder, version(id)?)?;
            }
        }
        Ok(())
    }

    /// Sets pins right, so that the object is loaded on the maps that are in use.
    pub fn prepare(&self) -> Result<(), Error> {
        namespace::claim(&self.pin)?;
        if self.discard {
            for name in MAPS {
                remove(&self.folder.join(name))?;
            }
        }
        for (name, id) in &self.mend {
            let path = self.folder.join(name);
            tracing::warn!("pin {} is set to the map in use", path.display());
            remove(&path)?;
            let map = MapData::from_id(*id).map_err(failed(name))?;
            map.pin(&path)
                .map_err(|error| pin_failed(&path)(io::Error::other(error)))?;
        }
        Ok(())
    }

    /// Where the loader finds a map, or pins a new one.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Once all programs are loaded: goes on with the tables of records, unless they have more than
    /// they may have.
    pub fn complete(&self, maps: &Maps) -> Result<(), Error> {
        let tables = {
            let (v4, v6) = (maps.lookup.v4(), maps.lookup.v6());
            [
                ("LOOKUP", v4.len(), v4.capacity()),
                ("LOOKUP6", v6.len().into(), v6.capacity().into()),
                (
                    "MACS",
                    maps.stations.len().into(),
                    maps.stations.capacity().into(),
                ),
            ]
        };
        for (name, records, room) in tables {
            layout::may_have(&self.path(name), records, room)?;
        }
        maps.lookup.sweep();
        Ok(())
    }

    /// Undoes what a refused start made.
    pub fn abandon(&self) {
        if self.fresh || self.discard {
            for name in MAPS {
                let _ = std::fs::remove_file(self.path(name));
            }
        }
        if self.fresh {
            namespace::release(&self.pin);
        }
    }
}

/// The map that shall be adopted: the pinned one, unless programs run on others.
fn live(pinned: Option<u32>, used: Option<&BTreeSet<u32>>) -> Option<u32> {
    match (pinned, used) {
        (Some(pinned), Some(used)) if used.contains(&pinned) => Some(pinned),
        (_, Some(used)) => used.first().copied(),
        (pinned, None) => pinned,
    }
}

/// The layout version in a map that is `CONFIG`.
fn version(id: u32) -> Result<u32, Error> {
    let read = || {
        let map: Array<_, Config> = Map::from_map_data(MapData::from_id(id)?)?.try_into()?;
        Ok(map.get(&0, 0)?.abi_version)
    };
    read().map_err(failed("CONFIG"))
}

fn remove(pin: &Path) -> Result<(), Error> {
    match std::fs::remove_file(pin) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(pin_failed(pin)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_that_programs_read_is_adopted() {
        let used = BTreeSet::from([7, 8]);
        assert_eq!(live(Some(8), Some(&used)), Some(8));
        assert_eq!(live(Some(3), Some(&used)), Some(7));
        assert_eq!(live(None, Some(&used)), Some(7));
        assert_eq!(live(Some(3), None), Some(3));
        assert_eq!(live(None, None), None);
    }
}
