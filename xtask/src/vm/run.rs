//! Running a guest: from its start to the exit status of its command.

use super::accel::Accel;
use super::files::Files;
use super::kernel::Kernel;
use super::tools::Tools;
use super::{Guest, initramfs, qemu, script};
use crate::lab::{Proc, interrupted};
use crate::packages::Source;
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(5);

/// Which output of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How a guest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its command ended with this exit status; 128 + signal for one that was killed.
    Exited(u8),
    /// The guest ended before its command did. The text says why, and has the console's last lines.
    Died(String),
    /// [`Guest::limit`] was over. The text has the console's last lines.
    TimedOut(String),
}

/// Repeats the guest's output on ours.
pub fn print(stream: Stream, bytes: &[u8]) -> Result<()> {
    match stream {
        Stream::Out => {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()?;
        }
        Stream::Err => std::io::stderr().lock().write_all(bytes)?,
    }
    Ok(())
}

impl Guest {
    /// Fetches what the cache lacks. Fails where guests cannot be had; the error says why.
    pub fn prepare(&self) -> Result<()> {
        self.parts().map(drop)
    }

    /// Boots, runs a command with its arguments, environment and folder, and ends the guest.
    ///
    /// `take` gets the output as it comes. An error is a guest that could not be started, an
    /// interrupt, or an error of `take`; the guest is gone in any case.
    pub fn run(
        &self,
        command: &Command,
        take: &mut dyn FnMut(Stream, &[u8]) -> Result<()>,
    ) -> Result<Outcome> {
        let script = script::command(command, &folder(command)?)?;
        let (tools, kernel) = self.parts()?;
        let guest = self.with_absolute_paths()?;
        let files = Files::new(&initramfs::pack(&guest, &kernel, &tools, &script)?)?;
        let accel = Accel::find(&kernel, &tools)?;
        let mut qemu = qemu::command(&guest, &kernel, &tools, (accel, &files))?;
        follow(&mut qemu, files, self.limit, take)
    }

    fn parts(&self) -> Result<(Tools, Kernel)> {
        self.nics.check()?;
        if std::env::consts::ARCH != "x86_64" {
            bail!(
                "guests are x86-64 machines, and this is {}",
                std::env::consts::ARCH
            );
        }
        let mut source = Source::new(self.look);
        let tools = Tools::find(&mut source, &self.packages)?;
        let kernel = Kernel::find(self.series, &mut source, &tools)?;
        Ok((tools, kernel))
    }

    /// QEMU and guest have folders of their own.
    fn with_absolute_paths(&self) -> Result<Self> {
        let mut guest = self.clone();
        for folder in &mut guest.writable {
            *folder = folder
                .canonicalize()
                .with_context(|| format!("cannot share {}", folder.display()))?;
            if !folder.is_dir() {
                bail!("cannot share {}: it is not a folder", folder.display());
            }
        }
        Ok(guest)
    }
}

/// Where the command runs.
fn folder(command: &Command) -> Result<PathBuf> {
    let here = std::env::current_dir().context("the current folder is gone")?;
    Ok(here.join(command.get_current_dir().unwrap_or(Path::new(""))))
}

/// Starts QEMU and passes on what the guest says, until its command has ended.
fn follow(
    qemu: &mut Command,
    mut files: Files,
    limit: Duration,
    take: &mut dyn FnMut(Stream, &[u8]) -> Result<()>,
) -> Result<Outcome> {
    let deadline = Instant::now() + limit;
    let mut proc = Proc::spawn(qemu)?;
    loop {
        interrupted()?;
        // Asked first: what was said before the end is then there to be read.
        let ended = proc.still_running().is_err();
        let status = files.status()?;
        files.out.forward(|bytes| take(Stream::Out, bytes))?;
        files.err.forward(|bytes| take(Stream::Err, bytes))?;
        if let Some(status) = status {
            return Ok(Outcome::Exited(status));
        }
        if ended {
            let (said, console) = (proc.stderr(), files.last_lines());
            return Ok(Outcome::Died(format!("{said}--- console\n{console}\n---")));
        }
        if Instant::now() >= deadline {
            let console = files.last_lines();
            return Ok(Outcome::TimedOut(format!("--- console\n{console}\n---")));
        }
        files.let_go();
        std::thread::sleep(INTERVAL);
    }
}
