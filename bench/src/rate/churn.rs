//! Records that are written again while packets flow.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};

/// Writes one record again.
pub type Rewrite = Box<dyn FnMut(u32) -> Result<()> + Send>;

/// How often it catches up with its rate.
const TICK: Duration = Duration::from_millis(1);

/// A thread that writes, or none.
pub(super) struct Writer {
    stop: Arc<AtomicBool>,
    work: Work,
}

enum Work {
    Idle(Option<Rewrite>),
    Busy(JoinHandle<(Rewrite, Result<u64>)>),
}

/// Begins to write `per_second` of `records` records, at random; 0: none.
pub(super) fn start(rewrite: &mut Option<Rewrite>, per_second: u32, records: u32) -> Writer {
    let stop = Arc::new(AtomicBool::new(false));
    let work = match rewrite.take() {
        Some(mut write) if per_second > 0 => {
            let stop = Arc::clone(&stop);
            Work::Busy(thread::spawn(move || {
                let written = run(&mut write, (per_second, records), &stop);
                (write, written)
            }))
        }
        other => Work::Idle(other),
    };
    Writer { stop, work }
}

impl Writer {
    /// Ends it; gives back what writes, and how many were written.
    pub(super) fn stop(self) -> (Option<Rewrite>, Result<u64>) {
        self.stop.store(true, Ordering::Release);
        match self.work {
            Work::Idle(rewrite) => (rewrite, Ok(0)),
            Work::Busy(thread) => match thread.join() {
                Ok((rewrite, written)) => (Some(rewrite), written),
                Err(_) => (None, Err(anyhow::anyhow!("the writer of records panicked"))),
            },
        }
    }
}

fn run(write: &mut Rewrite, (per_second, records): (u32, u32), stop: &AtomicBool) -> Result<u64> {
    let mut random = SmallRng::seed_from_u64(u64::from(records));
    let begin = Instant::now();
    let mut written = 0;
    while !stop.load(Ordering::Acquire) {
        let due = begin.elapsed().as_micros() * u128::from(per_second) / 1_000_000;
        while u128::from(written) < due && !stop.load(Ordering::Acquire) {
            write(random.random_range(0..records))?;
            written += 1;
        }
        thread::sleep(TICK);
    }
    Ok(written)
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
        let writer = start(&mut rewrite, 10_000, 50);
        assert!(rewrite.is_none());
        let seen: Vec<u32> = receiver.iter().take(100).collect();
        let (rewrite, written) = writer.stop();
        assert!(rewrite.is_some());
        assert!(written.expect("written") >= 100);
        assert!(seen.iter().all(|record| *record < 50));
        drop(rewrite);
        assert!(receiver.iter().all(|record| record < 50));
    }

    #[test]
    fn a_rate_of_zero_writes_nothing() {
        let mut rewrite: Option<Rewrite> = Some(Box::new(|_| anyhow::bail!("written")));
        let (rewrite, written) = start(&mut rewrite, 0, 1).stop();
        assert!(rewrite.is_some());
        assert_eq!(written.expect("none"), 0);
    }
}
