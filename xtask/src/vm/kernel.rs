//! Stock Debian kernels, unpacked and made ready to boot.

use super::image;
use super::modules::Modules;
use super::tools::Tools;
use crate::lab;
use crate::packages::{Archive, Source, unpack};
use anyhow::{Context, Result, bail};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A series of kernels that guests can boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// That of Debian 12, the oldest that we support.
    V6_1,
    /// That of Debian 12's backports.
    V6_12,
    /// One of Debian 13's backports, with what later drivers can do: zero-copy `AF_XDP` sockets on
    /// virtio-net came with 6.13.
    V6_18,
}

impl Series {
    /// All, the oldest first.
    pub const ALL: [Self; 3] = [Self::V6_1, Self::V6_12, Self::V6_18];
    /// Those that everything is tested on.
    pub const TESTED: [Self; 2] = [Self::V6_1, Self::V6_12];
    /// The newest of these.
    pub const NEWEST: Self = Self::V6_12;

    /// As users write it, such as `6.12`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::V6_18 => "6.18",
        }
    }

    /// Debian's name for the newest kernel of the release that has this series; `None` for a series
    /// that its release keeps beside newer ones.
    fn package(self) -> Option<&'static str> {
        match self {
            Self::V6_1 => Some("linux-image-amd64"),
            Self::V6_12 => Some("linux-image-amd64/bookworm-backports"),
            Self::V6_18 => None,
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Series {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|series| series.name() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no guest kernel {text:?}; there are {names}")
        })
    }
}

/// A kernel in the cache.
#[derive(Debug)]
pub(super) struct Kernel {
    /// The folder that stands for `/`.
    pub(super) tree: PathBuf,
}

impl Kernel {
    /// From the cache, or fetched into it.
    pub(super) fn find(series: Series, source: &mut Source, tools: &Tools) -> Result<Self> {
        let prefix = format!("linux-image-{series}.");
        let package = |archive: &Archive| resolve(series, &prefix, archive);
        let name = |archive: &Archive| {
            let package = package(archive)?;
            Ok(format!("{package}_{}", archive.version(&package)?))
        };
        let tree = source.get(&prefix, name, |archive, dir| {
            let package = package(archive)?;
            eprintln!("fetching {package}");
            archive.download(&package, dir)?;
            unpack(dir)?;
            prepare(dir, tools).with_context(|| format!("cannot make {package} ready to boot"))
        })?;
        Ok(Self { tree })
    }

    /// The image that boots.
    pub(super) fn image(&self) -> PathBuf {
        self.tree.join("boot/image")
    }

    /// The modules that must be loaded before there is a root file system, in their order.
    pub(super) fn early_modules(&self) -> Result<Vec<PathBuf>> {
        let dir = self.tree.join("boot/early");
        let entries = std::fs::read_dir(&dir)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .with_context(|| format!("cannot read {}", dir.display()))?;
        let mut files: Vec<_> = entries.iter().map(std::fs::DirEntry::path).collect();
        files.sort();
        Ok(files)
    }
}

/// The package with the kernel itself, which the package of the series depends on, or the newest of
/// that name.
fn resolve(series: Series, prefix: &str, archive: &Archive) -> Result<String> {
    let Some(meta) = series.package() else {
        let names = archive.named(prefix)?;
        return newest(prefix, &names)
            .with_context(|| format!("Debian's mirror has no kernel {series} any more"));
    };
    let depends = archive.depends(meta)?;
    let found = depends.iter().find(|name| name.starts_with(prefix));
    let Some(package) = found else {
        bail!(
            "{meta} has no kernel {series} any more: it depends on {}",
            depends.join(", ")
        );
    };
    Ok(package.clone())
}

/// Of `PREFIXn+deb13-amd64`, that with the highest number: not those with further parts, which are
/// for clouds, or have debug symbols.
fn newest(prefix: &str, names: &[String]) -> Option<String> {
    let number = |name: &str| {
        let (number, build) = name.strip_prefix(prefix)?.split_once('+')?;
        let plain = build.split('-').nth(1) == Some("amd64") && build.split('-').count() == 2;
        plain.then(|| number.parse::<u32>().ok()).flatten()
    };
    let numbered = names
        .iter()
        .filter_map(|name| Some((number(name)?, name.clone())));
    numbered.max().map(|(_, name)| name)
}

fn prepare(dir: &Path, tools: &Tools) -> Result<()> {
    let release = only_entry(&dir.join("usr/lib/modules"))?;
    let mut depmod = tools.kmod("depmod");
    depmod.arg("-b").arg(dir.join("usr")).arg(&release);
    lab::run(&mut depmod)?;
    let packed = dir.join("boot").join(format!("vmlinuz-{release}"));
    image::unpack(&packed, &dir.join("boot/image"), tools)?;
    let modules = Modules::read(&dir.join("usr/lib/modules").join(&release))?;
    let early = dir.join("boot/early");
    std::fs::create_dir(&early)?;
    for (place, file) in modules.early()?.iter().enumerate() {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_end_matches(".xz");
        tools.unpack_module(file, &early.join(format!("{place:02}-{name}")))?;
    }
    Ok(())
}

fn only_entry(dir: &Path) -> Result<String> {
    let mut entries = std::fs::read_dir(dir)
        .with_context(|| format!("cannot read {}", dir.display()))?
        .flatten();
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry.file_name().to_string_lossy().into_owned()),
        _ => bail!("{} is not the folder of one kernel", dir.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_series_is_told_the_known_ones() {
        assert_eq!("6.12".parse(), Ok(Series::V6_12));
        let error = "6.2".parse::<Series>().unwrap_err();
        assert_eq!(
            error,
            "there is no guest kernel \"6.2\"; there are 6.1, 6.12, 6.18"
        );
    }

    #[test]
    fn the_newest_kernel_of_a_series_is_a_plain_one() {
        let names = [
            "linux-image-6.18.9+deb13-amd64",
            "linux-image-6.18.15+deb13-amd64",
            "linux-image-6.18.15+deb13-amd64-dbg",
            "linux-image-6.18.20+deb13-cloud-amd64",
            "linux-image-6.18-amd64",
        ];
        let found = newest("linux-image-6.18.", &names.map(str::to_owned));
        assert_eq!(found.as_deref(), Some(names[1]));
        assert_eq!(newest("linux-image-6.18.", &[names[4].to_owned()]), None);
    }
}
