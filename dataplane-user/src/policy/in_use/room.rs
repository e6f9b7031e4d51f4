//! Who has to make room for whom in the kernel's table.

use std::time::Instant;

use dataplane_common::abi::lookup::{LookupKey, LookupRecord};

use super::{Domain, InUse};
use crate::policy::table_image::TableImage;

impl InUse {
    /// Takes records that the kernel's table has had always, and shall have on demand from now on,
    /// out of `image`, as far as there is room: what was in use stays, and the rest ages out.
    pub fn take_over(&mut self, image: &mut TableImage, whole: &TableImage, now: Instant) {
        let (records, negatives) = self.counts();
        let room = self.most.saturating_sub(records + negatives);
        let turned = image.lookup.take(room, |key, _| {
            let now = whole.lookup.get(key);
            now.is_some_and(|record| record.has(LookupRecord::ON_DEMAND))
        });
        for (key, record) in turned {
            self.enter(key, record, now);
        }
    }

    /// Whether there are more entries than shall be.
    pub fn is_over(&self) -> bool {
        let each = self.domains.values();
        each.map(|domain| domain.entries.len()).sum::<usize>() > self.most
    }

    /// Gives one entry up for another, when there is no room for more: of the routing domain that
    /// has most, the one that was looked at longest ago, but not `except`. `None`: there is no other,
    /// or nothing may go now ([`InUse::reserve`]).
    pub fn evict(&mut self, except: Option<LookupKey>) -> Option<LookupKey> {
        if self.held_still {
            return None;
        }
        let most = self.domains.values_mut();
        let most = most.max_by_key(|domain| domain.entries.len())?;
        let mut due = most.due.iter().map(|(_, key)| *key);
        let key = due.find(|key| Some(*key) != except)?;
        most.forget(key);
        Some(key)
    }

    /// Makes room for the records of `whole` that the kernel's table always has: the keys that go for
    /// that. Until [`Self::follow`] nothing else goes, for what was in use may be one of those by now.
    pub fn reserve(&mut self, whole: &TableImage) -> Vec<LookupKey> {
        let always = |record: &LookupRecord| !record.has(LookupRecord::ON_DEMAND);
        let always = whole.lookup.values().filter(always).count();
        self.most = self.room.saturating_sub(always).min(self.room / 2);
        self.held_still = false;
        let mut gone = Vec::new();
        while self.is_over()
            && let Some(key) = self.evict(None)
        {
            gone.push(key);
        }
        self.held_still = true;
        gone
    }

    pub(super) fn has_room_for_a_negative(&self, rdid: u32) -> bool {
        let of = |domain: &Domain| domain.negatives;
        let own = self.domains.get(&rdid).map_or(0, of);
        let all: usize = self.domains.values().map(of).sum();
        // What is free bounds each domain, too, so that some always is for one that has none.
        let free = self.most_negatives.saturating_sub(all);
        own < self.lives.negatives.min(free)
    }
}
