//! Room for a key whose two buckets are full: the shortest chain of entries that each move to their
//! other bucket, found breadth first.
//!
//! A chain has no bucket twice, so that its moves do not touch each other's: what can be reached from
//! a bucket has been seen from its first node before the second is looked at. For the same reason the
//! key's own entry, which leads from one of its buckets to the other, is never moved.

use dataplane_common::records::geometry::{Geometry, Pair};

use super::memory::Memory;
use super::slots::{Place, Slots};

/// Buckets that are looked at before the table counts as full. At a load of 0.95 tens suffice.
const NODES: usize = 4000;

/// A search; kept from one to the next for its memory.
#[derive(Default)]
pub(super) struct Search {
    nodes: Vec<Node>,
    /// Entries moved so far.
    pub(super) moves: u64,
}

/// A bucket that is reached by moving an entry there.
struct Node {
    bucket: u32,
    /// Where the entry comes from; `None` for the key's own buckets.
    from: Option<Step>,
}

/// A slot of an earlier node.
#[derive(Clone, Copy)]
struct Step {
    node: usize,
    slot: u32,
}

impl Search {
    /// Makes a slot free in a bucket of the pair and returns it; entries of the pair stay.
    pub(super) fn make_room<M: Memory>(
        &mut self,
        slots: &Slots<M>,
        geometry: &Geometry,
        pair: Pair,
    ) -> Option<Place> {
        let mut free = self.find(slots, geometry, pair)?;
        let mut node = self.nodes.len() - 1;
        while let Some(step) = self.nodes[node].from {
            let from = Place {
                bucket: self.nodes[step.node].bucket,
                slot: step.slot,
            };
            carry(slots, geometry, from, free);
            self.moves += 1;
            (free, node) = (from, step.node);
        }
        Some(free)
    }

    /// A free slot; the last node is its bucket.
    fn find<M: Memory>(
        &mut self,
        slots: &Slots<M>,
        geometry: &Geometry,
        pair: Pair,
    ) -> Option<Place> {
        self.nodes.clear();
        for bucket in [pair.home, pair.alternate] {
            self.nodes.push(Node { bucket, from: None });
        }
        let mut node = 0;
        while node < self.nodes.len() {
            let bucket = self.nodes[node].bucket;
            for place in slots.used(bucket) {
                let to = geometry.pair(slots.key(place)).other(bucket);
                // Seen, and full: saves the search among keys that were chosen to meet.
                if to == pair.home || to == pair.alternate {
                    continue;
                }
                if self.nodes.len() == NODES {
                    return None;
                }
                let slot = place.slot;
                let from = Some(Step { node, slot });
                self.nodes.push(Node { bucket: to, from });
                if let Some(free) = slots.free(to) {
                    return Some(free);
                }
            }
            node += 1;
        }
        None
    }
}

/// Moves an entry to its other bucket: there is always a valid copy.
fn carry<M: Memory>(slots: &Slots<M>, geometry: &Geometry, from: Place, to: Place) {
    let entry = slots.entry(from);
    let home = geometry.pair(entry.key).home;
    if to.bucket != home {
        slots.spill(home);
    }
    slots.fill(to, &entry);
    slots.flip(to.bucket, to.bit(), 0);
    slots.flip(from.bucket, 0, from.bit());
}
