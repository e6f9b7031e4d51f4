//! Child processes that are bounded in time, keep their output, and end when their guard does.

use super::{Output, PATIENCE, interrupted};
use crate::shell;
use anyhow::{Context, Result, bail};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal, setsid};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a process has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
const INTERVAL: Duration = Duration::from_millis(5);

/// A running child process. Dropping the guard ends it: SIGTERM, then SIGKILL.
///
/// The child also dies with the thread that spawned it, so that nothing outlives a killed run.
/// A guard must therefore not outlive its thread either.
#[derive(Debug)]
pub struct Proc {
    child: Child,
    line: String,
    stdout: File,
    stderr: File,
    detached: bool,
}

impl Proc {
    /// Starts a command in a process group of its own, with its output kept in memory.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        // SAFETY: between fork and exec only this one system call runs, which allocates nothing
        // and touches no memory of the parent.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        command.process_group(0);
        Self::start(command, (capture()?, capture()?), false)
    }

    /// Starts a command in a session of its own, so that it goes on when this process or its
    /// terminal ends, and writes its output to `log`.
    pub fn spawn_detached(command: &mut Command, log: &std::path::Path) -> Result<Self> {
        let open = || {
            File::options()
                .create(true)
                .read(true)
                .append(true)
                .open(log)
        };
        let both = || Ok((open()?, open()?));
        let files: std::io::Result<_> = both();
        let files = files.with_context(|| format!("cannot open {}", log.display()))?;
        // SAFETY: between fork and exec only this one system call runs, which allocates nothing
        // and touches no memory of the parent.
        unsafe {
            command.pre_exec(|| Ok(setsid().map(drop)?));
        }
        Self::start(command, files, true)
    }

    fn start(
        command: &mut Command,
        (stdout, stderr): (File, File),
        detached: bool,
    ) -> Result<Self> {
        let line = shell::line(command);
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?)
            .spawn()
            .with_context(|| format!("cannot run `{line}`"))?;
        Ok(Self {
            child,
            line,
            stdout,
            stderr,
            detached,
        })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the process has written to its standard output so far.
    pub fn stdout(&self) -> String {
        contents(&self.stdout)
    }

    /// What the process has written to its standard error so far.
    pub fn stderr(&self) -> String {
        contents(&self.stderr)
    }

    /// Fails with all that the process said if it ended already.
    pub fn still_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!(
                "`{}` ended: {status}\n--- stdout\n{}--- stderr\n{}---",
                self.line,
                self.stdout(),
                self.stderr()
            ),
        }
    }

    /// Waits for the end, at most for `limit`.
    pub fn wait(self, limit: Duration) -> Result<Output> {
        self.finish(limit, interrupted)
    }

    /// Ends the process as Ctrl-C would and gives what it said; captures flush their file on it.
    pub fn interrupt(self) -> Result<Output> {
        self.signal(Signal::INT);
        self.finish(PATIENCE, || Ok(()))
    }

    /// Asks the process to end as a service manager would, and gives it this long.
    pub fn terminate(self, limit: Duration) -> Result<Output> {
        self.signal(Signal::TERM);
        self.finish(limit, interrupted)
    }

    /// Ends the process with SIGKILL, so that it cleans nothing up.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub(super) fn finish(
        mut self,
        limit: Duration,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<Output> {
        let Some(status) = self.poll(limit, go_on)? else {
            bail!(
                "`{}` did not end within {limit:?}\n--- stdout\n{}--- stderr\n{}---",
                self.line,
                self.stdout(),
                self.stderr()
            );
        };
        let (stdout, stderr) = (self.stdout(), self.stderr());
        Ok(Output {
            status,
            stdout,
            stderr,
            line: std::mem::take(&mut self.line),
        })
    }

    fn poll(
        &mut self,
        limit: Duration,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            go_on().with_context(|| format!("gave up on `{}`", self.line))?;
            std::thread::sleep(INTERVAL);
        }
    }

    fn signal(&self, signal: Signal) {
        // A child that ended is not reaped before `try_wait` saw it, so the pid is still its own.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, signal));
    }

    /// Leaves the process running. Only for one that was started by [`Proc::spawn_detached`].
    pub fn leave(mut self) {
        assert!(self.detached, "`{}` dies with its parent", self.line);
        self.line.clear();
        std::mem::forget(self);
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        self.signal(Signal::TERM);
        if !matches!(self.poll(GRACE, || Ok(())), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn capture() -> Result<File> {
    let file = memfd_create("output", MemfdFlags::CLOEXEC).context("cannot make a memory file")?;
    Ok(File::from(file))
}

/// Reads a file from its start without moving the position that the child writes at.
fn contents(file: &File) -> String {
    let mut bytes = vec![
        0;
        file.metadata()
            .map_or(0, |meta| usize::try_from(meta.len()).unwrap_or(0))
    ];
    let mut filled = 0;
    while let Ok(count @ 1..) = file.read_at(&mut bytes[filled..], filled as u64) {
        filled += count;
    }
    String::from_utf8_lossy(&bytes[..filled]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn dropping_kills_what_ignores_sigterm() {
        let mut proc = Proc::spawn(&mut sh(
            "trap '' TERM; echo ready; while :; do sleep 1; done",
        ))
        .unwrap();
        let pid = proc.pid();
        lab::wait_until("the trap", PATIENCE, || {
            Ok((proc.stdout() == "ready\n").then_some(()))
        })
        .unwrap();
        proc.still_running().unwrap();
        drop(proc);
        assert!(!lab::pid_alive(pid));
    }
}
