//! What the programs counted.

use std::collections::BTreeMap;

use aya::maps::{MapData, PerCpuArray};
use dataplane_common::abi::stats::{COUNTERS_PER_SLOT, Count, Counter, DROPS_PER_SLOT, Direction};
use dataplane_common::reason::{DropReason, REASONS};

use super::Programs;
use crate::policy::LAST_SLOT;

/// Counters that are not zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets by slot and counter.
    pub counters: BTreeMap<(u32, Counter), u64>,
    /// Packets by slot, direction and reason.
    pub drops: BTreeMap<(u32, Direction, DropReason), u64>,
}

impl Programs {
    /// Reads the counters of the slots in use.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let counters = self.per_cpu("COUNTERS");
        let drops = self.per_cpu("DROPS");
        for slot in 0..=LAST_SLOT {
            for counter in Counter::ALL {
                let packets = sum(&counters, slot * COUNTERS_PER_SLOT + *counter as u32);
                if packets > 0 {
                    counts.counters.insert((slot, *counter), packets);
                }
            }
            for direction in Direction::ALL {
                for reason in DropReason::ALL {
                    let index =
                        slot * DROPS_PER_SLOT + direction as u32 * REASONS + reason.number();
                    let packets = sum(&drops, index);
                    if packets > 0 {
                        counts.drops.insert((slot, direction, *reason), packets);
                    }
                }
            }
        }
        counts
    }

    fn per_cpu(&self, name: &str) -> PerCpuArray<&aya::maps::MapData, Count> {
        PerCpuArray::try_from(self.ebpf.map(name).expect("map")).expect("per-CPU array")
    }
}

impl Counts {
    /// Adds what moved elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (key, packets) in &other.counters {
            *self.counters.entry(*key).or_default() += packets;
        }
        for (key, packets) in &other.drops {
            *self.drops.entry(*key).or_default() += packets;
        }
    }

    /// A packet more.
    pub fn count(&mut self, slot: u32, counter: Counter) {
        *self.counters.entry((slot, counter)).or_default() += 1;
    }

    /// A drop more.
    pub fn drop(&mut self, slot: u32, direction: Direction, reason: DropReason) {
        *self.drops.entry((slot, direction, reason)).or_default() += 1;
    }

    /// What moved since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        fn moved<K: Ord + Clone>(
            now: &BTreeMap<K, u64>,
            before: &BTreeMap<K, u64>,
        ) -> BTreeMap<K, u64> {
            now.iter()
                .map(|(key, count)| (key.clone(), count - before.get(key).copied().unwrap_or(0)))
                .filter(|(_, count)| *count > 0)
                .collect()
        }
        Self {
            counters: moved(&self.counters, &before.counters),
            drops: moved(&self.drops, &before.drops),
        }
    }

    /// The conservation law: received + replicas = outcomes + drops, per direction and slot;
    /// and what user space gave back is among what was received.
    pub fn conserved(&self) -> bool {
        use Counter as C;
        let count = |slot, counter| self.counters.get(&(slot, counter)).copied().unwrap_or(0);
        let dropped = |slot, direction| -> u64 {
            let drops = self.drops.iter();
            drops
                .filter(|((s, d, _), _)| (*s, *d) == (slot, direction))
                .map(|(_, packets)| packets)
                .sum()
        };
        (0..=LAST_SLOT).all(|slot| {
            let sum = |outcomes: &[C]| -> u64 { outcomes.iter().map(|c| count(slot, *c)).sum() };
            let egress = [
                C::EgressEncapped,
                C::EgressRewritten,
                C::EgressDelivered,
                C::EgressReplied,
                C::EgressPassed,
                C::EgressPunted,
                C::EgressFlooded,
            ];
            let ingress = [
                C::IngressDelivered,
                C::IngressReplied,
                C::IngressPassed,
                C::IngressPunted,
                C::IngressFlooded,
            ];
            let received = |counter, replicas, outcomes, direction| {
                let came = count(slot, counter) + count(slot, replicas);
                came == sum(outcomes) + dropped(slot, direction)
            };
            // What user space gave back was received a second time.
            let among = |again, counter| count(slot, again) <= count(slot, counter);
            let (sent, came) = (Direction::Egress, Direction::Ingress);
            received(C::EgressReceived, C::EgressReplicas, &egress, sent)
                && received(C::IngressReceived, C::IngressReplicas, &ingress, came)
                && among(C::EgressReinjected, C::EgressReceived)
                && among(C::IngressReinjected, C::IngressReceived)
        })
    }
}

fn sum(map: &PerCpuArray<&MapData, Count>, index: u32) -> u64 {
    let values = map.get(&index, 0).expect("index in range");
    values.iter().map(|count| count.packets).sum()
}
