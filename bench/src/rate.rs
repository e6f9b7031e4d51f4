//! Packets per second at the end of a path.
//!
//! Counted at the sink, over a window that begins after the generator's first packets have arrived and
//! ends before it stops: neither its set-up nor its end is in the figure.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    generator::{Generator, Kind, Load, cpus, keys::Pattern},
    paths::{Absence, Built, DROP, room},
    scenario::{Scenario, Work},
    sink::Sink,
    subject::{Measured, Subject},
};

pub(crate) mod churn;
mod details;

pub use churn::Rewrite;
use details::{Before, moved};
pub use details::{Details, OVERLOADED, lacks_updates, share_received};

/// Begin of the names of what the sink received on one CPU.
pub const BY_CPU: &str = "received.cpu";

/// Frames of the test before a measurement: a few bulks, that fit any queue on the way.
const PROBE: u32 = 256;
/// Frames that are sent at once in it.
const PROBE_AT_ONCE: u32 = 64;
/// How long the first packets may be on their way.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nothing arrives for so long in the test before a measurement: the rest was lost. A loss ends
/// everything there, and a busy machine is no broken path.
const QUIET_IN_TEST: Duration = Duration::from_secs(5);
/// How often a counter is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// The packet rate of a path.
pub struct Rate {
    // Order of drop: the generator first, the path last.
    generator: Box<dyn Generator>,
    kind: Kind,
    sink: Option<Sink>,
    built: Built,
    pattern: Pattern,
    updates_per_second: u32,
    /// For the thread that updates: what it takes of a generator's CPU is no price of updates.
    spare_cpu: Option<usize>,
    records: u32,
}

impl Rate {
    /// Makes generator and sink, and sees that packets arrive, all of them.
    #[expect(clippy::new_ret_no_self, reason = "who measures knows subjects only")]
    pub fn new(built: Built, scenario: &Scenario) -> Result<Box<dyn Subject>, Absence> {
        let kind = Kind::choose(&built, &load(scenario));
        Self::with(kind, built, scenario)
    }

    /// The same with the generator named.
    pub fn with(
        kind: Kind,
        built: Built,
        scenario: &Scenario,
    ) -> Result<Box<dyn Subject>, Absence> {
        if scenario.updates_per_second > 0 && built.rewrite.is_none() {
            let why = "it has no records to write again while packets flow";
            return Err(Absence::NotAvailable(why.to_owned()));
        }
        let load = load(scenario);
        let sink = match built.counted {
            Some(_) => None,
            None => Some(Sink::attach(&built.sink, scenario.sink)?),
        };
        let mut rate = Self {
            generator: kind.make(&built, &load)?,
            kind,
            sink,
            pattern: Pattern::new(load.keys, load.records, load.seed),
            updates_per_second: scenario.updates_per_second,
            spare_cpu: cpus::beside(scenario.queues)?,
            records: load.records,
            built,
        };
        rate.verify(matches!(scenario.work, Work::Drop(_)))?;
        Ok(Box::new(rate))
    }

    /// A path that loses packets is no path: as many arrive as are sent, and nothing is dropped.
    fn verify(&mut self, is_drop: bool) -> Result<()> {
        let before = (self.received()?, self.counters()?);
        let mut sent = 0;
        let mut received = 0;
        while sent < u64::from(PROBE) && received == sent {
            self.generator.send(PROBE_AT_ONCE)?;
            sent += u64::from(PROBE_AT_ONCE);
            received = self.settle(before.0 + sent, QUIET_IN_TEST)? - before.0;
        }
        let moved = moved(&self.counters()?, &before.1);
        let dropped = moved.keys().any(|name| name.starts_with(DROP));
        ensure!(
            received == sent && (is_drop || !dropped),
            "{received} of {sent} packets arrived at {} in {}; counters of the path: {moved:?}",
            self.built.sink.device,
            self.built.sink.netns.name(),
        );
        Ok(())
    }

    fn received(&mut self) -> Result<u64> {
        match (&mut self.built.counted, &self.sink) {
            (Some(read), _) => read(),
            (None, Some(sink)) => sink.received(),
            (None, None) => bail!("nothing counts packets"),
        }
    }

    /// Counters of the path, and of the sink by CPU.
    fn counters(&mut self) -> Result<Details> {
        let mut all = match &mut self.built.counters {
            Some(read) => read()?,
            None => Details::new(),
        };
        let by_cpu = self.sink.as_ref().map_or(Ok(Vec::new()), Sink::by_cpu)?;
        let named = by_cpu.into_iter().enumerate();
        all.extend(named.map(|(cpu, received)| (format!("{BY_CPU}{cpu}"), received)));
        Ok(all)
    }

    /// Waits until so many packets have arrived, or none has for a while; how many have.
    fn settle(&mut self, expected: u64, quiet: Duration) -> Result<u64> {
        let mut last = (self.received()?, Instant::now());
        while last.0 < expected && last.1.elapsed() < quiet {
            sleep(LOOK)?;
            let received = self.received()?;
            if received != last.0 {
                last = (received, Instant::now());
            }
        }
        Ok(last.0)
    }

    /// Waits until each thread of the generator has sent: one that begins late is not in the whole window.
    fn wait_for_all_threads(&self) -> Result<()> {
        let begin = Instant::now();
        while !self.generator.all_send()? {
            ensure!(
                begin.elapsed() < PATIENCE,
                "not every thread of the generator has sent within {PATIENCE:?}"
            );
            sleep(LOOK)?;
        }
        Ok(())
    }

    /// Waits until more than `before` have arrived; how many have.
    fn wait_for_more(&mut self, before: u64) -> Result<u64> {
        let begin = Instant::now();
        loop {
            let received = self.received()?;
            if received > before {
                return Ok(received);
            }
            ensure!(
                begin.elapsed() < PATIENCE,
                "no packet arrived within {PATIENCE:?}"
            );
            sleep(LOOK)?;
        }
    }

    /// The window: packets, and the time they took. It is longer than asked for when not one arrived in it.
    fn window(&mut self, before: u64, length: Duration) -> Result<(u64, Duration)> {
        self.wait_for_more(before)?;
        self.wait_for_all_threads()?;
        sleep(warm_up(length))?;
        let (begin, first) = (Instant::now(), self.received()?);
        sleep(length)?;
        let last = self.wait_for_more(first)?;
        Ok((last - first, begin.elapsed()))
    }
}

impl Subject for Rate {
    fn measure(&mut self, length: Duration) -> Result<Measured> {
        let before = Before {
            sent: self.generator.sent()?,
            received: self.received()?,
            counters: self.counters()?,
        };
        let writer = churn::start(
            &mut self.built.rewrite,
            (self.updates_per_second, self.records),
            self.spare_cpu,
        );
        let started = self.generator.start();
        let window = started.and_then(|()| self.window(before.received, length));
        // Both end before anything is said about either.
        let stopped = self.generator.stop();
        let (rewrite, updates) = writer.stop();
        self.built.rewrite = rewrite;
        stopped?;
        let (packets, time) = window?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let value = packets as f64 / time.as_secs_f64();
        let details = self.details(&before, updates?)?;
        Ok(Measured { value, details })
    }
}

/// Begin of whatever is random in a measurement: each is made of the same packets.
const SEED: u64 = 0x6E76_6765;

fn load(scenario: &Scenario) -> Load {
    Load {
        keys: scenario.keys,
        records: room::asked(scenario),
        threads: scenario.queues,
        seed: SEED,
    }
}

fn warm_up(length: Duration) -> Duration {
    (length / 5).clamp(Duration::from_millis(50), Duration::from_millis(500))
}

/// Sleeps, and fails soon after a signal has asked for the end.
fn sleep(length: Duration) -> Result<()> {
    const STEP: Duration = Duration::from_millis(100);
    let end = Instant::now() + length;
    loop {
        xtask::lab::interrupted().context("while packets were counted")?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(STEP));
    }
}
