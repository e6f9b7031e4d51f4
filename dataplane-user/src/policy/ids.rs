//! Small host-local numbers that maps use in place of names.
//!
//! A number stays the same as long as its object lives, over restarts too: the
//! caller keeps [`Ids`] in the store, and [`Ids::adopt`] makes them agree with the
//! kernel's tables where the store lost them. Numbers differ between hosts.

mod adopt;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
};

use dataplane_common::{abi::stats::SLOTS, id::Mac};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{key::PortKey, model::Policy};

/// Why there is no number left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The counter arrays have no row left.
    #[error(
        "port {port} is one too many: a host has at most {max} ports; move some to another host"
    )]
    TooManyPorts {
        /// The port.
        port: PortKey,
        /// How many fit.
        max: u32,
    },
    /// The underlay table is full.
    #[error("provider address {pa} is one too many: a host knows at most {max} of them")]
    TooManyAddresses {
        /// The PA.
        pa: IpAddr,
        /// How many fit.
        max: u32,
    },
}

/// The numbers of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ids {
    /// Seed of the `FlowID` hash; random, set once by the caller.
    pub seed: u32,
    routing_domains: Pool<Uuid>,
    provider_addresses: Pool<IpAddr>,
    /// By `vmNetwork/name`.
    ports: Pool<String>,
}

/// Numbers from 1 without gaps: each is given out, free or held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pool<K: Ord> {
    numbers: BTreeMap<K, u32>,
    /// Given back, oldest first.
    #[serde(default)]
    free: VecDeque<u32>,
    /// In the kernel's tables for something that nobody knows any more; given to
    /// nobody until those tables are written.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    held: BTreeSet<u32>,
}

impl Ids {
    /// Largest PA index.
    pub const MAX_PA: u32 = 65_535;
    /// Largest port slot; slot 0 counts for the uplinks.
    pub const MAX_SLOT: u32 = SLOTS - 1;

    /// No numbers yet, and the seed of the host's `FlowID` hash.
    pub fn new(seed: u32) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Index of a routing domain, from 1.
    pub fn routing_domain(&mut self, rdid: Uuid) -> u32 {
        let pool = &mut self.routing_domains;
        let index = pool.free.front().copied().unwrap_or(pool.fresh());
        pool.number(rdid, index)
    }

    /// Index of a PA, from 1.
    pub fn provider_address(&mut self, pa: IpAddr) -> Result<u32, IdError> {
        let pool = &mut self.provider_addresses;
        let index = pool.free.front().copied().unwrap_or(pool.fresh());
        let max = Self::MAX_PA;
        if index > max && !pool.numbers.contains_key(&pa) {
            return Err(IdError::TooManyAddresses { pa, max });
        }
        Ok(pool.number(pa, index))
    }

    /// Slot of a port in the counter arrays, from 1. A slot that was never used
    /// comes first, then the one that is free for the longest time: a new port's
    /// counters should not continue those of one that left a moment ago.
    pub fn port_slot(&mut self, port: &PortKey) -> Result<u32, IdError> {
        let (pool, name, max) = (&mut self.ports, port.to_string(), Self::MAX_SLOT);
        let fresh = Some(pool.fresh()).filter(|slot| *slot <= max);
        match fresh.or(pool.free.front().copied()) {
            Some(slot) => Ok(pool.number(name, slot)),
            None => pool.numbers.get(&name).copied().ok_or_else(|| {
                let port = port.clone();
                IdError::TooManyPorts { port, max }
            }),
        }
    }

    /// The slot that a port has.
    pub fn slot_of(&self, port: &PortKey) -> Option<u32> {
        self.ports.numbers.get(&port.to_string()).copied()
    }

    /// The port in a slot, as `vmNetwork/name`.
    pub fn port_in(&self, slot: u32) -> Option<&str> {
        let mut ports = self.ports.numbers.iter();
        ports.find(|(_, s)| **s == slot).map(|(name, _)| &**name)
    }

    /// Gives back the numbers of what `host` no longer has. Call it after the
    /// tables that used them are gone from the kernel. Returns freed slots, whose
    /// counters the caller may clear.
    pub fn release(&mut self, policy: &Policy, host: &str) -> Vec<u32> {
        let domains = super::compile::domains_in_use(policy, host);
        let addresses = super::compile::pas_in_use(policy, host);
        let ours = policy.ports.iter().filter(|(_, port)| port.host == host);
        let plain = policy.plain_ports.iter();
        let plain = plain.filter(|(_, port)| port.host == host);
        let keys = ours.map(|(key, _)| key).chain(plain.map(|(key, _)| key));
        let ports: BTreeSet<String> = keys.map(ToString::to_string).collect();
        self.routing_domains.keep(|id| domains.contains(id));
        self.provider_addresses.keep(|pa| addresses.contains(pa));
        self.ports.keep(|name| ports.contains(name))
    }
}

impl<K: Ord> Pool<K> {
    fn fresh(&self) -> u32 {
        let known = self.numbers.len() + self.free.len() + self.held.len();
        u32::try_from(known + 1).unwrap_or(u32::MAX)
    }

    /// The key's number; `next` becomes it when it has none.
    fn number(&mut self, key: K, next: u32) -> u32 {
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        self.free.retain(|number| *number != next);
        self.numbers.insert(key, next);
        next
    }

    fn keep(&mut self, wanted: impl Fn(&K) -> bool) -> Vec<u32> {
        let gone = self.numbers.extract_if(.., |key, _| !wanted(key));
        let mut freed: Vec<u32> = gone.map(|(_, number)| number).collect();
        freed.extend(std::mem::take(&mut self.held));
        self.free.extend(&freed);
        freed
    }
}

impl<K: Ord> Default for Pool<K> {
    fn default() -> Self {
        Self {
            numbers: BTreeMap::new(),
            free: VecDeque::new(),
            held: BTreeSet::new(),
        }
    }
}

/// The gateway's MAC in a routing domain, the same on all hosts: locally
/// administered, unicast, the other 46 bits a hash (FNV-1a) of the GUID.
pub fn gateway_mac(rdid: Uuid) -> Mac {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = rdid.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, mix);
    let [_, _, mut mac @ ..] = (hash ^ (hash >> 48)).to_be_bytes();
    mac[0] = (mac[0] & !0b11) | 0b10;
    Mac(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stable_and_survive_the_store() {
        let mut ids = Ids::new(7);
        let (red, blue) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!((ids.routing_domain(red), ids.routing_domain(blue)), (1, 2));
        assert_eq!(ids.provider_address([192, 0, 2, 1].into()), Ok(1));
        assert_eq!(ids.port_slot(&PortKey::new("blue", "vm1")), Ok(1));
        let text = serde_json::to_string(&ids).unwrap();
        let mut back: Ids = serde_json::from_str(&text).unwrap();
        assert_eq!(back, ids);
        assert_eq!(
            (back.routing_domain(blue), back.routing_domain(red)),
            (2, 1)
        );
    }

    #[test]
    fn slots_run_out_with_a_message_and_are_reused_last() {
        let mut ids = Ids::new(0);
        for n in 1..Ids::MAX_SLOT {
            let port = PortKey::new("blue", format!("vm{n}"));
            assert_eq!(ids.port_slot(&port), Ok(n));
        }
        let freed = ids
            .ports
            .keep(|name| name != "blue/vm5" && name != "blue/vm3");
        assert_eq!(freed, [3, 5]);
        assert_eq!(ids.port_slot(&PortKey::new("red", "a")), Ok(1023));
        assert_eq!(ids.port_slot(&PortKey::new("red", "b")), Ok(3));
        assert_eq!(ids.port_slot(&PortKey::new("red", "c")), Ok(5));
        let error = ids.port_slot(&PortKey::new("red", "d")).unwrap_err();
        assert!(error.to_string().contains("port red/d is one too many"));
        assert_eq!(ids.port_slot(&PortKey::new("red", "b")), Ok(3));
        assert_eq!(ids.port_in(3), Some("red/b"));
    }

    #[test]
    fn gateway_macs_are_stations_of_our_own_making() {
        for n in 0..1000 {
            let mac = gateway_mac(Uuid::from_u128(n));
            assert!(mac.is_station() && mac.0[0] & 2 == 2, "{mac}");
            assert_ne!(mac, gateway_mac(Uuid::from_u128(n + 1)));
        }
    }
}
