//! What a process has, as /proc tells it.

use anyhow::{Context, Result};
use std::{fmt, fs, time::Duration};

/// A moment of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Memory that is resident, bytes.
    pub memory: u64,
    /// CPU time of all its threads, in user mode and in the kernel.
    pub cpu: Duration,
    /// Threads.
    pub threads: usize,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Process {
    /// Reads it.
    pub fn of(pid: u32) -> Result<Self> {
        let place = |file: &str| format!("/proc/{pid}/{file}");
        let read = |file: &str| fs::read_to_string(place(file)).with_context(|| place(file));
        let count = |folder: &str| {
            let listed = fs::read_dir(place(folder)).with_context(|| place(folder))?;
            anyhow::Ok(listed.count())
        };
        let status = read("status")?;
        let memory = status.lines().find_map(|line| {
            let value = line.strip_prefix("VmRSS:")?.split_whitespace().next()?;
            value.parse::<u64>().ok()
        });
        Ok(Self {
            memory: memory.context("no VmRSS in the status")? * 1024,
            cpu: cpu(&read("stat")?).context("no times in the stat")?,
            threads: count("task")?,
            descriptors: count("fd")?,
        })
    }
}

/// Fields 14 and 15 of proc(5): they follow the name, which may have spaces and brackets in it.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    let ticks = next()? + next()?;
    // A tick is 10 ms for user space on every machine that Linux has (`USER_HZ`).
    Some(Duration::from_millis(ticks * 10))
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mib, cpu) = (self.memory >> 20, self.cpu);
        let (threads, descriptors) = (self.threads, self.descriptors);
        write!(f, "{mib} MiB, {cpu:.1?} of CPU, ")?;
        write!(f, "{threads} threads, {descriptors} descriptors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_behind_any_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
    }

    #[test]
    fn this_process_is_one() {
        let own = Process::of(std::process::id()).expect("this process");
        assert!(own.memory > 1 << 20 && own.threads >= 1 && own.descriptors >= 3);
    }
}
