//! Packets whose sender claims an address: they wait until the programs let it use that.

use std::time::Instant;

use dataplane_common::{id::Address, reason::DropReason};

use super::Worker;
use crate::slowpath::{
    channel::Channel,
    directory::Directory,
    handlers::{self, Act},
    hold::Awaited,
    learn::{Found, Told},
    upcall::Upcall,
};

/// What a packet waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Awaits {
    /// An answer about a CA of a routing domain.
    Answer(u32, Address),
    /// That a port may use an address.
    Permission {
        /// Index of its routing domain.
        rdid: u32,
        /// Its slot.
        slot: u32,
        /// The address.
        ca: Address,
    },
}

impl Awaited for Awaits {
    fn tenant(&self) -> u32 {
        match self {
            Self::Answer(rdid, _) | Self::Permission { rdid, .. } => *rdid,
        }
    }
}

impl<C: Channel> Worker<C> {
    /// A port claims an address by what it sends.
    pub(super) fn learn(
        &mut self,
        directory: &Directory,
        upcall: Upcall,
        found: &Found,
        now: Instant,
    ) {
        let (slot, rdid, ca) = (found.slot, found.rdid, found.ca.into());
        let awaits = Awaits::Permission { rdid, slot, ca };
        let shared = self.office.shared.clone();
        if shared.learning.usable(slot, ca) {
            // Who came before goes before.
            self.permit(directory, awaits);
            return self.act(directory, &upcall, Act::again(&upcall));
        }
        match shared.learning.claim(directory, found, now) {
            Told::Waits => {
                if let Err((upcall, reason)) = self.hold.enter(awaits, upcall, now) {
                    self.drop(directory, &upcall, reason);
                }
            }
            Told::Refused => self.drop(directory, &upcall, DropReason::LearnRefused),
            Told::Busy => self.drop(directory, &upcall, DropReason::HoldFull),
        }
    }

    /// A DHCP server gives an address to a port, which gets the answer whatever becomes of the claim.
    pub(super) fn lease(
        &mut self,
        directory: &Directory,
        upcall: &Upcall,
        (found, act): (Option<Found>, Act),
        now: Instant,
    ) {
        if let Some(found) = found {
            let learning = &self.office.shared.learning;
            learning.claim(directory, &found, now);
        }
        self.act(directory, upcall, act);
    }

    /// Whoever waited for an address that is usable now goes on.
    pub(super) fn settle(&mut self, directory: &Directory) {
        let shared = self.office.shared.clone();
        let generation = shared.learning.generation();
        if generation == self.learned {
            return;
        }
        self.learned = generation;
        let awaited = self.hold.awaited();
        let usable = awaited.filter(|awaits| match awaits {
            Awaits::Permission { slot, ca, .. } => shared.learning.usable(*slot, *ca),
            Awaits::Answer(..) => false,
        });
        for awaits in usable.collect::<Vec<_>>() {
            self.permit(directory, awaits);
        }
    }

    fn permit(&mut self, directory: &Directory, awaits: Awaits) {
        for upcall in self.hold.answer(awaits) {
            let act = handlers::go_on(directory, &upcall);
            self.act(directory, &upcall, act);
        }
    }
}
