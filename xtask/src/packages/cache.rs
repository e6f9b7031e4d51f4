//! Where unpacked packages are: one folder for each, by name and version.

use crate::lab::{TempDir, sweep_folders};
use anyhow::{Context, Result};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

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

/// The folder that was added last among those whose name begins with `prefix`.
pub(super) fn find(prefix: &str) -> Result<Option<PathBuf>> {
    let entries = match std::fs::read_dir(folder()?) {
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

/// Lets `make` fill a folder, which appears in the cache complete or not at all.
///
/// Two runs that add the same do it twice, and the second uses what the first has added: the
/// folder may be in use already.
pub(super) fn add(make: impl FnOnce(&Path) -> Result<String>) -> Result<PathBuf> {
    let cache = folder()?;
    std::fs::create_dir_all(&cache)
        .with_context(|| format!("cannot make the cache {}", cache.display()))?;
    sweep_folders(&cache)?;
    let fresh = TempDir::new_in(&cache, "unpack")?;
    let name = make(fresh.path())?;
    let place = cache.join(name);
    match std::fs::rename(fresh.path(), &place) {
        Err(_) if place.is_dir() => Ok(place),
        renamed => renamed
            .map(|()| place.clone())
            .with_context(|| format!("cannot make {}", place.display())),
    }
}
