//! The programs that make and run guests: Debian's, from the cache.

use crate::packages::{Source, Unpacked};
use crate::shell;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// From backports: QEMU 7.2 emulates `cmpxchg16b` wrong now and then, and the guest oopses.
const QEMU: &str = "qemu-system-x86/bookworm-backports";

/// Loads modules inside too.
const KMOD: &str = "kmod";

/// Everything that is needed beside a kernel.
#[derive(Debug)]
pub(super) struct Tools {
    programs: Unpacked,
    peers: Unpacked,
}

impl Tools {
    pub(super) fn find(source: &mut Source, peers: &[&str]) -> Result<Self> {
        let mut packages = vec![QEMU, "busybox-static", KMOD];
        for (program, package) in [("xz", "xz-utils"), ("zstd", "zstd")] {
            if shell::which(program).is_none() {
                packages.push(package);
            }
        }
        let mut find =
            |packages: &[&str]| source.unpacked(packages).context("cannot have guests here");
        Ok(Self {
            programs: find(&packages)?,
            peers: find(&[&[KMOD], peers].concat())?,
        })
    }

    pub(super) fn qemu(&self) -> Command {
        self.programs.command("qemu-system-x86_64")
    }

    /// Folders with the firmware that QEMU loads.
    pub(super) fn firmware(&self) -> Result<[PathBuf; 2]> {
        let qemu = self.programs.file("usr/share/qemu")?;
        Ok([qemu, self.programs.file("usr/share/seabios")?])
    }

    /// A static program that is a shell and all that an early boot needs.
    pub(super) fn busybox(&self) -> Result<PathBuf> {
        self.programs.file("usr/bin/busybox")
    }

    /// `depmod`, `modprobe` and their like are one program by several names.
    pub(super) fn kmod(&self, name: &str) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = self.programs.command("kmod");
        command.arg0(name);
        command
    }

    /// The kernel's modules may be compressed, which the early boot's shell cannot undo.
    pub(super) fn unpack_module(&self, from: &Path, to: &Path) -> Result<()> {
        if from.extension().is_some_and(|end| end == "xz") {
            let packed = std::fs::read(from)?;
            return self.unpack("xz", &packed, to);
        }
        std::fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
        Ok(())
    }

    /// Writes to `to` what `program` makes of compressed bytes.
    pub(super) fn unpack(&self, program: &str, packed: &[u8], to: &Path) -> Result<()> {
        let mut command = self.programs.command(program);
        command.args(["-d", "-c"]).stdin(Stdio::piped());
        let mut child = command
            .stdout(File::create(to)?)
            .spawn()
            .with_context(|| format!("cannot run {program}"))?;
        let mut stdin = child.stdin.take().context("no input to write to")?;
        let written = stdin.write_all(packed);
        drop(stdin);
        let status = child.wait()?;
        if !status.success() {
            bail!("`{}` failed: {status}", shell::line(&command));
        }
        written.with_context(|| format!("{program} ended early"))
    }

    /// What a guest sees as installed beside what this machine has.
    pub(super) fn layers(&self) -> &[PathBuf] {
        self.peers.trees()
    }
}
