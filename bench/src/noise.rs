//! What else ran on the machine while a half was measured.
//!
//! A fixed piece of work is timed before and after each half, on all CPUs at once: where its time changes, a CPU
//! had something else to do or another clock, and the half says nothing. Stolen time is what a
//! hypervisor gave to others.

use std::{
    fs,
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::{
    generator::cpus,
    subject::{Measured, Subject},
};

/// How long the fixed work takes on a quiet CPU.
pub const SPIN: Duration = Duration::from_millis(50);
/// The fixed work is done in so many parts, and the median counts: one that is interrupted does not
/// look like a slower CPU, but a CPU that something else has for half of the time does.
const PARTS: usize = 5;

/// What was seen around and during one half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quiet {
    /// Time of the fixed work before, on the slowest CPU, nanoseconds.
    pub calibration_before: u64,
    /// The same, after.
    pub calibration_after: u64,
    /// Share of the machine's CPU time that the hypervisor gave to others, 0 to 1 (`/proc/stat`).
    pub steal: f64,
    /// Times that the measuring thread had to make room for another (`/proc/thread-self/status`).
    pub involuntary_switches: u64,
    /// Time that it waited for a CPU, nanoseconds (`/proc/thread-self/schedstat`; 0 where the
    /// kernel has no statistics).
    pub run_delay: u64,
}

/// How much noise a pair may have.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Largest of a pair's calibrations over the smallest, minus 1.
    pub calibration: f64,
    /// Share of CPU time, 0 to 1, in either half.
    pub steal: f64,
}

impl Limits {
    /// Why a pair with these halves does not count; `None`: it counts.
    pub fn exceeded(&self, halves: &[Quiet]) -> Option<String> {
        let spins = halves
            .iter()
            .flat_map(|half| [half.calibration_before, half.calibration_after]);
        let (least, most) = (spins.clone().min()?, spins.max()?);
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a moment")]
        let moved = most as f64 / least.max(1) as f64 - 1.0;
        if moved > self.calibration {
            let (moved, limit) = (moved * 100.0, self.calibration * 100.0);
            return Some(format!(
                "calibration moved by {moved:.0} % (limit {limit:.0} %)"
            ));
        }
        let steal = halves.iter().map(|half| half.steal).fold(0.0, f64::max);
        if steal > self.steal {
            let (steal, limit) = (steal * 100.0, self.steal * 100.0);
            return Some(format!(
                "{steal:.1} % of the CPU time was stolen (limit {limit:.0} %)"
            ));
        }
        None
    }
}

/// Measures a half, and the noise around it.
pub trait Watch {
    /// Measures the subject once for about `length`.
    fn half(&mut self, subject: &mut dyn Subject, length: Duration) -> Result<(Measured, Quiet)>;
}

/// The machine as it is.
pub struct Machine {
    /// Rounds of the fixed work's loop.
    rounds: u64,
}

impl Machine {
    /// Finds out how many rounds take [`SPIN`] here.
    pub fn new() -> Self {
        const TRIAL: u64 = 1_000_000;
        let quickest = (0..20).map(|_| timed(TRIAL)).min().unwrap_or_default();
        let nanos = quickest.as_nanos().max(1);
        let rounds = u128::from(TRIAL) * SPIN.as_nanos() / nanos;
        Self {
            rounds: u64::try_from(rounds).unwrap_or(TRIAL),
        }
    }

    /// Time of the fixed work on the slowest of the CPUs that this process may use, nanoseconds.
    fn calibrate(&self) -> Result<u64> {
        let cpus = cpus::allowed()?;
        let times = thread::scope(|scope| {
            let start = |cpu| scope.spawn(move || self.spin(cpu));
            let spins: Vec<_> = cpus.into_iter().map(start).collect();
            let end = spins.into_iter().map(thread::ScopedJoinHandle::join);
            let times = end.map(|ended| ended.map_err(|_| anyhow!("a calibration panicked"))?);
            times.collect::<Result<Vec<_>>>()
        })?;
        times.into_iter().max().context("this process has no CPU")
    }

    fn spin(&self, cpu: usize) -> Result<u64> {
        cpus::pin(cpu)?;
        let mut parts: [Duration; PARTS] =
            std::array::from_fn(|_| timed(self.rounds / PARTS as u64));
        parts.sort_unstable();
        let whole = parts[PARTS / 2].as_nanos() * PARTS as u128;
        Ok(u64::try_from(whole)?)
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Watch for Machine {
    fn half(&mut self, subject: &mut dyn Subject, length: Duration) -> Result<(Measured, Quiet)> {
        let calibration_before = self.calibrate()?;
        let before = Counters::read()?;
        let measured = subject.measure(length)?;
        let after = Counters::read()?;
        let quiet = Quiet {
            calibration_before,
            calibration_after: self.calibrate()?,
            steal: after.steal_since(&before),
            involuntary_switches: after.switches.saturating_sub(before.switches),
            run_delay: after.run_delay.saturating_sub(before.run_delay),
        };
        Ok((measured, quiet))
    }
}

/// The kernel's counters at a moment.
struct Counters {
    /// Ticks of all CPUs: user, nice, system, idle, iowait, irq, softirq, steal.
    ticks: Vec<u64>,
    switches: u64,
    run_delay: u64,
}

impl Counters {
    fn read() -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        let status = fs::read_to_string("/proc/thread-self/status");
        let status = status.context("cannot read /proc/thread-self/status")?;
        // Not every kernel has it.
        let schedstat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        Ok(Self {
            ticks: ticks(&stat).context("/proc/stat has no line of all CPUs")?,
            switches: switches(&status).unwrap_or_default(),
            run_delay: schedstat
                .split_whitespace()
                .nth(1)
                .and_then(|word| word.parse().ok())
                .unwrap_or_default(),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "ticks of a moment")]
    fn steal_since(&self, before: &Self) -> f64 {
        let gone: Vec<u64> = self
            .ticks
            .iter()
            .zip(&before.ticks)
            .map(|(now, then)| now.saturating_sub(*then))
            .collect();
        let all: u64 = gone.iter().sum();
        let steal = gone.get(7).copied().unwrap_or_default();
        steal as f64 / all.max(1) as f64
    }
}

/// The first eight columns of the line of all CPUs (proc(5); what follows is counted in them).
fn ticks(stat: &str) -> Option<Vec<u64>> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    line.split_whitespace()
        .take(8)
        .map(|word| word.parse().ok())
        .collect()
}

fn switches(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

fn timed(rounds: u64) -> Duration {
    let start = Instant::now();
    let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..rounds {
        // xorshift: each round needs the one before, so that nothing is done ahead.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
    start.elapsed()
}

#[cfg(test)]
mod tests;
