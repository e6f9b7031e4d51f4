//! Lookup records, stated and derived, and customer routes.

use std::net::IpAddr;

use dataplane_common::id::{Mac, Vsid};
use ipnet::IpNet;

use super::Policy;
use crate::policy::{
    document::{RecordType, Rule},
    key::{Key, PortKey},
};

/// A lookup record of a station that a document states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupRecord {
    /// Its VM network.
    pub network: String,
    /// The VM's MAC.
    pub mac: Mac,
    /// The PA of the VM's host; with rule `TranslationMethodNat` the CA's own, of its family.
    pub pa: IpAddr,
    /// The subnet's filled in.
    pub rule: Rule,
    /// Whether its rewritten packets have its MAC on the underlay; with that rule only.
    pub use_vm_mac: bool,
    /// `Static`, or without that rule `Dynamic`.
    pub record_type: RecordType,
    /// Name of the VM, for people.
    pub vm_name: Option<String>,
}

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
