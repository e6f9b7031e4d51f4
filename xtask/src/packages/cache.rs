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
///
/// Two runs that add the same do it twice, and the second uses what the first has added: the
/// folder may be in use already.
pub(super) fn add(
    cache: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let place = cache.join(name);
    if place.is_dir() {
        return Ok(place);
    }
    std::fs::create_dir_all(cache)
        .with_context(|| format!("cannot make the cache {}", cache.display()))?;
    sweep_folders(cache)?;
    let fresh = TempDir::new_in(cache, "unpack")?;
    fill(fresh.path())?;
    match std::fs::rename(fresh.path(), &place) {
        Err(_) if place.is_dir() => Ok(place),
        renamed => renamed
            .map(|()| place.clone())
            .with_context(|| format!("cannot make {}", place.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

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
    fn the_second_of_two_runs_uses_what_the_first_added() {
        let dir = TempDir::new("cache").unwrap();
        let mut first = PathBuf::new();
        let second = add(dir.path(), "tool_1", |fresh| {
            first = add(dir.path(), "tool_1", tool("first"))?;
            tool("second")(fresh)
        });
        let place = second.unwrap();
        assert_eq!(place, first);
        let contents = std::fs::read_to_string(place.join("tool")).unwrap();
        assert_eq!(contents, "first");
        assert_eq!(find(dir.path(), "tool_").unwrap(), Some(place));
        assert_eq!(find(dir.path(), "too_").unwrap(), None);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
