//! How fast this machine's time stamp counter runs, which an emulated processor shows as its own.

use std::time::{Duration, Instant};

/// Long enough for an error of a hundred thousandth.
const SPAN: Duration = Duration::from_millis(20);
/// Readings of which the least disturbed counts.
const READINGS: u32 = 16;

/// Ticks in a millisecond; `None` where the rate is not constant or there is no such counter.
///
/// Measured, because the kernel tells it nowhere: "cpu MHz" in `/proc/cpuinfo` is the rate at which
/// instructions run now.
pub(super) fn tsc_khz() -> Option<u64> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"))?;
    if !flags.split(' ').any(|flag| flag == "constant_tsc") {
        return None;
    }
    let (start, before) = reading()?;
    std::thread::sleep(SPAN);
    let (end, after) = reading()?;
    let nanos = u128::from(after.checked_sub(before)?) * 1_000_000;
    let khz = nanos.checked_div((end - start).as_nanos())?;
    u64::try_from(khz).ok().filter(|khz| *khz > 0)
}

/// The time and the counter at the same moment, as nearly as a busy machine lets them be read.
fn reading() -> Option<(Instant, u64)> {
    let readings = (0..READINGS).filter_map(|_| {
        let early = Instant::now();
        let ticks = ticks()?;
        Some((early.elapsed(), early, ticks))
    });
    let (_, time, ticks) = readings.min_by_key(|(took, ..)| *took)?;
    Some((time, ticks))
}

#[cfg(target_arch = "x86_64")]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn ticks() -> Option<u64> {
    // SAFETY: the instruction reads a register, touches no memory, and is there on every x86-64
    // processor; Linux lets all processes use it.
    Some(unsafe { core::arch::x86_64::_rdtsc() })
}

#[cfg(not(target_arch = "x86_64"))]
fn ticks() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_measurements_agree() {
        let (Some(one), Some(two)) = (tsc_khz(), tsc_khz()) else {
            return assert_eq!(tsc_khz(), None, "either it is constant or not");
        };
        assert!(one.abs_diff(two) < one / 100, "{one} and {two} kHz");
    }
}
