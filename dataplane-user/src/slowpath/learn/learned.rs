//! Who may have a learned address: the first owner wins, and a port has only so many.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use ipnet::IpNet;

/// What ports may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Addresses of a port.
    pub addresses: usize,
    /// How long an address is kept for the first who claimed it while its record is being made.
    pub pending: Duration,
    /// Time between two lines in the log about one port.
    pub quiet: Duration,
}

impl Limits {
    /// For ports that bear a machine, or a few containers.
    pub const DEFAULT: Self = Self {
        addresses: 8,
        pending: Duration::from_secs(5),
        quiet: Duration::from_mins(1),
    };
}

/// Who has an address in a routing domain, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The port of this host in the slot.
    Port(u32),
    /// The subnet's gateway.
    Gateway,
    /// Somebody else: a port of another host, or a record of the policy.
    Other,
}

/// A port claims an address.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'s> {
    /// The port's slot.
    pub slot: u32,
    /// Its routing domain.
    pub rdid: u32,
    /// The prefixes of its subnet.
    pub prefixes: &'s [IpNet],
    /// Addresses that it is known to have.
    pub held: usize,
    /// The address.
    pub ca: IpAddr,
}

impl Claim<'_> {
    /// Whether a station of the subnet may have the address.
    fn is_possible(&self) -> bool {
        let mut prefixes = self.prefixes.iter();
        let within = prefixes.find(|prefix| prefix.contains(&self.ca));
        within.is_some_and(|prefix| {
            let last = self.ca.is_ipv4() && self.ca == prefix.broadcast();
            self.ca != prefix.network() && !last
        })
    }
}

/// What is done about a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A record is made for it.
    Learn,
    /// The port has the address, or will have it in a moment.
    Known,
    /// The port does not get it.
    Refused(Refusal),
}

/// Why a port does not get an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is in none of the subnet's prefixes, or no station may have it.
    Outside,
    /// It is the gateway's.
    Gateway,
    /// Another had it first.
    Taken,
    /// The port has as many as a port may have.
    Full,
}

impl Refusal {
    /// In words, for the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outside => "no station of the subnet may have it",
            Self::Gateway => "it is the gateway's",
            Self::Taken => "another has it",
            Self::Full => "the port has as many addresses as it may have",
        }
    }
}

/// Claims whose records are on their way, and how often the log spoke of a port.
#[derive(Debug)]
pub struct Learned {
    limits: Limits,
    /// By routing domain and CA: the slot, and when the claim came.
    pending: BTreeMap<(u32, IpAddr), (u32, Instant)>,
    /// By slot: when the log spoke of it, and what was refused since.
    told: BTreeMap<u32, (Instant, u64)>,
}

impl Learned {
    /// Nothing is on its way.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            pending: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// Decides about a claim; `owner` has who is known to have the address.
    ///
    /// After [`Decision::Learn`] the address is kept for the port until [`Learned::settled`], or
    /// until the time for that is over: a record that could not be made is claimed anew.
    pub fn claim(
        &mut self,
        claim: &Claim<'_>,
        owner: impl FnOnce(IpAddr) -> Option<Owner>,
        now: Instant,
    ) -> Decision {
        let patience = self.limits.pending;
        self.pending
            .retain(|_, (_, since)| now.saturating_duration_since(*since) < patience);
        let key = (claim.rdid, claim.ca);
        let pending = self.pending.get(&key).map(|(slot, _)| Owner::Port(*slot));
        match owner(claim.ca).or(pending) {
            Some(Owner::Port(slot)) if slot == claim.slot => Decision::Known,
            Some(Owner::Gateway) => Decision::Refused(Refusal::Gateway),
            Some(Owner::Port(_) | Owner::Other) => Decision::Refused(Refusal::Taken),
            None if !claim.is_possible() => Decision::Refused(Refusal::Outside),
            None if claim.held + self.pending_of(claim.slot) >= self.limits.addresses => {
                Decision::Refused(Refusal::Full)
            }
            None => {
                self.pending.insert(key, (claim.slot, now));
                Decision::Learn
            }
        }
    }

    /// The address' record is there, or will not come: from here on it is known who has it.
    pub fn settled(&mut self, rdid: u32, ca: IpAddr) {
        self.pending.remove(&(rdid, ca));
    }

    /// The port in the slot is gone.
    pub fn forget(&mut self, slot: u32) {
        self.pending.retain(|_, (of, _)| *of != slot);
        self.told.remove(&slot);
    }

    /// Whether the log speaks of a refused claim of the port: `Some` with how many it kept quiet
    /// about since the last time.
    pub fn speaks_of(&mut self, slot: u32, now: Instant) -> Option<u64> {
        let quiet = self.limits.quiet;
        match self.told.get_mut(&slot) {
            Some((last, refused)) if now.saturating_duration_since(*last) < quiet => {
                *refused += 1;
                None
            }
            _ => {
                let before = self.told.insert(slot, (now, 0));
                Some(before.map_or(0, |(_, refused)| refused))
            }
        }
    }

    fn pending_of(&self, slot: u32) -> usize {
        let slots = self.pending.values().map(|(of, _)| *of);
        slots.filter(|of| *of == slot).count()
    }
}

#[cfg(test)]
mod tests;
