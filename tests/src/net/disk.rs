//! Small file systems that fill up, turn read-only and fail.

use anyhow::{Context, Result};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};
use xtask::lab::{NveSpec, TempDir, run, run_always};

/// A mounted file system of its own, unmounted with the guard.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
    /// Holds the mount point, and the image of a disk that has one.
    dir: TempDir,
}

impl Disk {
    /// In memory, of so many MiB.
    pub fn in_memory(mebibytes: u32) -> Result<Self> {
        let disk = Self::unmounted()?;
        let size = format!("size={mebibytes}m,mode=700");
        disk.mount(&["-t", "tmpfs", "-o", &size, "tmpfs"])?;
        Ok(disk)
    }

    /// An ext4 in a file, which turns read-only when it finds an error.
    pub fn that_fails() -> Result<Self> {
        let disk = Self::unmounted()?;
        File::create(disk.image())?.set_len(32 << 20)?;
        run(Command::new("mkfs.ext4").arg("-q").arg(disk.image()))?;
        disk.insert()?;
        Ok(disk)
    }

    fn unmounted() -> Result<Self> {
        let dir = TempDir::new("disk")?;
        let at = dir.path().join("at");
        fs::create_dir(&at)?;
        Ok(Self { at, dir })
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    fn mount(&self, what: &[&str]) -> Result<()> {
        run(Command::new("mount").args(what).arg(&self.at)).map(drop)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Has the store of an `nved` that is to be started: its file is a link to here.
    pub fn bears_store_of(&self, spec: &NveSpec) {
        let link = spec.dir.join("policy.redb");
        symlink(self.at.join("policy.redb"), link).expect("the folder is new");
    }

    /// Takes all space there is.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(self.at.join("ballast"))?;
        for size in [1 << 16, 1 << 9, 1] {
            let chunk = vec![1; size];
            loop {
                match file.write_all(&chunk) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("it does not fill up"),
                }
            }
        }
        Ok(())
    }

    /// Gives it back.
    pub fn free(&self) -> Result<()> {
        fs::remove_file(self.at.join("ballast")).context("it is not full")
    }

    /// `ro` or `rw`.
    pub fn remount(&self, how: &str) -> Result<()> {
        let options = format!("remount,{how}");
        run(Command::new("mount").args(["-o", &options]).arg(&self.at)).map(drop)
    }

    /// Lets the file system find an error.
    pub fn fail(&self) -> Result<()> {
        let mut find = Command::new("findmnt");
        let device = run(find.args(["-n", "-o", "SOURCE"]).arg(&self.at))?.stdout;
        let name = Path::new(device.trim()).file_name().context("no device")?;
        let trigger = Path::new("/sys/fs/ext4")
            .join(name)
            .join("trigger_fs_error");
        fs::write(&trigger, "1").with_context(|| format!("cannot write {}", trigger.display()))
    }

    /// Unmounts it, which fails while a file on it is open.
    pub fn remove(&self) -> Result<()> {
        run(Command::new("umount").arg(&self.at)).map(drop)
    }

    /// Mounts what [`Disk::remove`] unmounted.
    pub fn insert(&self) -> Result<()> {
        let image = self.image();
        let image = image.to_string_lossy();
        self.mount(&["-o", "loop,errors=remount-ro", &image])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: what still runs in it ends later. Not mounted is fine too.
        run_always(Command::new("umount").args(["-l"]).arg(&self.at)).ok();
    }
}
