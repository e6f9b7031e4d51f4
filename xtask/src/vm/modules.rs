//! Which module files an early boot needs, and in which order.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Devices of QEMU, and what the root file system is made of.
const EARLY: [&str; 5] = [
    "virtio_pci",
    "virtio_console",
    "9pnet_virtio",
    "9p",
    "overlay",
];

/// The lists that `depmod` and the kernel's build wrote.
pub(super) struct Modules {
    dir: PathBuf,
    /// Lines `FILE: FILE...`, a module and what it depends on.
    dependencies: String,
    /// Paths of modules that are part of the kernel itself.
    builtin: String,
}

impl Modules {
    /// Reads those of `/lib/modules/RELEASE`.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let read = |name: &str| {
            let file = dir.join(name);
            std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))
        };
        Ok(Self {
            dir: dir.to_owned(),
            dependencies: read("modules.dep")?,
            builtin: read("modules.builtin")?,
        })
    }

    /// The files for [`EARLY`], each after those that it depends on.
    pub(super) fn early(&self) -> Result<Vec<PathBuf>> {
        let mut order = Vec::new();
        for module in EARLY {
            for file in self.with_dependencies(module)? {
                if !order.contains(&file) {
                    order.push(file);
                }
            }
        }
        Ok(order)
    }

    fn with_dependencies(&self, module: &str) -> Result<Vec<PathBuf>> {
        let mut lines = self
            .dependencies
            .lines()
            .filter_map(|line| line.split_once(':'));
        if let Some((file, needs)) = lines.find(|(file, _)| is(file, module)) {
            // The list ends with what everything else stands on.
            let first = needs.split_whitespace().rev();
            return Ok(first
                .chain([file])
                .map(|file| self.dir.join(file))
                .collect());
        }
        if self.builtin.lines().any(|file| is(file, module)) {
            return Ok(Vec::new());
        }
        bail!(
            "the kernel in {} has no module {module}",
            self.dir.display()
        )
    }
}

/// Is this the file of a module? File names may have `-` where the module's name has `_`.
fn is(file: &str, module: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    let name = name.split(".ko").next().unwrap_or_default();
    name.replace('-', "_") == module
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_needs_comes_first() {
        let modules = Modules {
            dir: "/m".into(),
            dependencies: "a/virtio-pci.ko.xz: a/modern.ko.xz a/ring.ko.xz\na/ring.ko.xz:\n".into(),
            builtin: "b/overlay.ko\n".into(),
        };
        let files = modules.with_dependencies("virtio_pci").unwrap();
        let expected = [
            "/m/a/ring.ko.xz",
            "/m/a/modern.ko.xz",
            "/m/a/virtio-pci.ko.xz",
        ];
        assert_eq!(files, expected.map(PathBuf::from));
        assert!(modules.with_dependencies("overlay").unwrap().is_empty());
        assert!(modules.with_dependencies("9p").is_err());
    }
}
