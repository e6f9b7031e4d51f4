//! Debian packages that are unpacked into a cache instead of being installed: QEMU and kernels for
//! guests, and peers such as Open vSwitch.
//!
//! ```no_run
//! let ovs = xtask::packages::unpacked(&["openvswitch-switch"])?;
//! let version = ovs.command("ovs-vswitchd").arg("--version").output()?;
//! # Ok::<(), anyhow::Error>(())
//! ```

mod apt;
mod cache;
mod failures;
mod mirror;
mod tree;

use anyhow::Result;
use apt::Apt;
use std::path::{Path, PathBuf};

pub(crate) use apt::Apt as Archive;
pub use cache::folder as cache_folder;
pub use failures::{FAILURES, failures};
pub use tree::Unpacked;
pub(crate) use tree::unpack;

/// When to ask the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Only for what the cache lacks.
    Missing,
    /// For newer versions of everything.
    Newer,
}

/// The packages with everything that they depend on and this machine lacks, from the cache, or
/// fetched into it. `PACKAGE` or `PACKAGE/RELEASE`, such as `qemu-system-x86/bookworm-backports`.
///
/// Fails when a package is not in the cache and cannot be fetched; the error says what is missing.
pub fn unpacked(packages: &[&str]) -> Result<Unpacked> {
    Source::new(Look::Missing).unpacked(packages)
}

/// The cache, and behind it the network, which is asked at most once.
#[derive(Debug)]
pub(crate) struct Source {
    look: Look,
    apt: Option<Apt>,
}

impl Source {
    pub(crate) fn new(look: Look) -> Self {
        Self { look, apt: None }
    }

    /// What [`unpacked`] does.
    pub(crate) fn unpacked(&mut self, packages: &[&str]) -> Result<Unpacked> {
        let mut trees = Vec::new();
        for package in packages {
            let (name, _) = split(package);
            let prefix = format!("{name}_");
            let folder = |apt: &Apt| Ok(prefix.clone() + &apt.version(package)?);
            trees.push(self.get(&prefix, folder, |apt, dir| {
                apt.download_with_dependencies(package, dir)?;
                tree::unpack(dir)
            })?);
        }
        Ok(Unpacked::new(trees))
    }

    /// The newest folder whose name begins with `prefix`. If there is none, or to look for newer
    /// ones, that called `name` is made and `fill`ed.
    pub(crate) fn get(
        &mut self,
        prefix: &str,
        name: impl FnOnce(&Apt) -> Result<String>,
        fill: impl FnOnce(&Apt, &Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let folder = cache::folder()?;
        if let Some(found) = self.known(&folder, prefix)? {
            return Ok(found);
        }
        let _turn = cache::lock(&folder)?;
        // Another run may have added it meanwhile.
        if let Some(found) = self.known(&folder, prefix)? {
            return Ok(found);
        }
        let apt = match &mut self.apt {
            Some(apt) => apt,
            none => none.insert(failures::once(failures::LISTS, Apt::new)?),
        };
        failures::once(prefix, || {
            cache::add(&folder, &name(apt)?, |dir| fill(apt, dir))
        })
    }

    /// What need not be looked for in the network.
    fn known(&self, cache: &Path, prefix: &str) -> Result<Option<PathBuf>> {
        match self.look {
            Look::Missing => cache::find(cache, prefix),
            Look::Newer => Ok(None),
        }
    }
}

/// Package and release of `PACKAGE/RELEASE`.
fn split(package: &str) -> (&str, Option<&str>) {
    match package.split_once('/') {
        Some((name, release)) => (name, Some(release)),
        None => (package, None),
    }
}
