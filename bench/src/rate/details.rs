//! What the counts of a half say about it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};

use super::{Rate, churn::Updates};
use crate::paths::DROP;

/// Counts by name.
pub type Details = BTreeMap<String, u64>;

/// Packets that the generator sent.
const SENT: &str = "sent";
/// Packets that arrived.
const RECEIVED: &str = "received";
/// Records that were written again.
const UPDATES: &str = "updates";
/// Records that should have been, by the rate that was asked for.
const DUE: &str = "updates.due";
/// Begin of the name that tells which generator sent.
const GENERATOR: &str = "generator.";

/// Share of the packets sent below which a path was overloaded: it does not slow the generator down
/// as one does that works within the sender's call, so its rate is one under heavy loss.
pub const OVERLOADED: f64 = 0.9;

/// Share of the records due below which a half says nothing of updates, in percent.
const LEAST_UPDATES: u64 = 90;

/// Nothing arrives for so long after a half: the rest was lost.
const QUIET: Duration = Duration::from_millis(500);
/// One packet in so many may be lost by the path itself, while records are written.
const LOST_PER: u64 = 1000;

/// Counts before a half.
pub(super) struct Before {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) counters: Details,
}

impl Rate {
    /// What the half came to, once everything has arrived that will.
    pub(super) fn details(&mut self, before: &Before, updates: Updates) -> Result<Details> {
        let sent = self.generator.sent()? - before.sent;
        let received = self.settle(before.received + sent, QUIET)? - before.received;
        let mut details = moved(&self.counters()?, &before.counters);
        let dropped: u64 = details
            .iter()
            .filter(|(name, _)| name.starts_with(DROP))
            .map(|(_, count)| count)
            .sum();
        ensure!(
            self.built.counted.is_some() || dropped <= received / LOST_PER,
            "the path dropped packets, so it was not measured: {details:?}"
        );
        let generator = format!("{GENERATOR}{}", self.kind.as_str());
        let counts = [
            (SENT, sent),
            (RECEIVED, received),
            (UPDATES, updates.written),
            ("keys", self.pattern.touched(sent)),
            (generator.as_str(), 1),
        ];
        details.extend(counts.map(|(name, count)| (name.to_owned(), count)));
        if self.updates_per_second > 0 {
            details.insert(DUE.to_owned(), updates.due);
        }
        Ok(details)
    }
}

/// Share of the packets sent that arrived, 0 to 1; `None`: the half counted none.
pub fn share_received(details: &Details) -> Option<f64> {
    let (sent, received) = (*details.get(SENT)?, *details.get(RECEIVED)?);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let share = received as f64 / sent as f64;
    (sent > 0).then_some(share)
}

/// Why a half with updates does not count; `None`: it had them, or none were asked for.
pub fn lacks_updates(details: &Details) -> Option<String> {
    let due = details.get(DUE).copied()?;
    let written = details.get(UPDATES).copied().unwrap_or(0);
    (written * 100 < due * LEAST_UPDATES)
        .then(|| format!("{written} of {due} records due were written (limit {LEAST_UPDATES} %)"))
}

/// What counters grew by; those that stood still are left out.
pub(super) fn moved(now: &Details, before: &Details) -> Details {
    now.iter()
        .map(|(name, count)| (name.clone(), count - before.get(name).copied().unwrap_or(0)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(counts: &[(&str, u64)]) -> Details {
        let counts = counts.iter();
        counts
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    #[test]
    fn a_share_is_of_what_was_sent() {
        let share = share_received(&details(&[(SENT, 1000), (RECEIVED, 250)]));
        assert!((share.expect("counted") - 0.25).abs() < 1e-12);
        assert_eq!(share_received(&details(&[(SENT, 0), (RECEIVED, 0)])), None);
        assert_eq!(share_received(&details(&[("retransmits", 3)])), None);
    }

    #[test]
    fn updates_that_were_not_made_are_told() {
        let enough = details(&[(DUE, 1000), (UPDATES, 900)]);
        assert_eq!(lacks_updates(&enough), None);
        let few = lacks_updates(&details(&[(DUE, 1000), (UPDATES, 899)]));
        let why = "899 of 1000 records due were written (limit 90 %)";
        assert_eq!(few.as_deref(), Some(why));
        assert_eq!(lacks_updates(&details(&[(UPDATES, 0)])), None);
    }

    #[test]
    fn only_what_moved_is_left() {
        let now = details(&[("a", 5), ("b", 7), ("c", 1)]);
        let before = details(&[("a", 5), ("b", 3)]);
        assert_eq!(moved(&now, &before), details(&[("b", 4), ("c", 1)]));
    }
}
