//! The BPF file system, where maps and links are pinned.

use anyhow::{Context, Result};
use std::io::ErrorKind;
use std::path::Path;

/// Where every system mounts it.
pub const BPFFS: &str = "/sys/fs/bpf";

/// `BPF_FS_MAGIC` of `linux/magic.h`.
const MAGIC: i64 = 0xcafe_4a11;

/// Is a BPF file system mounted at [`BPFFS`]?
pub fn bpffs_mounted() -> bool {
    rustix::fs::statfs(BPFFS).is_ok_and(|stat| stat.f_type == MAGIC)
}

/// Removes a folder of pins; the kernel frees what nobody else holds. Fine when it is not there.
pub fn remove_pins(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove the pins in {}", dir.display()))
        }
        _ => Ok(()),
    }
}
