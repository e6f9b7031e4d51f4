//! Records that are written again while packets flow.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::generator::cpus;
use anyhow::Result;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};

/// Writes one record again.
pub type Rewrite = Box<dyn FnMut(u32) -> Result<()> + Send>;

/// How often it catches up with its rate.
const TICK: Duration = Duration::from_millis(1);

/// Records that were written, and those that were due in that time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Updates {
    pub(crate) written: u64,
    pub(crate) due: u64,
}

/// A thread that writes, or none. It ends with its guard.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    idle: Option<Rewrite>,
    busy: Option<JoinHandle<(Rewrite, Result<Updates>)>>,
}

/// Begins to write `per_second` of `records` records, at random, on a CPU of its own if `cpu` is one; 0:
/// none.
pub(crate) fn start(
    rewrite: &mut Option<Rewrite>,
    (per_second, records): (u32, u32),
    cpu: Option<usize>,
) -> Writer {
    let stop = Arc::new(AtomicBool::new(false));
    let mut writer = Writer {
        stop: Arc::clone(&stop),
        idle: None,
        busy: None,
    };
    match rewrite.take() {
        Some(mut write) if per_second > 0 => {
            let pace = Pace {
                begin: Instant::now(),
                per_second,
            };
            writer.busy = Some(thread::spawn(move || {
                if let Some(Err(error)) = cpu.map(cpus::pin) {
                    return (write, Err(error));
                }
                let updates = run(&mut write, &pace, (records, &stop));
                (write, updates)
            }));
        }
        other => writer.idle = other,
    }
    writer
}

impl Writer {
    /// Ends it; gives back what writes, and how many were written.
    pub(crate) fn stop(mut self) -> (Option<Rewrite>, Result<Updates>) {
        self.end()
    }

    fn end(&mut self) -> (Option<Rewrite>, Result<Updates>) {
        self.stop.store(true, Ordering::Release);
        let Some(thread) = self.busy.take() else {
            return (self.idle.take(), Ok(Updates::default()));
        };
        match thread.join() {
            Ok((rewrite, updates)) => (Some(rewrite), updates),
            Err(_) => (None, Err(anyhow::anyhow!("the writer of records panicked"))),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// When how many are due.
struct Pace {
    begin: Instant,
    per_second: u32,
}

impl Pace {
    fn due(&self) -> Result<u64> {
        let due = self.begin.elapsed().as_micros() * u128::from(self.per_second) / 1_000_000;
        Ok(u64::try_from(due)?)
    }
}

fn run(write: &mut Rewrite, pace: &Pace, (records, stop): (u32, &AtomicBool)) -> Result<Updates> {
    let mut random = SmallRng::seed_from_u64(u64::from(records));
    let mut updates = Updates::default();
    while !stop.load(Ordering::Acquire) {
        updates.due = pace.due()?;
        while updates.written < updates.due && !stop.load(Ordering::Acquire) {
            write(random.random_range(0..records))?;
            updates.written += 1;
        }
        thread::sleep(TICK);
    }
    // A thread that hardly ran looked at the time too seldom.
    updates.due = pace.due()?;
    Ok(updates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_written_until_it_is_stopped() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut rewrite: Option<Rewrite> = Some(Box::new(move |record| {
            sender.send(record)?;
            Ok(())
        }));
        let writer = start(&mut rewrite, (10_000, 50), None);
        assert!(rewrite.is_none());
        let seen: Vec<u32> = receiver.iter().take(100).collect();
        let (rewrite, updates) = writer.stop();
        assert!(rewrite.is_some());
        let updates = updates.expect("written");
        assert!(100 <= updates.written && updates.written <= updates.due);
        assert!(seen.iter().all(|record| *record < 50));
        drop(rewrite);
        assert!(receiver.iter().all(|record| record < 50));
    }

    #[test]
    fn a_rate_of_zero_writes_nothing() {
        let mut rewrite: Option<Rewrite> = Some(Box::new(|_| anyhow::bail!("written")));
        let (rewrite, updates) = start(&mut rewrite, (0, 1), None).stop();
        assert!(rewrite.is_some());
        assert_eq!(updates.expect("none"), Updates::default());
    }

    #[test]
    fn a_writer_that_nobody_stops_ends_with_its_guard() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut rewrite: Option<Rewrite> = Some(Box::new(move |record| Ok(sender.send(record)?)));
        let writer = start(&mut rewrite, (10_000, 1), None);
        receiver.recv().expect("it writes");
        drop(writer);
        assert_eq!(receiver.iter().find(|record| *record != 0), None);
    }
}
