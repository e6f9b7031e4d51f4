//! Lookup records, stated and derived, and customer routes.

use std::net::IpAddr;

use dataplane_common::id::{Mac, Vsid};
use ipnet::IpNet;

use super::Policy;
use crate::policy::{
    document::{RecordType, Rule},
    key::{Key, PortKey},
    records::Record,
};

/// A station that a document states by its MAC alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L2Record {
    /// Its VM network.
    pub network: String,
    /// The PA of the VM's host.
    pub pa: IpAddr,
    /// `TranslationMethodEncap` or `TranslationMethodNone`; the subnet's filled in.
    pub rule: Rule,
    /// Name of the VM, for people.
    pub vm_name: Option<String>,
}

/// A gateway that stands for all CAs of a family without a record of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayWildcard {
    /// Its VM network.
    pub network: String,
    /// The gateway's MAC; records of its own CAs have the same.
    pub mac: Mac,
    /// The PA of the gateway's host.
    pub pa: IpAddr,
    /// As of an [`L2Record`].
    pub rule: Rule,
    /// Name of the VM, for people.
    pub vm_name: Option<String>,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl From<IpAddr> for Family {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// A route of a VM network to what is outside its prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CustomerRoute {
    /// Subnet of the next hop.
    pub vsid: Vsid,
    /// Where to; host bits zero.
    pub prefix: IpNet,
    /// A CA inside the subnet, of the prefix's family.
    pub next_hop: IpAddr,
    /// The lowest is taken of those whose next hop is there.
    pub metric: u16,
}

/// A lookup record that follows from a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DerivedRecord<'p> {
    /// The port.
    pub port: &'p PortKey,
    /// VSID of the CA.
    pub vsid: Vsid,
    /// The CA.
    pub ca: IpAddr,
    /// The port's MAC.
    pub mac: Mac,
    /// The CA's own PA with rule `TranslationMethodNat`, else the first of the port's host.
    pub pa: IpAddr,
    /// The port's.
    pub rule: Rule,
    /// The port's host.
    pub host: &'p str,
    /// Whether the port's rewritten packets have its MAC on the underlay.
    pub use_vm_mac: bool,
}

impl DerivedRecord<'_> {
    /// Its identity, the same as that of a stated record.
    pub fn key(&self) -> Key {
        Key::LookupRecord(self.vsid.get(), self.ca)
    }
}

/// A lookup record that a document states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatedRecord {
    /// VSID of the CA.
    pub vsid: Vsid,
    /// The CA.
    pub ca: IpAddr,
    /// The VM's MAC.
    pub mac: Mac,
    /// The PA of the VM's host; with rule `TranslationMethodNat` the CA's own, of its family.
    pub pa: IpAddr,
    /// The subnet's filled in.
    pub rule: Rule,
    /// Whether its rewritten packets have its MAC on the underlay; with that rule only.
    pub use_vm_mac: bool,
}

impl Policy {
    /// The lookup records that documents state, by VSID and CA.
    pub fn stated(&self) -> impl Iterator<Item = StatedRecord> {
        let subnets = self.records.subnets().filter_map(Vsid::new);
        subnets.flat_map(|vsid| self.stated_in(vsid))
    }

    /// Those of a subnet.
    pub fn stated_in(&self, vsid: Vsid) -> impl Iterator<Item = StatedRecord> {
        let default = self.default_rule(vsid);
        let records = self.records.of(vsid.get());
        records.map(move |record| filled_in(vsid, &record, default))
    }

    /// The one of a CA.
    pub fn stated_at(&self, vsid: Vsid, ca: IpAddr) -> Option<StatedRecord> {
        let record = self.records.get((vsid.get(), ca))?;
        Some(filled_in(vsid, &record, self.default_rule(vsid)))
    }

    /// The subnets, PAs and rules of lookup records that documents state, each combination at least once.
    pub fn places(&self) -> impl Iterator<Item = (Vsid, IpAddr, Rule)> {
        let places = self.records.places().chunk_by(|one, two| one.0 == two.0);
        places.flat_map(|places| {
            let vsid = places.first().and_then(|place| Vsid::new(place.0));
            let default = vsid.map(|vsid| self.default_rule(vsid)).unwrap_or_default();
            let places = places.iter();
            places.filter_map(move |(_, pa, rule)| Some((vsid?, *pa, rule.unwrap_or(default))))
        })
    }

    fn default_rule(&self, vsid: Vsid) -> Rule {
        let subnet = self.subnet(vsid);
        subnet.map(|(_, subnet)| subnet.rule).unwrap_or_default()
    }
}

fn filled_in(vsid: Vsid, record: &Record<'_>, default: Rule) -> StatedRecord {
    StatedRecord {
        vsid,
        ca: record.ca,
        mac: record.mac,
        pa: record.pa,
        rule: record.rule(default),
        use_vm_mac: record.kind.use_vm_mac,
    }
}

/// The lookup records of all ports, in the ports' order. Those of `L2Only` ports are learned.
pub fn derived_records(policy: &Policy) -> impl Iterator<Item = DerivedRecord<'_>> {
    let ports = policy.ports.iter();
    let known = ports.filter(|(_, port)| port.record_type != RecordType::L2Only);
    known.flat_map(|(key, port)| {
        let host = policy.hosts.get(&port.host);
        let shared = host.and_then(|host| host.addresses.first());
        let shared = shared.map(|first| first.address);
        let record = move |(index, ca): (usize, &IpAddr)| {
            let own = port.own_pas.get(index).copied();
            Some(DerivedRecord {
                port: key,
                vsid: port.vsid,
                ca: *ca,
                mac: port.mac,
                pa: own.or(shared)?,
                rule: port.rule,
                host: &port.host,
                use_vm_mac: port.use_vm_mac,
            })
        };
        port.addresses.iter().enumerate().filter_map(record)
    })
}

#[cfg(test)]
mod tests;
