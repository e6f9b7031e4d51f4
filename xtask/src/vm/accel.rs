//! Whether a guest runs on this machine's processor or is emulated.

use super::cpio::Archive;
use super::files::Files;
use super::kernel::Kernel;
use super::qemu;
use super::tools::Tools;
use crate::lab::{Proc, interrupted};
use crate::packages::cache_folder;
use anyhow::{Context, Result};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

/// A kernel on a processor is up in a second, and a virtual machine that hangs never is.
const PATIENCE: Duration = Duration::from_secs(4);
const INTERVAL: Duration = Duration::from_millis(10);
const MEMORY: u32 = 256;

const ALIVE: &str = "guest: alive";
const WORKS: &str = "works\n";
const FAILS: &str = "fails\n";

/// How QEMU executes a guest's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accel {
    /// On the processor.
    Kvm,
    /// By translation.
    Tcg,
}

impl Accel {
    /// QEMU's options.
    pub(super) fn args(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // Five levels of page tables are slower to emulate and nobody needs them.
            Self::Tcg => [
                "-accel",
                "tcg,thread=multi,tb-size=512",
                "-cpu",
                "max,la57=off",
            ],
        }
    }

    /// The best that works. Found out once for each boot of this machine: that `/dev/kvm` is there
    /// does not mean that it runs a kernel.
    pub(super) fn find(kernel: &Kernel, tools: &Tools) -> Result<Self> {
        if File::options()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_err()
        {
            return Ok(Self::Tcg);
        }
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .context("cannot tell this boot from others")?;
        let note = cache_folder()?.join(format!("kvm-{}", boot.trim()));
        let known = std::fs::read_to_string(&note).unwrap_or_default();
        let works = match known.as_str() {
            WORKS => true,
            FAILS => false,
            _ => {
                let works = boots(kernel, tools)?;
                remember(&note, works)?;
                works
            }
        };
        Ok(if works { Self::Kvm } else { Self::Tcg })
    }
}

/// Does a kernel get to its first process?
fn boots(kernel: &Kernel, tools: &Tools) -> Result<bool> {
    let mut archive = Archive::default();
    for folder in ["bin", "dev"] {
        archive.folder(folder);
    }
    archive.file("bin/busybox", &std::fs::read(tools.busybox()?)?);
    let init = format!("#!/bin/busybox sh\necho '{ALIVE}'\n/bin/busybox poweroff -f\n");
    archive.file("init", init.as_bytes());
    let mut files = Files::new(&archive.finish())?;
    let mut command = qemu::machine(kernel, tools, (Accel::Kvm, &files))?;
    command.args(["-m", &MEMORY.to_string()]);
    let deadline = Instant::now() + PATIENCE;
    let mut proc = Proc::spawn(&mut command)?;
    loop {
        interrupted()?;
        let ended = proc.still_running().is_err();
        if files.console.all()?.contains(ALIVE) {
            return Ok(true);
        }
        if ended || Instant::now() >= deadline {
            // One that hangs in the kernel's hands may not hear anything but this.
            proc.kill()?;
            return Ok(false);
        }
        std::thread::sleep(INTERVAL);
    }
}

fn remember(note: &Path, works: bool) -> Result<()> {
    let answer = if works { WORKS } else { FAILS };
    std::fs::write(note, answer).with_context(|| format!("cannot write {}", note.display()))?;
    if !works {
        eprintln!("KVM does not run guests here, so they are emulated");
    }
    Ok(())
}
