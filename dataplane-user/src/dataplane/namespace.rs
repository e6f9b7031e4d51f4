//! The network namespace that pins are of.
//!
//! Pins name devices by index, and another namespace has other devices with the same ones. A
//! folder `netns/INODE` among the pins tells which it is (a bpffs takes no plain files).

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use super::{Error, detach::pin_failed, running::Running};

/// Folder of the mark below the pin folder.
const NETNS: &str = "netns";

/// Refuses pins of a dataplane that runs in another namespace.
pub(super) fn check(pin: &Path, running: &Running) -> Result<(), Error> {
    let here = here().map_err(pin_failed(pin))?;
    let elsewhere = marks(pin).any(|mark| mark != here);
    if elsewhere && running.attached {
        return Err(Error::Elsewhere(pin.to_owned()));
    }
    Ok(())
}

/// From now on the pins are of this namespace.
pub(super) fn claim(pin: &Path) -> Result<(), Error> {
    let claim = || {
        let here = here()?;
        for mark in marks(pin).filter(|mark| *mark != here) {
            fs::remove_dir(pin.join(NETNS).join(mark))?;
        }
        fs::create_dir_all(pin.join(NETNS).join(here))
    };
    claim().map_err(pin_failed(pin))
}

/// The pins are nobody's any more.
pub(super) fn release(pin: &Path) {
    for mark in marks(pin) {
        // What cannot be removed is told by the folder that stays.
        let _ = fs::remove_dir(pin.join(NETNS).join(mark));
    }
    let _ = fs::remove_dir(pin.join(NETNS));
}

fn here() -> io::Result<String> {
    Ok(fs::metadata("/proc/self/ns/net")?.ino().to_string())
}

fn marks(pin: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(pin.join(NETNS))
        .into_iter()
        .flatten()
        .flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_of_another_namespace_are_refused_while_they_are_in_use() {
        let folder = tempfile::tempdir().expect("folder");
        let pin = folder.path();
        let mut running = Running::default();
        assert!(check(pin, &running).is_ok());
        fs::create_dir_all(pin.join(NETNS).join("7")).expect("a mark");
        assert!(check(pin, &running).is_ok(), "nothing runs there");
        running.attached = true;
        assert!(matches!(check(pin, &running), Err(Error::Elsewhere(_))));
        claim(pin).expect("claimed");
        assert!(check(pin, &running).is_ok());
        assert_eq!(marks(pin).count(), 1);
        release(pin);
        assert!(!pin.join(NETNS).exists());
    }
}
