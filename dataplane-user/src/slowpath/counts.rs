//! What the slow path did, for `nvectl status`, `get upcalls` and `get drops`.
//!
//! Of each tenant, every packet that came ends as reinjected, as answered and dropped, or as
//! dropped alone, or waits. A packet that is cut is reinjected once for each piece.

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
    /// Packets whose sender got an answer of ours; each of them is among `drops` too.
    pub answered: u64,
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

    /// Upcalls by routing domain.
    pub fn upcalls(&self) -> BTreeMap<u32, Upcalls> {
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

    /// Packets given back, and packets answered, of all tenants.
    pub fn outcomes(&self) -> (u64, u64) {
        self.with(|counts| {
            let tenants = counts.tenants.values();
            tenants.fold((0, 0), |(reinjected, answered), tenant| {
                (reinjected + tenant.reinjected, answered + tenant.answered)
            })
        })
    }

    /// Forgets what a slot dropped, before another port gets it.
    pub fn clear(&self, slot: u32) {
        self.with(|counts| counts.drops.retain(|(of, _), _| *of != slot));
    }

    /// Forgets the routing domains for which `keep` says no, whose numbers others may get.
    pub fn keep(&self, keep: impl Fn(u32) -> bool) {
        self.with(|counts| counts.tenants.retain(|tenant, _| keep(*tenant)));
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
            drops: self.drops.clone(),
            latency: self.waits.as_ref().map(|waits| Latency {
                p50: waits.value_at_quantile(0.5),
                p99: waits.value_at_quantile(0.99),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_counted_apart() {
        let counts = Counts::default();
        for _ in 0..99 {
            counts.punted(1, Punt::Miss);
            counts.reinjected(1, Duration::from_micros(100));
        }
        counts.punted(1, Punt::Oversize);
        counts.reinjected(1, Duration::from_millis(1));
        counts.punted(2, Punt::Miss);
        counts.dropped((Some(2), 7), DropReason::HoldFull, 60);
        counts.answered(2);
        let all = counts.upcalls();
        let (one, two) = (&all[&1], &all[&2]);
        assert_eq!(
            (one.punts[&Punt::Miss], one.punts[&Punt::Oversize]),
            (99, 1)
        );
        assert_eq!((one.reinjected, one.answered), (100, 0));
        assert!(one.drops.is_empty());
        let latency = one.latency.expect("some were given back");
        assert!((95..=105).contains(&latency.p50), "{latency:?}");
        assert!((95..=105).contains(&latency.p99), "{latency:?}");
        assert_eq!(two.drops[&DropReason::HoldFull], 1);
        assert_eq!((two.answered, two.latency), (1, None));
        assert_eq!(counts.outcomes(), (100, 1));
    }

    #[test]
    fn a_slow_packet_in_fifty_shows_in_the_99th_percentile() {
        let counts = Counts::default();
        for packet in 0..100 {
            let micros = if packet % 50 == 0 { 20_000_000 } else { 100 };
            counts.reinjected(1, Duration::from_micros(micros));
        }
        let latency = counts.upcalls()[&1].latency.expect("some");
        assert!(latency.p50 < 200, "{latency:?}");
        assert!(latency.p99.abs_diff(LONGEST) < LONGEST / 50, "{latency:?}");
    }

    #[test]
    fn who_gets_a_number_again_starts_at_zero() {
        let counts = Counts::default();
        counts.dropped((Some(1), 7), DropReason::HoldFull, 60);
        counts.dropped((Some(1), 8), DropReason::HoldFull, 60);
        counts.dropped((None, 0), DropReason::PortUnknown, 60);
        counts.clear(7);
        assert_eq!(counts.drops(7), []);
        let one = Count {
            packets: 1,
            bytes: 60,
        };
        assert_eq!(counts.drops(8), [(DropReason::HoldFull, one)]);
        assert_eq!(counts.drops(0), [(DropReason::PortUnknown, one)]);
        counts.punted(2, Punt::Miss);
        counts.keep(|tenant| tenant == 2);
        assert_eq!(counts.upcalls().into_keys().collect::<Vec<_>>(), [2]);
    }
}
