//! Package files unpacked side by side, and programs that run from there.

use super::apt::debs;
use crate::{lab, shell};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `/bin`, `/lib` and their like are in a system since Debian 12: links into `/usr`.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Trees of files as they would be below `/` had the packages been installed.
#[derive(Debug, Clone)]
pub struct Unpacked {
    trees: Vec<PathBuf>,
}

impl Unpacked {
    pub(super) fn new(trees: Vec<PathBuf>) -> Self {
        Self { trees }
    }

    /// The folders that stand for `/`, one for each package that was asked for.
    pub fn trees(&self) -> &[PathBuf] {
        &self.trees
    }

    /// A file of the packages by its path below `/`, such as `usr/share/openvswitch/vswitch.ovsschema`.
    pub fn file(&self, path: &str) -> Result<PathBuf> {
        let places = self.trees.iter().map(|tree| tree.join(path));
        let there = places.clone().find(|file| file.exists());
        there.with_context(|| {
            let looked: Vec<_> = places.map(|file| file.display().to_string()).collect();
            format!("no such file: {}", looked.join(", "))
        })
    }

    /// A command that finds program and shared libraries here, and otherwise on this machine.
    pub fn command(&self, program: &str) -> Command {
        let places = ["usr/bin", "usr/sbin"].map(|dir| format!("{dir}/{program}"));
        let found = places.iter().find_map(|place| self.file(place).ok());
        let mut command = Command::new(found.unwrap_or_else(|| program.into()));
        command.env("LD_LIBRARY_PATH", self.libraries());
        command
    }

    fn libraries(&self) -> String {
        let dirs = self.trees.iter().flat_map(|tree| {
            ["usr/lib/x86_64-linux-gnu", "usr/lib"].map(|lib| tree.join(lib).display().to_string())
        });
        dirs.collect::<Vec<_>>().join(":")
    }
}

/// Unpacks the package files of a folder into the folder itself, and removes them.
pub(crate) fn unpack(dir: &Path) -> Result<()> {
    let files = debs(dir)?;
    if files.is_empty() {
        bail!("no package to unpack in {}", dir.display());
    }
    for file in files {
        lab::run(Command::new("dpkg-deb").arg("-x").args([&file, dir])).with_context(|| {
            format!("cannot unpack {}", shell::line(Command::new("").arg(&file)))
        })?;
        std::fs::remove_file(&file)?;
    }
    for name in MERGED {
        let apart = dir.join(name);
        if apart.is_dir() {
            merge(&apart, &dir.join("usr").join(name))
                .with_context(|| format!("cannot move {} into usr", apart.display()))?;
        }
    }
    Ok(())
}

/// Moves everything in `from` to `to`, whose own files stay where both have one.
fn merge(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        let folder = entry.file_type()?.is_dir();
        if folder && place.is_dir() {
            merge(&entry.path(), &place)?;
        } else if place.symlink_metadata().is_err() {
            std::fs::rename(entry.path(), place)?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    std::fs::remove_dir(from)
}
