//! Processes that outlive the run that started them.

use super::wait_until;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{fmt, time::Duration};

/// How long a process has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// A process as a file remembers it: `PID BEGAN`. A pid alone would be another's some day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pid: u32,
    began: String,
}

impl Recorded {
    /// A process that runs.
    pub fn of(pid: u32) -> Result<Self> {
        let began = began(pid).with_context(|| format!("process {pid} has ended already"))?;
        Ok(Self { pid, began })
    }

    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (pid, began) = text.split_once(' ')?;
        Some(Self {
            pid: pid.parse().ok()?,
            began: began.to_owned(),
        })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it runs, the same process and no later one.
    pub fn runs(&self) -> bool {
        began(self.pid).is_some_and(|began| began == self.began)
    }

    /// Ends it: SIGTERM, then SIGKILL.
    pub fn end(&self) -> Result<()> {
        let raw = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let raw = raw.with_context(|| format!("{} is no pid", self.pid))?;
        for signal in [Signal::TERM, Signal::KILL] {
            if !self.runs() {
                return Ok(());
            }
            // Fails when the process has just ended, which is what we want.
            let _ = kill_process(raw, signal);
            let ended = wait_until("its end", GRACE, || Ok((!self.runs()).then_some(())));
            if ended.is_ok() {
                return Ok(());
            }
        }
        bail!("process {} does not end; see `ps {0}`", self.pid)
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.began)
    }
}

/// When a process began, in ticks since boot: field 22 of its stat file. `None` for a zombie.
fn began(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses that may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18).map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_record_of_a_pid_that_was_reused_does_not_run() {
        let ours = Recorded::of(std::process::id()).unwrap();
        assert_eq!(Recorded::parse(&ours.to_string()), Some(ours.clone()));
        assert!(ours.runs());
        let other = Recorded::parse(&format!("{} 1{}", ours.pid, ours.began)).unwrap();
        assert!(!other.runs());
        assert_eq!(Recorded::parse("not a record"), None);
    }

    #[test]
    fn end_ends_it() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        Recorded::of(child.id()).unwrap().end().unwrap();
        child.wait().unwrap();
    }
}
