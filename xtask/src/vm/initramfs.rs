//! The initial root file system of a guest: a shell, the modules that it must load first, and what
//! it has to do.

use super::cpio::Archive;
use super::kernel::Kernel;
use super::tools::Tools;
use super::{Guest, script};
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const EARLY: &str = include_str!("early.sh");
const LATE: &str = include_str!("late.sh");

/// The archive that QEMU hands to the kernel.
pub(super) fn pack(
    guest: &Guest,
    kernel: &Kernel,
    tools: &Tools,
    command: &[u8],
) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "guest", "modules"] {
        archive.folder(folder);
    }
    archive.file("bin/busybox", &read(&tools.busybox()?)?);
    for module in kernel.early_modules()? {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        archive.file(&format!("modules/{name}"), &read(&module)?);
    }
    archive.file("init", format!("#!/bin/busybox sh\n{EARLY}").as_bytes());
    archive.file("guest/late", LATE.as_bytes());
    archive.file("guest/command", command);
    archive.file("guest/settings", &settings(guest, kernel, tools));
    Ok(archive.finish())
}

/// Calls and variables that both scripts read.
fn settings(guest: &Guest, kernel: &Kernel, tools: &Tools) -> Vec<u8> {
    let (series, modules) = (guest.series, guest.nics.modules());
    let mut lines = format!("export NVE_GUEST={series}\nMODULES='{modules}'\n").into_bytes();
    for number in 0..layers(kernel, tools).count() {
        lines.extend(script::call("layer", &[OsStr::new(&layer_tag(number))]));
    }
    for (number, folder) in guest.writable.iter().enumerate() {
        let tag = share_tag(number);
        lines.extend(script::call(
            "share",
            &[OsStr::new(&tag), folder.as_os_str()],
        ));
    }
    lines
}

/// Folders that the guest sees laid over the machine's files.
pub(super) fn layers<'a>(kernel: &'a Kernel, tools: &'a Tools) -> impl Iterator<Item = &'a Path> {
    let trees = tools.layers().iter().chain([&kernel.tree]);
    trees.map(PathBuf::as_path)
}

/// What guest and QEMU call a layer.
pub(super) fn layer_tag(number: usize) -> String {
    format!("layer{number}")
}

/// What guest and QEMU call a shared folder.
pub(super) fn share_tag(number: usize) -> String {
    format!("share{number}")
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
