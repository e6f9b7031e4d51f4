//! Guests: virtual machines with a stock Debian kernel that see this machine's files, run one
//! command as root, and end.
//!
//! Kernel and QEMU are unpacked into the cache of [`crate::packages`] when a guest first needs
//! them. What a guest writes stays in its memory, except in the folders that it shares, and it has
//! no network but its own.
//!
//! ```no_run
//! use xtask::vm::{Guest, Outcome, Series, print};
//!
//! let guest = Guest::new(Series::V6_1);
//! let outcome = guest.run(std::process::Command::new("uname").arg("-r"), &mut print)?;
//! assert!(matches!(outcome, Outcome::Exited(0)));
//! # Ok::<(), anyhow::Error>(())
//! ```

mod accel;
mod clock;
mod cpio;
mod files;
mod image;
mod initramfs;
mod kernel;
mod modules;
mod nics;
mod qemu;
mod run;
mod script;
mod tools;

use crate::packages::Look;
use std::path::PathBuf;
use std::time::Duration;

pub use kernel::Series;
pub use nics::Nics;
pub use run::{Outcome, Stream, print};

/// What our programs are tested with, and is not to be installed for it.
const PEERS: [&str; 1] = ["openvswitch-switch"];

/// A guest that can be run, once or again and again.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Its kernel.
    pub series: Series,
    /// MiB of memory; half of it is room for files that it writes.
    pub memory: u32,
    /// Processors, at least 1.
    pub cpus: u32,
    /// Boot, command and end take no longer.
    pub limit: Duration,
    /// Folders of this machine that it may write, by their absolute paths.
    pub writable: Vec<PathBuf>,
    /// Debian packages that it has besides those of this machine.
    pub packages: Vec<&'static str>,
    /// Its network devices.
    pub nics: Nics,
    /// Whether to look for a newer kernel and QEMU.
    pub look: Look,
}

impl Guest {
    /// One with two processors, 2 GiB, ten minutes, and nothing to write to.
    pub fn new(series: Series) -> Self {
        Self {
            series,
            memory: 2048,
            cpus: 2,
            limit: Duration::from_mins(10),
            writable: Vec::new(),
            packages: PEERS.to_vec(),
            nics: Nics::None,
            look: Look::Missing,
        }
    }
}
