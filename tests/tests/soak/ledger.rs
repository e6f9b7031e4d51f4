//! What happened when, and what it cost.

use anyhow::{Result, ensure};
use dataplane_tests::net::stream::Tally;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{
    events::Event,
    world::{STREAMS, World},
};

/// Datagrams that were under way when an event began.
const UNDER_WAY: u64 = 256;

/// Numbers of each stream's next datagrams.
type Numbers = BTreeMap<&'static str, u64>;

/// One event.
pub(crate) struct Entry {
    event: &'static Event,
    from: Numbers,
    to: Numbers,
    took: Duration,
}

/// An event under way.
pub(crate) struct Opened {
    event: &'static Event,
    from: Numbers,
    at: Instant,
}

impl Opened {
    /// Begins an event.
    pub(crate) fn new(event: &'static Event, world: &World) -> Self {
        Self {
            event,
            from: world.numbers(),
            at: Instant::now(),
        }
    }
}

/// All events in their order.
#[derive(Default)]
pub(crate) struct Ledger(Vec<Entry>);

impl Ledger {
    /// Ends it: everything works again.
    pub(crate) fn close(&mut self, opened: Opened, world: &World) {
        self.0.push(Entry {
            event: opened.event,
            from: opened.from,
            to: world.numbers(),
            took: opened.at.elapsed(),
        });
    }

    /// How many different events happened.
    pub(crate) fn kinds(&self) -> usize {
        let names: BTreeSet<_> = self.0.iter().map(|entry| entry.event.name).collect();
        names.len()
    }

    /// The last events, one a line.
    pub(crate) fn history(&self) -> String {
        let last = self.0.iter().rev().take(12).rev();
        let lines = last.map(|entry| format!("  {}\n", entry.event.name));
        lines.collect()
    }

    /// Prints what each kind of event cost; nothing may be lost but by those that may.
    pub(crate) fn judge(&self, tallies: &BTreeMap<&'static str, Tally>) -> Result<()> {
        let mut cost: BTreeMap<&str, Numbers> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (stream, tally) in tallies {
            println!("{stream}: {tally}");
            ensure!(tally.duplicates == 0, "{stream}: datagrams came twice");
            for (first, length) in &tally.gaps {
                match self.cause(stream, *first) {
                    Some(entry) if entry.event.harms => {
                        let costs = cost.entry(entry.event.name).or_default();
                        *costs.entry(stream).or_default() += length;
                    }
                    Some(entry) => wrong.push((*stream, *length, entry.event.name)),
                    None => wrong.push((*stream, *length, "nothing at all")),
                }
            }
        }
        self.print(&cost);
        ensure!(wrong.is_empty(), "lost although nothing may be: {wrong:?}");
        Ok(())
    }

    /// The event during which a datagram was sent.
    fn cause(&self, stream: &'static str, number: u64) -> Option<&Entry> {
        self.0.iter().find(|entry| {
            let slack = if entry.event.harms { UNDER_WAY } else { 0 };
            let from = entry.from[stream].saturating_sub(slack);
            (from..entry.to[stream]).contains(&number)
        })
    }

    fn print(&self, cost: &BTreeMap<&str, Numbers>) {
        let names: BTreeSet<_> = self.0.iter().map(|entry| entry.event.name).collect();
        let streams = STREAMS.map(|stream| format!("{stream:>8}")).concat();
        println!("{:<44}times  longest  lost:{streams}", "event");
        for name in names {
            let same = || self.0.iter().filter(|entry| entry.event.name == name);
            let longest = same().map(|entry| entry.took).max().unwrap_or_default();
            let lost = |stream: &&str| {
                let lost = cost.get(name).and_then(|costs| costs.get(*stream));
                format!("{:>8}", lost.copied().unwrap_or(0))
            };
            let lost: String = STREAMS.iter().map(lost).collect();
            println!(
                "{name:<44}{:>5}  {longest:>7.1?}       {lost}",
                same().count()
            );
        }
    }
}
