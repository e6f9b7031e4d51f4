//! What the BPF maps of one host shall hold, as plain values.

use std::collections::{BTreeMap, BTreeSet};

use dataplane_common::{
    abi::{
        config::Config,
        flood::Flood,
        lookup::{LookupKey, LookupRecord},
        port_ca::PortCaKey,
        rewrite::RewriteEntry,
        route::RouteKey,
        underlay::NextHop,
        vport::{LocalPortKey, Vport},
        vsid::VirtualSubnet,
    },
    forward::{Answer, Tables},
    id::{Address, Mac},
};
use ipnet::IpNet;

use super::records::RecordTable;

/// The compiled policy of one host. Each field is one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableImage {
    /// `CONFIG`.
    pub config: Config,
    /// `VPORTS`, by ifindex.
    pub vports: BTreeMap<u32, Vport>,
    /// `PORT_CAS`.
    pub port_cas: BTreeSet<PortCaKey>,
    /// `LOCAL_PORTS`: ifindex by (VSID, MAC).
    pub local_ports: BTreeMap<LocalPortKey, u32>,
    /// `LOOKUP` and `LOOKUP6`.
    pub lookup: RecordTable,
    /// `MACS`.
    pub stations: BTreeMap<LocalPortKey, LookupRecord>,
    /// `ROUTES`.
    pub routes: BTreeMap<Prefix, LookupRecord>,
    /// `FLOODS`, by VSID.
    pub floods: BTreeMap<u32, Flood>,
    /// `UNDERLAY`, by PA index (from 1).
    pub underlay: BTreeMap<u32, NextHop>,
    /// `VSIDS`.
    pub subnets: BTreeMap<u32, VirtualSubnet>,
    /// `LOCAL_PAS`.
    pub local_pas: BTreeSet<Address>,
    /// `REWRITES`, by PA.
    pub rewrites: BTreeMap<Address, RewriteEntry>,
}

/// A key of `ROUTES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// Scope and address, what is behind the prefix zero.
    pub key: RouteKey,
    /// Bits of the key that count.
    pub bits: u32,
}

impl Prefix {
    /// A prefix of addresses in a scope.
    pub fn new(scope: u32, prefix: IpNet) -> Self {
        let bits = RouteKey::prefix_bits(prefix.addr().is_ipv4(), prefix.prefix_len());
        let key = RouteKey::new(scope, prefix.trunc().addr().into());
        Self { key, bits }
    }

    /// The prefix of so many bits that covers the key.
    fn covering(key: RouteKey, bits: u32) -> Self {
        let address = u128::from_be_bytes(key.ca.to_bytes());
        let behind = RouteKey::BITS.saturating_sub(bits);
        let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
        let mut covering = key;
        covering.ca = Address::v6((address & mask).to_be_bytes());
        Self {
            key: covering,
            bits,
        }
    }
}

impl Default for TableImage {
    fn default() -> Self {
        Self {
            config: Config::DEFAULT,
            vports: BTreeMap::new(),
            port_cas: BTreeSet::new(),
            local_ports: BTreeMap::new(),
            lookup: RecordTable::default(),
            stations: BTreeMap::new(),
            routes: BTreeMap::new(),
            floods: BTreeMap::new(),
            underlay: BTreeMap::new(),
            subnets: BTreeMap::new(),
            local_pas: BTreeSet::new(),
            rewrites: BTreeMap::new(),
        }
    }
}

impl TableImage {
    /// The lookup record of a CA in a routing domain.
    pub fn record(&self, rdid: u32, ca: Address) -> Option<LookupRecord> {
        self.lookup.get(&LookupKey { rdid, ca })
    }
}

impl Tables for TableImage {
    fn config(&self) -> Option<&Config> {
        Some(&self.config)
    }
    fn vport(&self, ifindex: u32) -> Option<&Vport> {
        self.vports.get(&ifindex)
    }
    fn port_has_ca(&self, slot: u32, ca: Address) -> bool {
        self.port_cas.contains(&PortCaKey { slot, ca })
    }
    fn local_port(&self, vsid: u32, mac: Mac) -> Option<u32> {
        self.local_ports.get(&LocalPortKey::new(vsid, mac)).copied()
    }
    fn lookup(&self, rdid: u32, ca: Address, record: &mut LookupRecord) -> Answer {
        let Some(found) = self.record(rdid, ca) else {
            return Answer::Absent;
        };
        *record = found;
        Answer::Found
    }
    fn route(&self, scope: u32, ca: Address) -> Option<&LookupRecord> {
        let key = RouteKey::new(scope, ca);
        let lengths = (RouteKey::prefix_bits(false, 0)..=RouteKey::BITS).rev();
        let mut prefixes = lengths.map(|bits| Prefix::covering(key, bits));
        prefixes.find_map(|prefix| self.routes.get(&prefix))
    }
    fn station(&self, vsid: u32, mac: Mac) -> Option<&LookupRecord> {
        self.stations.get(&LocalPortKey::new(vsid, mac))
    }
    fn flood(&self, vsid: u32) -> Option<&Flood> {
        self.floods.get(&vsid)
    }
    fn next_hop(&self, pa_index: u32) -> Option<&NextHop> {
        self.underlay.get(&pa_index)
    }
    fn subnet(&self, vsid: u32) -> Option<&VirtualSubnet> {
        self.subnets.get(&vsid)
    }
    fn is_local_pa(&self, pa: Address) -> bool {
        self.local_pas.contains(&pa)
    }
    fn rewrite(&self, pa: Address) -> Option<&RewriteEntry> {
        self.rewrites.get(&pa)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_of_the_scope_counts() {
        let mut image = TableImage::default();
        let mut put = |scope, prefix: &str, vsid| {
            let prefix = Prefix::new(scope, prefix.parse().expect("prefix"));
            image.routes.insert(prefix, LookupRecord::negative(vsid));
        };
        put(1, "0.0.0.0/0", 10);
        put(1, "10.0.0.0/8", 11);
        put(1, "10.1.0.0/16", 12);
        put(2, "10.1.2.0/24", 13);
        put(1, "::/0", 14);
        put(1, "fd00:1::/64", 15);
        let found = |scope, ca: &str| {
            let ca = ca.parse::<std::net::IpAddr>().expect("address");
            image.route(scope, ca.into()).map(|record| record.vsid)
        };
        assert_eq!(found(1, "10.1.2.3"), Some(12));
        assert_eq!(found(1, "10.2.2.3"), Some(11));
        assert_eq!(found(1, "192.0.2.1"), Some(10));
        assert_eq!(found(2, "10.1.2.3"), Some(13));
        assert_eq!(found(2, "10.2.2.3"), None);
        assert_eq!(found(1, "fd00:1::5"), Some(15));
        assert_eq!(found(1, "fd00:2::5"), Some(14));
        // IPv4 never takes the IPv6 default route.
        image.routes.retain(|prefix, _| prefix.bits == 32);
        assert_eq!(image.routes.len(), 1);
        assert_eq!(image.route(1, Address::v4([192, 0, 2, 1])), None);
    }
}
