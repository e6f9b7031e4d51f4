//! Commands that run to their end, bounded in time.

use super::{Proc, interrupted};
use anyhow::{Result, bail};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// How long a command may take unless its caller knows better.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    pub(super) line: String,
}

impl Output {
    /// Fails unless the command succeeded; the error has everything that it said.
    pub fn success(self) -> Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        let Self {
            status,
            stdout,
            stderr,
            line,
        } = self;
        bail!("`{line}` failed: {status}\n--- stdout\n{stdout}--- stderr\n{stderr}---");
    }

    /// The exit code, or 128 + signal as shells count it.
    pub fn code(&self) -> i32 {
        let by_signal = || self.status.signal().map_or(-1, |signal| 128 + signal);
        self.status.code().unwrap_or_else(by_signal)
    }
}

/// Runs a command to its end and fails when it does.
pub fn run(command: &mut Command) -> Result<Output> {
    output(command, PATIENCE)?.success()
}

/// Runs a command for at most `limit`; a failure of the command is not an error here.
pub fn output(command: &mut Command, limit: Duration) -> Result<Output> {
    Proc::spawn(command)?.finish(limit, interrupted)
}

/// [`run`] for cleaning up: goes on after a signal was caught.
pub fn run_always(command: &mut Command) -> Result<Output> {
    Proc::spawn(command)?.finish(PATIENCE, || Ok(()))?.success()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_tells_command_status_and_output() {
        let error = run(&mut sh("echo out; echo err >&2; exit 3"))
            .unwrap_err()
            .to_string();
        for part in [
            "`sh -c 'echo out;",
            "exit status: 3",
            "stdout\nout\n",
            "stderr\nerr\n",
        ] {
            assert!(error.contains(part), "{part:?} is not in {error}");
        }
    }

    #[test]
    fn a_command_is_bounded_in_time() {
        let started = Instant::now();
        let error = output(&mut sh("exec sleep 60"), Duration::from_millis(50)).unwrap_err();
        assert!(
            error.to_string().contains("did not end within 50ms"),
            "{error}"
        );
        assert!(
            started.elapsed() < Duration::from_secs(3),
            "SIGTERM is enough"
        );
    }
}
