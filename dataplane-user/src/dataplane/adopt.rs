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

use aya::{
    Pod,
    maps::{Array, HashMap, Map, MapData, MapInfo},
};
use dataplane_common::abi::config::Config;

use super::{
    Error,
    detach::pin_failed,
    layout::{self, Fit, MAPS, SIZED},
    load::MAPS_FOLDER,
    lookups,
    maps::{Maps, failed},
    namespace,
    running::Running,
};

/// Behind the name in the pin of a larger or smaller map until that is filled.
const NEXT: &str = "-next";

/// What shall become of the pinned maps.
#[derive(Debug)]
pub struct Adoption {
    pin: PathBuf,
    folder: PathBuf,
    /// Pins to set to these maps first.
    mend: Vec<(&'static str, u32)>,
    /// Pins that nothing runs on and that do not fit.
    discard: bool,
    /// Maps that get another size.
    resize: BTreeSet<&'static str>,
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
            resize: BTreeSet::new(),
            fresh: true,
            running: Running::read(pin)?,
        };
        namespace::check(pin, &adoption.running)?;
        match adoption.examine(lookup_capacity) {
            // What no program runs on is of no use to anybody.
            Err(Error::Layout(mismatch)) if adoption.running.programs.is_empty() => {
                tracing::info!("unused pinned maps are made anew: {mismatch}");
                adoption.discard = true;
                adoption.resize.clear();
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
            if fit == Fit::Resize {
                self.resize.insert(name);
            }
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
        for name in SIZED {
            remove(&self.next(name))?;
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
        if self.resize.contains(name) {
            self.next(name)
        } else {
            self.folder.join(name)
        }
    }

    fn next(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{NEXT}"))
    }

    /// Once all programs are loaded: fills maps of another size and makes their pins the maps'.
    /// Programs that still run on the former ones are replaced when their devices are attached.
    pub fn complete(&self, maps: &mut Maps) -> Result<(), Error> {
        let (records, room) = {
            let table = maps.lookup.v4();
            (table.len(), table.capacity())
        };
        layout::may_have(&self.folder.join("LOOKUP"), records, room)?;
        self.take_along("LOOKUP6", maps.lookup.v6_mut())?;
        self.take_along("MACS", &mut maps.stations)?;
        maps.lookup.sweep();
        Ok(())
    }

    fn take_along<K: Pod, V: Pod>(
        &self,
        name: &'static str,
        map: &mut HashMap<MapData, K, V>,
    ) -> Result<(), Error> {
        if !self.resize.contains(name) {
            return Ok(());
        }
        let (old, new) = (self.folder.join(name), self.next(name));
        let former: HashMap<_, K, V> = lookups::open(&old).map_err(failed(name))?;
        let records: Result<Vec<_>, _> = former.iter().collect();
        let records = records.map_err(failed(name))?;
        layout::has_room(&old, &new, records.len())?;
        for (key, record) in records {
            map.insert(key, record, 0).map_err(failed(name))?;
        }
        std::fs::rename(&new, &old).map_err(pin_failed(&new))?;
        tracing::info!("map {name} has another size now; its records were taken along");
        Ok(())
    }

    /// Undoes what a refused start made.
    pub fn abandon(&self) {
        let made: Vec<PathBuf> = if self.fresh || self.discard {
            MAPS.iter().map(|name| self.folder.join(name)).collect()
        } else {
            SIZED.iter().map(|name| self.next(name)).collect()
        };
        for pin in made {
            let _ = std::fs::remove_file(pin);
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
