//! Programs off devices again, and pins out of the file system.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    Dataplane, Error,
    explain::chain,
    links::{self, Hook, LINKS, parse_pin, pin_path},
    load::MAPS_FOLDER,
    maps::failed,
    namespace, qdisc,
};

/// What [`Dataplane::unload`] removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// As `interface hook`.
    pub detached: Vec<String>,
    /// Files.
    pub pins: usize,
}

impl Dataplane {
    /// Detaches from a device, whatever namespace it is in.
    pub fn detach(&mut self, ifindex: u32) -> Result<(), Error> {
        for hook in links::HOOKS {
            self.detach_hook(hook, ifindex)?;
        }
        // A device that is gone left the map by itself.
        let _ = self.maps.tx_ports.remove(ifindex);
        Ok(())
    }

    /// Detaches from every device that is not in `keep`; their indexes.
    pub fn detach_others(&mut self, keep: &BTreeSet<u32>) -> Result<BTreeSet<u32>, Error> {
        let mut gone = BTreeSet::new();
        for (hook, ifindex) in self.pins()? {
            if !keep.contains(&ifindex) {
                self.detach_hook(&hook, ifindex)?;
                gone.insert(ifindex);
            }
        }
        for ifindex in self.tx_ports()? {
            if !keep.contains(&ifindex) {
                // A device that is gone left the map by itself.
                let _ = self.maps.tx_ports.remove(ifindex);
            }
        }
        Ok(gone)
    }

    /// Detaches everything and removes every pin; `name` tells a device's name.
    pub fn unload(&mut self, name: impl Fn(u32) -> Option<String>) -> Result<Removed, Error> {
        let mut removed = Removed::default();
        for (hook, ifindex) in self.pins()? {
            let name = name(ifindex);
            self.detach_hook(&hook, ifindex)?;
            let name = name.unwrap_or_else(|| format!("interface {ifindex}"));
            removed.detached.push(format!("{name} {hook}"));
            removed.pins += 1;
        }
        qdisc::release_all(&self.pin).map_err(pin_failed(&self.pin))?;
        namespace::release(&self.pin);
        let folder = self.pin.join(MAPS_FOLDER);
        for file in [entries(&folder)?, entries(&self.pin.join(LINKS))?].concat() {
            std::fs::remove_file(&file).map_err(pin_failed(&file))?;
            removed.pins += 1;
        }
        for folder in [folder, self.pin.join(LINKS), self.pin.clone()] {
            // A mount point stays; so does a folder with files of others.
            let _ = std::fs::remove_dir(folder);
        }
        Ok(removed)
    }

    pub(super) fn detach_hook(&self, hook: &str, ifindex: u32) -> Result<(), Error> {
        let pin = pin_path(&self.pin, hook, ifindex);
        links::detach(&pin, hook, ifindex, &self.own).map_err(|failure| Error::Pin {
            path: pin,
            source: std::io::Error::other(chain(&failure)),
        })?;
        if hook == Hook::Clsact.as_str() {
            qdisc::release(&self.pin, ifindex).map_err(pin_failed(&self.pin))?;
        }
        Ok(())
    }

    /// Indexes of the devices that anything of ours is attached to.
    pub fn devices(&self) -> Result<BTreeSet<u32>, Error> {
        let pins = self.pins()?.into_iter();
        Ok(pins.map(|(_, ifindex)| ifindex).collect())
    }

    fn tx_ports(&self) -> Result<Vec<u32>, Error> {
        let keys: Result<_, _> = self.maps.tx_ports.keys().collect();
        keys.map_err(failed("TX_PORTS"))
    }

    fn pins(&self) -> Result<Vec<(String, u32)>, Error> {
        let pins = Self::link_pins(&self.pin)?.into_iter();
        Ok(pins.map(|(hook, ifindex, _)| (hook, ifindex)).collect())
    }

    /// Hook, ifindex and file of each attachment that is pinned below a pin folder.
    pub(super) fn link_pins(pin: &Path) -> Result<Vec<(String, u32, PathBuf)>, Error> {
        let mut pins = Vec::new();
        for path in entries(&pin.join(LINKS))? {
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some((hook, ifindex)) = name.and_then(parse_pin) {
                pins.push((hook.to_owned(), ifindex, path.clone()));
            }
        }
        Ok(pins)
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = match std::fs::read_dir(folder) {
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(pin_failed(folder)(error)),
    };
    Ok(read.flatten().map(|entry| entry.path()).collect())
}

pub(super) fn pin_failed(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Pin {
        path: path.to_owned(),
        source,
    }
}
