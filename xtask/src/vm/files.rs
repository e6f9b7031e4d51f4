//! The files between a guest and whoever runs it.

use crate::lab::TempDir;
use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const CHUNK: usize = 64 * 1024;
/// As much of the console as a failure shows.
const LAST_LINES: usize = 25;
const FATAL: [&str; 3] = ["Kernel panic", "Oops", "BUG:"];

/// All files of one guest.
pub(super) struct Files {
    dir: Option<TempDir>,
    pub(super) out: Tail,
    pub(super) err: Tail,
    pub(super) result: Tail,
    pub(super) console: Tail,
}

impl Files {
    pub(super) fn new(initramfs: &[u8]) -> Result<Self> {
        let dir = TempDir::new("guest")?;
        let tail = |name| Tail::new(dir.path(), name);
        let (out, err) = (tail("out")?, tail("err")?);
        let (result, console) = (tail("result")?, tail("console")?);
        let image = dir.path().join("initramfs");
        std::fs::write(&image, initramfs)
            .with_context(|| format!("cannot write {}", image.display()))?;
        Ok(Self {
            dir: Some(dir),
            out,
            err,
            result,
            console,
        })
    }

    /// The initial root file system.
    pub(super) fn initramfs(&self) -> PathBuf {
        let dir = self.dir.as_ref().map(TempDir::path);
        dir.unwrap_or(Path::new("")).join("initramfs")
    }

    /// Removes the folder as soon as QEMU has opened everything in it, so that nothing is left
    /// behind even if this process is killed. A guest that speaks is a QEMU that did.
    pub(super) fn let_go(&mut self) {
        if self.dir.is_some() && !self.console.is_empty() {
            self.dir = None;
        }
    }

    /// The exit status of the command, once it is there.
    pub(super) fn status(&mut self) -> Result<Option<u8>> {
        let said = self.result.all()?;
        let Some(line) = said.strip_suffix('\n') else {
            return Ok(None);
        };
        let status = line.trim().parse();
        status
            .map(Some)
            .with_context(|| format!("the guest gave {line:?} as exit status"))
    }

    /// The end of what the console says.
    pub(super) fn last_lines(&mut self) -> String {
        last_lines(&self.console.all().unwrap_or_default())
    }
}

/// The last lines, and all from the first that tells why the kernel died: a trace may be long.
fn last_lines(console: &str) -> String {
    let lines: Vec<_> = console.lines().collect();
    let fatal = |line: &&str| FATAL.iter().any(|word| line.contains(word));
    let why = lines.iter().position(fatal).unwrap_or(lines.len());
    let last = lines.len().saturating_sub(LAST_LINES);
    lines[why.min(last)..].join("\n")
}

/// A file that QEMU writes and that is read meanwhile.
pub(super) struct Tail {
    pub(super) name: &'static str,
    pub(super) path: PathBuf,
    file: File,
    read: u64,
}

impl Tail {
    fn new(dir: &Path, name: &'static str) -> Result<Self> {
        let path = dir.join(name);
        let mut options = File::options();
        let options = options.read(true).write(true).create_new(true);
        let file = options
            .open(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self {
            name,
            path,
            file,
            read: 0,
        })
    }

    /// Gives all that is new, piece by piece.
    pub(super) fn forward(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = self.file.read_at(&mut chunk, self.read)?;
            if count == 0 {
                return Ok(());
            }
            self.read += count as u64;
            take(&chunk[..count])?;
        }
    }

    fn is_empty(&self) -> bool {
        self.file.metadata().map_or(true, |meta| meta.len() == 0)
    }

    pub(super) fn all(&mut self) -> Result<String> {
        self.read = 0;
        let mut bytes = Vec::new();
        self.forward(|chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_panic_is_among_the_last_lines() {
        let trace = "a call\n".repeat(2 * LAST_LINES);
        let last = last_lines(&format!("booting\nKernel panic: why\n{trace}end\n"));
        assert!(last.starts_with("Kernel panic: why\na call") && last.ends_with("end"));
        let last = last_lines(&format!("booting\n{trace}end\n"));
        assert_eq!(last.lines().count(), LAST_LINES);
        assert_eq!(last_lines("booting\n"), "booting");
    }
}
