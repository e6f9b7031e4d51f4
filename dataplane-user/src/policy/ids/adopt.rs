//! Numbers that agree with tables in the kernel.
//!
//! A number that came to mean something else would, while the tables change entry by
//! entry, send one PA's packets to another, or count one port's packets as another's.
//! So an agent that finds tables takes every number in them for what it means there.
//! Where that cannot be told, or the store says otherwise, the number is held: what it
//! was for gets a new one, and it is free when nothing in the tables uses it any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use dataplane_common::{
    abi::{underlay::NextHop, vport::Vport},
    id::Vsid,
};
use uuid::Uuid;

use super::{Ids, Pool};
use crate::policy::{
    model::{Isolation, Policy},
    table_image::TableImage,
};

/// Numbers in the kernel's tables, and what each is for, if that can be told.
type Seen<K> = BTreeMap<u32, Option<K>>;

impl Ids {
    /// Makes the numbers those that the kernel's tables use. Call it before the first
    /// [`compile`](crate::policy::compile()) against tables of somebody else's making.
    pub fn adopt(&mut self, image: &TableImage, policy: &Policy, host: &str) {
        if image.underlay.is_empty() && image.subnets.is_empty() && image.vports.is_empty() {
            return;
        }
        self.seed = image.config.seed;
        self.provider_addresses.adopt(&addresses(image));
        self.routing_domains.adopt(&domains(image, policy));
        self.ports.adopt(&ports(image, policy, host));
    }
}

impl<K: Ord + Clone> Pool<K> {
    fn adopt(&mut self, seen: &Seen<K>) {
        let last = seen.keys().next_back().copied().unwrap_or(0);
        let last = last.max(self.fresh() - 1);
        let mut pool = Self::default();
        let agrees = |key: &K, number: u32| {
            let there = seen.get(&number);
            there.is_none_or(|there| there.as_ref() == Some(key))
        };
        let saved = std::mem::take(&mut self.numbers);
        let known: BTreeSet<u32> = saved.values().copied().collect();
        pool.numbers.extend(
            saved
                .into_iter()
                .filter(|(key, number)| agrees(key, *number)),
        );
        let taken: BTreeSet<u32> = pool.numbers.values().copied().collect();
        for (number, key) in seen.iter().filter(|(number, _)| !taken.contains(number)) {
            // What the store has for something else is nobody's to tell.
            let key = key.as_ref().filter(|_| !known.contains(number));
            match key.filter(|key| pool.give_up(key, seen)) {
                Some(key) => drop(pool.numbers.insert(key.clone(), *number)),
                None => drop(pool.held.insert(*number)),
            }
        }
        pool.free = self.unused(&pool, last).into();
        *self = pool;
    }

    /// Whether a key has no number in the tables; one that it has elsewhere is given up.
    fn give_up(&mut self, key: &K, seen: &Seen<K>) -> bool {
        match self.numbers.get(key) {
            Some(number) if seen.contains_key(number) => false,
            _ => {
                self.numbers.remove(key);
                true
            }
        }
    }

    /// The numbers up to `last` that a pool has no use for; those that were free
    /// before come first, in their order.
    fn unused(&self, pool: &Self, last: u32) -> Vec<u32> {
        let used: BTreeSet<u32> = pool.numbers.values().chain(&pool.held).copied().collect();
        let mut free: Vec<u32> = (1..=last).filter(|number| !used.contains(number)).collect();
        let age: BTreeMap<u32, usize> = self.free.iter().copied().zip(0..).collect();
        free.sort_by_key(|number| age.get(number).copied().unwrap_or(usize::MAX));
        free
    }
}

fn addresses(image: &TableImage) -> Seen<IpAddr> {
    let address = |hop: &NextHop| IpAddr::from(hop.pa).to_canonical();
    let records = image.lookup.values().map(|record| record.pa_index);
    let records = records.filter(|index| *index != 0);
    let mut seen: Seen<IpAddr> = records.map(|index| (index, None)).collect();
    let hops = image.underlay.iter();
    seen.extend(hops.map(|(index, hop)| (*index, Some(address(hop)))));
    seen
}

/// A routing domain is known by its VSIDs.
fn domains(image: &TableImage, policy: &Policy) -> Seen<Uuid> {
    let subnets = image.subnets.iter();
    let subnets = subnets.map(|(vsid, subnet)| (subnet.rdid, *vsid));
    let vports = image.vports.values();
    let vports = vports.filter(|vport| !vport.has(Vport::PLAIN));
    let vports = vports.map(|vport| (vport.rdid, vport.vsid));
    let records = image.lookup.iter();
    let records = records.map(|(key, record)| (key.rdid, record.vsid));
    let rdid = |vsid: u32| Some(policy.subnet(Vsid::new(vsid)?)?.0.rdid);
    let found = subnets.chain(vports).chain(records);
    unanimous(found.map(|(index, vsid)| (index, rdid(vsid))))
}

/// Whether one of the vport's first CAs is among these; or there are none, because they are learned.
fn has_any(addresses: &[IpAddr], vport: &Vport) -> bool {
    let mut own = vport.cas.iter().map(|ca| IpAddr::from(*ca));
    addresses.is_empty() || own.any(|ca| addresses.contains(&ca))
}

/// A port is known by its VSID, MAC and CA.
fn ports(image: &TableImage, policy: &Policy, host: &str) -> Seen<String> {
    let same = |vport: &Vport| {
        let mut ports = policy.ports.iter().filter(|(_, port)| port.host == host);
        let found = ports.find(|(_, port)| {
            port.vsid.get() == vport.vsid
                && port.mac == vport.mac
                && has_any(&port.addresses, vport)
        });
        found.map(|(key, _)| key.to_string())
    };
    let same = |vport: &Vport| {
        if vport.has(Vport::PLAIN) {
            same_plain(vport, policy, host)
        } else {
            same(vport)
        }
    };
    let vports = image.vports.values().map(|vport| (vport.slot, same(vport)));
    let rest = image.port_cas.iter().map(|key| (key.slot, None));
    unanimous(vports.chain(rest))
}

/// A port that is not virtualized is known by its isolation and MAC, if no other has both.
fn same_plain(vport: &Vport, policy: &Policy, host: &str) -> Option<String> {
    let isolated = |isolation: &Isolation| match isolation {
        Isolation::NetworkVirtualization => false,
        Isolation::NoIsolation => vport.has(Vport::PASSES),
        Isolation::Vlan { id, .. } => vport.has(Vport::TAGS) && vport.vlan == *id,
        Isolation::External { .. } => vport.has(Vport::EXTERNAL),
    };
    let ports = policy.plain_ports.iter();
    let mut found = ports.filter(|(_, port)| {
        let network = policy.networks.get(&port.network);
        port.host == host
            && port.mac == vport.mac
            && network.is_some_and(|network| isolated(&network.isolation))
    });
    let (key, _) = found.next()?;
    found.next().is_none().then(|| key.to_string())
}

/// What each number is for, where nobody contradicts.
fn unanimous<K: Ord>(told: impl Iterator<Item = (u32, Option<K>)>) -> Seen<K> {
    let mut all: BTreeMap<u32, BTreeSet<K>> = BTreeMap::new();
    for (number, key) in told {
        all.entry(number).or_default().extend(key);
    }
    let single = |mut keys: BTreeSet<K>| {
        let first = keys.pop_first();
        first.filter(|_| keys.is_empty())
    };
    let all = all.into_iter();
    all.map(|(number, keys)| (number, single(keys))).collect()
}

#[cfg(test)]
mod tests;
