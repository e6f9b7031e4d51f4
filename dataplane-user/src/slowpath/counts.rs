//! What the slow path did, for `nvectl status`, `get upcalls` and `get drops`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use dataplane_common::{abi::stats::Count, punt::Punt, reason::DropReason};
use hdrhistogram::Histogram;

/// Longest latency that is told apart, microseconds; longer ones count as this.
const LONGEST: u64 = 10_000_000;

/// All counts since the start of `nved`.
#[derive(Debug, Default)]
pub struct Counts {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By routing domain and reason.
    punts: BTreeMap<(u32, Punt), u64>,
    /// By port slot (0: uplink) and reason.
    drops: BTreeMap<(u32, DropReason), Count>,
    reinjected: u64,
    answered: u64,
    waits: BTreeMap<u32, Histogram<u32>>,
}

/// A tenant's upcalls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Upcalls {
    /// Packets by reason.
    pub punts: BTreeMap<&'static str, u64>,
    /// Median of the time from punt to answer, microseconds.
    pub p50: u64,
    /// 99th percentile, microseconds.
    pub p99: u64,
}

impl Counts {
    /// A packet came.
    pub fn punted(&self, tenant: u32, punt: Punt) {
        self.with(|counts| *counts.punts.entry((tenant, punt)).or_default() += 1);
    }

    /// A packet ends here. `bytes`: of the frame.
    pub fn dropped(&self, slot: u32, reason: DropReason, bytes: usize) {
        self.with(|counts| {
            let count = counts.drops.entry((slot, reason)).or_default();
            count.packets += 1;
            count.bytes += bytes as u64;
        });
    }

    /// A packet goes back to the programs, after it waited so long.
    pub fn reinjected(&self, tenant: u32, waited: Duration) {
        self.with(|counts| {
            counts.reinjected += 1;
            let new = || Histogram::new_with_max(LONGEST, 2).ok();
            let histogram = match counts.waits.get_mut(&tenant) {
                Some(histogram) => histogram,
                None => match new() {
                    Some(histogram) => counts.waits.entry(tenant).or_insert(histogram),
                    None => return,
                },
            };
            let micros = u64::try_from(waited.as_micros()).unwrap_or(LONGEST);
            histogram.saturating_record(micros.clamp(1, LONGEST));
        });
    }

    /// A tenant got an answer of ours instead of its packet being forwarded.
    pub fn answered(&self) {
        self.with(|counts| counts.answered += 1);
    }

    /// Upcalls by routing domain.
    pub fn upcalls(&self) -> BTreeMap<u32, Upcalls> {
        self.with(|counts| {
            let mut all: BTreeMap<u32, Upcalls> = BTreeMap::new();
            for ((tenant, punt), packets) in &counts.punts {
                let upcalls = all.entry(*tenant).or_default();
                upcalls.punts.insert(punt.as_str(), *packets);
            }
            for (tenant, histogram) in &counts.waits {
                let upcalls = all.entry(*tenant).or_default();
                upcalls.p50 = histogram.value_at_quantile(0.5);
                upcalls.p99 = histogram.value_at_quantile(0.99);
            }
            all
        })
    }

    /// Drops of a slot.
    pub fn drops(&self, slot: u32) -> Vec<(DropReason, Count)> {
        self.with(|counts| {
            let of_slot = counts.drops.iter().filter(|((s, _), _)| *s == slot);
            of_slot
                .map(|((_, reason), count)| (*reason, *count))
                .collect()
        })
    }

    /// Packets given back, and packets answered.
    pub fn outcomes(&self) -> (u64, u64) {
        self.with(|counts| (counts.reinjected, counts.answered))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
