//! Addresses that are being learned, as the slow path's threads and the agent share them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use dataplane_common::{
    abi::{lookup::LookupRecord, port_ca::PortCaKey, vport::Vport},
    id::Address,
};
use tokio::sync::Notify;

use super::{Claim, Decision, Found, Learned, Limits, Owner, Refusal};
use crate::{policy::table_image::TableImage, slowpath::directory::Directory};

/// Claims that wait for the agent at most; who finds no room claims again with the next packet.
const BACKLOG: usize = 256;

/// What becomes of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The port has the address, or the agent makes a record.
    Waits,
    /// The port does not get it.
    Refused,
    /// The agent has enough to do.
    Busy,
}

/// Claims on their way to the agent, and what it made of them.
#[derive(Debug)]
pub struct Learning {
    inner: Mutex<Inner>,
    claimed: Notify,
    /// The CAs that the programs let learning ports use.
    usable: RwLock<Arc<BTreeSet<PortCaKey>>>,
    generation: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    learned: Learned,
    claims: Vec<Found>,
}

impl Default for Learning {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                learned: Learned::new(Limits::DEFAULT),
                claims: Vec::new(),
            }),
            claimed: Notify::new(),
            usable: RwLock::default(),
            generation: AtomicU64::new(0),
        }
    }
}

impl Learning {
    /// Decides about a claim, and hands it to the agent if it is a new one or a lease.
    pub fn claim(&self, directory: &Directory, found: &Found, now: Instant) -> Told {
        let claim = Claim {
            slot: found.slot,
            rdid: found.rdid,
            prefixes: directory.prefixes_of(found.vsid),
            held: held(directory, found.slot),
            ca: found.ca,
        };
        let mut inner = self.inner();
        let owner = |ca| owner(directory, found.rdid, ca);
        match inner.learned.claim(&claim, owner, now) {
            Decision::Refused(why) => {
                inner.tell(directory, found, why, now);
                Told::Refused
            }
            Decision::Known if found.lease.is_none() => Told::Waits,
            Decision::Learn | Decision::Known if inner.claims.len() < BACKLOG => {
                inner.claims.push(*found);
                drop(inner);
                self.claimed.notify_one();
                Told::Waits
            }
            Decision::Known => Told::Waits,
            Decision::Learn => {
                inner.learned.settled(found.rdid, found.ca);
                Told::Busy
            }
        }
    }

    /// Waits until there are claims.
    pub async fn claimed(&self) {
        self.claimed.notified().await;
    }

    /// All claims so far.
    pub fn take(&self) -> Vec<Found> {
        std::mem::take(&mut self.inner().claims)
    }

    /// Whether the programs let the port in the slot use the address.
    pub fn usable(&self, slot: u32, ca: Address) -> bool {
        let usable = self.usable.read();
        let usable = usable.unwrap_or_else(PoisonError::into_inner);
        usable.contains(&PortCaKey { slot, ca })
    }

    /// Counts the changes of what is usable.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Takes note of the tables that the programs have; whether something changed.
    pub fn settle(&self, tables: &TableImage) -> bool {
        let learning = tables.vports.values();
        let learning = learning.filter(|port| port.has(Vport::LEARNS));
        let domains: BTreeMap<u32, u32> = learning.map(|port| (port.slot, port.rdid)).collect();
        let all = tables.port_cas.iter().copied();
        let usable: BTreeSet<_> = all.filter(|key| domains.contains_key(&key.slot)).collect();
        let mut guard = self.usable.write().unwrap_or_else(PoisonError::into_inner);
        if **guard == usable {
            return false;
        }
        let mut inner = self.inner();
        for key in &usable {
            let rdid = domains.get(&key.slot).copied().unwrap_or(0);
            inner.learned.settled(rdid, IpAddr::from(key.ca));
        }
        *guard = Arc::new(usable);
        self.generation.fetch_add(1, Ordering::Release);
        true
    }

    /// The slot is nobody's any more.
    pub fn forget(&self, slot: u32) {
        self.inner().learned.forget(slot);
    }

    /// A thread that panicked with the lock left each claim whole.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tell(&mut self, directory: &Directory, found: &Found, why: Refusal, now: Instant) {
        let Some(quiet) = self.learned.speaks_of(found.slot, now) else {
            return;
        };
        let tenant = directory.tenants.get(&found.rdid);
        let network = tenant.map_or("?", |tenant| &*tenant.name);
        let (mac, ca, why) = (found.mac, found.ca, why.as_str());
        tracing::warn!(
            "VM network {network}: the port with MAC {mac} does not get {ca}: {why} ({quiet} more refused since the last such line)"
        );
    }
}

/// Addresses that the policy gives the port in the slot.
fn held(directory: &Directory, slot: u32) -> usize {
    let first = PortCaKey {
        slot,
        ca: Address::UNSPECIFIED,
    };
    let all = directory.tables.port_cas.range(first..);
    all.take_while(|key| key.slot == slot).count()
}

/// Who has the address, by the whole policy.
fn owner(directory: &Directory, rdid: u32, ca: IpAddr) -> Option<Owner> {
    let tables = &directory.tables;
    let record = tables.record(rdid, ca.into())?;
    if record.has(LookupRecord::GATEWAY) {
        return Some(Owner::Gateway);
    }
    let port = tables.vports.get(&record.ifindex);
    let here = port.filter(|port| record.has(LookupRecord::LOCAL) && port.mac == record.mac);
    Some(here.map_or(Owner::Other, |port| Owner::Port(port.slot)))
}

#[cfg(test)]
mod tests;
