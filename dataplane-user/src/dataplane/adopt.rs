//! Maps that an earlier nved left: all of them are taken over, or none.
//!
//! What the attached programs read is the truth; a pin that is missing or names another map
//! (a start or a migration was killed half-way) is set right. A map whose size alone differs is
//! migrated: a new one is filled before any program reads it. Any other difference is refused
//! before anything is changed.

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
    layout::{self, Fit, LOOKUP, MAPS},
    load::MAPS_FOLDER,
    maps::{Maps, failed},
    namespace,
    running::Running,
};

/// Pin of a larger or smaller `LOOKUP` until that is filled.
const NEXT: &str = "LOOKUP-next";

/// What shall become of the pinned maps.
#[derive(Debug)]
pub struct Adoption {
    pin: PathBuf,
    folder: PathBuf,
    /// Pins to set to these maps first.
    mend: Vec<(&'static str, u32)>,
    /// Pins that nothing runs on and that do not fit.
    discard: bool,
    /// `LOOKUP` gets another size.
    resize: bool,
    /// Nothing of an earlier nved is here.
    fresh: bool,
    /// What is attached by pins.
    running: Running,
}

impl Adoption {
    /// Decides; changes nothing.
    pub fn plan(pin: &Path, lookup_capacity: u32) -> Result<Self, Error> {
        let mut adoption = Self {
            pin: pin.to_owned(),
            folder: pin.join(MAPS_FOLDER),
            mend: Vec::new(),
            discard: false,
            resize: false,
            fresh: true,
            running: Running::read(pin)?,
        };
        namespace::check(pin, &adoption.running)?;
        match adoption.examine(lookup_capacity) {
            // What no program runs on is of no use to anybody.
            Err(Error::Layout(mismatch)) if adoption.running.programs.is_empty() => {
                tracing::info!("unused pinned maps are made anew: {mismatch}");
                adoption.discard = true;
                adoption.resize = false;
            }
            done => done?,
        }
        Ok(adoption)
    }

    /// Ids of the programs that an earlier nved left attached.
    pub fn programs(&self) -> impl Iterator<Item = u32> {
        self.running.programs.iter().copied()
    }

    fn examine(&mut self, lookup_capacity: u32) -> Result<(), Error> {
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
            let fit = layout::check(&path, name, &info, lookup_capacity)?;
            self.resize |= fit == Fit::Resize;
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
        remove(&self.folder.join(NEXT))?;
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
        let file = if name == LOOKUP && self.resize {
            NEXT
        } else {
            name
        };
        self.folder.join(file)
    }

    /// Once all programs are loaded: fills a map of another size and makes its pin the map's.
    /// Programs that still run on the former one are replaced when their devices are attached.
    pub fn complete(&self, maps: &mut Maps) -> Result<(), Error> {
        if !self.resize {
            return Ok(());
        }
        let (old, new) = (self.folder.join(LOOKUP), self.folder.join(NEXT));
        let former = Maps::lookup_at(&old).map_err(failed(LOOKUP))?;
        let records: Result<Vec<_>, _> = former.iter().collect();
        let records = records.map_err(failed(LOOKUP))?;
        layout::has_room(&old, &new, records.len())?;
        for (key, record) in records {
            let done = maps.lookup.insert(key, record, 0);
            done.map_err(failed(LOOKUP))?;
        }
        std::fs::rename(&new, &old).map_err(pin_failed(&new))?;
        tracing::info!("map LOOKUP has another size now; its records were taken along");
        Ok(())
    }

    /// Undoes what a refused start made.
    pub fn abandon(&self) {
        let made: &[&str] = if self.fresh || self.discard {
            &MAPS
        } else {
            &[NEXT]
        };
        for name in made {
            let _ = std::fs::remove_file(self.folder.join(name));
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
