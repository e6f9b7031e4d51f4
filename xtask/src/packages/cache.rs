//! Where unpacked packages are: one folder for each, by name and version.

use crate::lab::{TempDir, interrupted, sweep_folders};
use anyhow::{Context, Result, bail};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Another run fetches everything in less.
const LIMIT: Duration = Duration::from_mins(20);
const INTERVAL: Duration = Duration::from_millis(50);

/// `nve` in the user's cache folder. Whatever is in it may be removed when nothing runs.
pub fn folder() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    // A relative one is to be ignored, says the XDG base directory specification.
    let chosen = set("XDG_CACHE_HOME").filter(|dir| dir.is_absolute());
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    let cache = chosen.or_else(home);
    let cache = cache.context("no place for a cache: set XDG_CACHE_HOME or HOME")?;
    Ok(cache.join("nve"))
}

/// The right to add to the cache, for one at a time, until it is dropped: so that the next one finds
/// what it needs there and does not fetch it again. Makes the cache if there is none.
///
/// The folder itself is locked, so nothing is left in it, and the kernel ends the lock of a run that
/// dies.
pub(super) fn lock(cache: &Path) -> Result<File> {
    let place = || cache.display();
    std::fs::create_dir_all(cache).with_context(|| format!("cannot make the cache {}", place()))?;
    let folder = File::open(cache).with_context(|| format!("cannot open {}", place()))?;
    let deadline = Instant::now() + LIMIT;
    let mut told = false;
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", place()));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if Instant::now() >= deadline {
            bail!(
                "{} is locked for {LIMIT:?}; end whoever holds it (`fuser -v`)",
                place()
            );
        }
        if !told {
            eprintln!("waiting for another run that fetches packages");
            told = true;
        }
        interrupted()?;
        std::thread::sleep(INTERVAL);
    }
}

/// The folder that was added last among those whose name begins with `prefix`.
pub(super) fn find(cache: &Path, prefix: &str) -> Result<Option<PathBuf>> {
    let entries = match std::fs::read_dir(cache) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries.context("cannot read the cache")?,
    };
    let ours = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with(prefix))
    });
    let added = ours.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry)));
    let newest = added.max_by_key(|(added, _)| *added);
    Ok(newest.map(|(_, entry)| entry.path()))
}

/// The folder of that name. If it is not there, `fill` fills it; it appears in the cache complete or
/// not at all.
pub(super) fn add(
    cache: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let place = cache.join(name);
    if place.is_dir() {
        return Ok(place);
    }
    sweep_folders(cache)?;
    let fresh = TempDir::new_in(cache, "unpack")?;
    fill(fresh.path())?;
    std::fs::rename(fresh.path(), &place)
        .with_context(|| format!("cannot make {}", place.display()))?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::PATIENCE;

    fn tool(contents: &str) -> impl FnOnce(&Path) -> Result<()> {
        move |dir| Ok(std::fs::write(dir.join("tool"), contents)?)
    }

    #[test]
    fn what_fails_half_way_is_not_in_the_cache() {
        let dir = TempDir::new("cache").unwrap();
        let failed = add(dir.path(), "tool_1", |fresh| {
            tool("half")(fresh)?;
            bail!("no network");
        });
        assert_eq!(failed.unwrap_err().to_string(), "no network");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(find(dir.path(), "tool_").unwrap(), None);
        assert_eq!(find(&dir.path().join("none"), "tool_").unwrap(), None);
    }

    #[test]
    fn the_second_of_two_runs_waits_for_what_the_first_adds() {
        let dir = TempDir::new("cache").unwrap();
        let cache = dir.path();
        let first = lock(cache).unwrap();
        let (sender, second) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let _turn = lock(cache).unwrap();
                sender.send(find(cache, "tool_").unwrap()).unwrap();
            });
            let early = second.recv_timeout(4 * INTERVAL);
            assert!(early.is_err(), "it did not wait: {early:?}");
            let place = add(cache, "tool_1", tool("first")).unwrap();
            drop(first);
            assert_eq!(second.recv_timeout(PATIENCE).unwrap(), Some(place));
        });
        assert_eq!(find(cache, "too_").unwrap(), None);
        assert_eq!(std::fs::read_dir(cache).unwrap().count(), 1);
    }
}
