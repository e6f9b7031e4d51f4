//! What the slow path did, for `nvectl status`, `get upcalls` and `get drops`.
//!
//! Every packet that came is reinjected, consumed or dropped, or waits. One that is cut is reinjected
//! once for each piece. What the underlay tells of paths is nobody's packet: it counts apart from
//! the tenants.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use dataplane_common::{abi::stats::Count, punt::Punt, reason::DropReason};
use hdrhistogram::Histogram;

use self::rate::Rate;

mod rate;

/// Longest latency that is told apart, microseconds; longer ones count as this.
const LONGEST: u64 = 10_000_000;

/// In the place of a routing domain, of which none has this index: whoever tells of paths.
pub const UNDERLAY: u32 = 0;

/// All counts since the start of `nved`.
#[derive(Debug, Default)]
pub struct Counts {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By routing domain.
    tenants: BTreeMap<u32, Tenant>,
    /// By port slot (0: uplink) and reason.
    drops: BTreeMap<(u32, DropReason), Count>,
}

#[derive(Debug, Default)]
struct Tenant {
    punts: BTreeMap<Punt, u64>,
    rate: Rate,
    drops: BTreeMap<DropReason, u64>,
    reinjected: u64,
    answered: u64,
    consumed: u64,
    /// From arrival to hand-back, microseconds; made with the first packet that is handed back.
    waits: Option<Histogram<u32>>,
}

/// A tenant's upcalls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upcalls {
    /// Packets that came, by reason.
    pub punts: BTreeMap<Punt, u64>,
    /// Packets a second that come, over the last seconds.
    pub rate: u64,
    /// Packets given back to the programs; a packet that was cut counts once a piece.
    pub reinjected: u64,
    /// Packets whose sender got an answer of ours; each of them is consumed or among `drops` too.
    pub answered: u64,
    /// Packets that were meant to end in user space: questions with an answer, messages that were
    /// heeded, broadcasts of which copies went on.
    pub consumed: u64,
    /// Packets that ended in user space, by reason.
    pub drops: BTreeMap<DropReason, u64>,
    /// How long packets took; `None` while none was given back.
    pub latency: Option<Latency>,
}

/// Times from a packet's arrival in user space until it is given back to the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Median, microseconds.
    pub p50: u64,
    /// 99th percentile, microseconds.
    pub p99: u64,
}

impl Counts {
    /// A packet came.
    pub fn punted(&self, tenant: u32, punt: Punt) {
        let now = Instant::now();
        self.of(tenant, |counts| {
            *counts.punts.entry(punt).or_default() += 1;
            counts.rate.add(now);
        });
    }

    /// A packet ends here. `tenant` is `None` where its port or subnet is gone; `bytes`: of the frame.
    pub fn dropped(&self, (tenant, slot): (Option<u32>, u32), reason: DropReason, bytes: usize) {
        self.with(|counts| {
            let count = counts.drops.entry((slot, reason)).or_default();
            count.packets += 1;
            count.bytes += bytes as u64;
            if let Some(tenant) = tenant {
                let tenant = counts.tenants.entry(tenant).or_default();
                *tenant.drops.entry(reason).or_default() += 1;
            }
        });
    }

    /// A packet goes back to the programs, after it waited so long.
    pub fn reinjected(&self, tenant: u32, waited: Duration) {
        let micros = u64::try_from(waited.as_micros()).unwrap_or(LONGEST);
        self.of(tenant, |counts| {
            counts.reinjected += 1;
            if counts.waits.is_none() {
                counts.waits = Histogram::new_with_max(LONGEST, 2).ok();
            }
            if let Some(waits) = &mut counts.waits {
                waits.saturating_record(micros.clamp(1, LONGEST));
            }
        });
    }

    /// A tenant got an answer of ours instead of its packet being forwarded.
    pub fn answered(&self, tenant: u32) {
        self.of(tenant, |counts| counts.answered += 1);
    }

    /// A packet was meant to end here, and did.
    pub fn consumed(&self, tenant: u32) {
        self.of(tenant, |counts| counts.consumed += 1);
    }

    /// Upcalls by routing domain.
    pub fn upcalls(&self) -> BTreeMap<u32, Upcalls> {
        let mut all = self.all();
        all.remove(&UNDERLAY);
        all
    }

    /// What the underlay told of paths.
    pub fn paths(&self) -> Upcalls {
        self.all().remove(&UNDERLAY).unwrap_or_default()
    }

    fn all(&self) -> BTreeMap<u32, Upcalls> {
        let now = Instant::now();
        self.with(|counts| {
            let tenants = counts.tenants.iter();
            tenants.map(|(id, t)| (*id, t.upcalls(now))).collect()
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

    /// Packets that were meant to end here, whosever they were.
    pub fn all_consumed(&self) -> u64 {
        self.with(|counts| counts.tenants.values().map(|of| of.consumed).sum())
    }

    /// Forgets what a slot dropped, before another port gets it.
    pub fn clear(&self, slot: u32) {
        self.with(|counts| counts.drops.retain(|(of, _), _| *of != slot));
    }

    /// Forgets the routing domains for which `keep` says no, whose numbers others may get.
    pub fn keep(&self, keep: impl Fn(u32) -> bool) {
        let stays = |tenant| tenant == UNDERLAY || keep(tenant);
        self.with(|counts| counts.tenants.retain(|tenant, _| stays(*tenant)));
    }

    fn of(&self, tenant: u32, act: impl FnOnce(&mut Tenant)) {
        self.with(|counts| act(counts.tenants.entry(tenant).or_default()));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tenant {
    fn upcalls(&self, now: Instant) -> Upcalls {
        Upcalls {
            punts: self.punts.clone(),
            rate: self.rate.at(now),
            reinjected: self.reinjected,
            answered: self.answered,
            consumed: self.consumed,
            drops: self.drops.clone(),
            latency: self.waits.as_ref().map(|waits| Latency {
                p50: waits.value_at_quantile(0.5),
                p99: waits.value_at_quantile(0.99),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
