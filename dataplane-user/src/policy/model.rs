//! The checked policy: what `validate` makes of documents, with typed values.
//!
//! Whoever holds a [`Policy`] may rely on every rule of `validate`.

use std::{collections::BTreeMap, net::IpAddr};

use dataplane_common::id::{Mac, Vsid};
use ipnet::IpNet;
use uuid::Uuid;

use super::{
    document::{Attach, InnerVlan, Mtu, Nvgre, PortMode, RecordType, TableMode},
    key::{Key, PortKey},
};

/// All objects, checked one by one and against each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How packets are encapsulated.
    pub nvgre: Nvgre,
    /// Hosts by name.
    pub hosts: BTreeMap<String, Host>,
    /// VM networks by name.
    pub networks: BTreeMap<String, VmNetwork>,
    /// Which VM network and which of its subnets a VSID is.
    pub vsids: BTreeMap<Vsid, SubnetRef>,
    /// Ports by VM network and name.
    pub ports: BTreeMap<PortKey, Port>,
    /// Lookup records that documents state, by VSID and CA.
    pub records: BTreeMap<(Vsid, IpAddr), LookupRecord>,
}

impl Policy {
    /// The subnet of a VSID and its VM network.
    pub fn subnet(&self, vsid: Vsid) -> Option<(&VmNetwork, &Subnet)> {
        let place = self.vsids.get(&vsid)?;
        let network = self.networks.get(&place.network)?;
        Some((network, network.subnets.get(place.subnet)?))
    }

    /// The host that has a PA.
    pub fn host_of(&self, pa: IpAddr) -> Option<&str> {
        let has = |host: &Host| host.addresses.iter().any(|a| a.address == pa);
        let mut hosts = self.hosts.iter();
        hosts.find(|(_, host)| has(host)).map(|(name, _)| &**name)
    }
}

/// A host (NVE).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its PAs, at least one; records of its ports point to the first.
    pub addresses: Vec<HostAddress>,
}

/// A PA of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAddress {
    /// The PA.
    pub address: IpAddr,
    /// The interface that bears it, if stated.
    pub interface: Option<String>,
}

/// A VM network: one routing domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmNetwork {
    /// The routing domain.
    pub rdid: Uuid,
    /// The customer's tag.
    pub customer: Option<Uuid>,
    /// How much of it a host's kernel holds.
    pub table_mode: TableMode,
    /// Its share of the slow path, beside those of other VM networks.
    pub slow_path_weight: u32,
    /// Its virtual subnets, in the document's order.
    pub subnets: Vec<Subnet>,
}

/// A virtual subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Name, unique in the VM network.
    pub name: String,
    /// Its VSID.
    pub vsid: Vsid,
    /// Its CA prefixes, host bits zero.
    pub prefixes: Vec<IpNet>,
    /// Its gateway CAs; defaults filled in.
    pub gateways: Vec<IpAddr>,
    /// What happens to VLAN tags of tenants.
    pub inner_vlan: InnerVlan,
    /// MTU of its ports.
    pub mtu: Mtu,
}

/// Where a VSID is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetRef {
    /// Name of the VM network.
    pub network: String,
    /// Index in its subnets.
    pub subnet: usize,
}

/// A VM's network adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The host that runs it.
    pub host: String,
    /// Its VSID.
    pub vsid: Vsid,
    /// Its MAC.
    pub mac: Mac,
    /// Its CAs, at least one.
    pub addresses: Vec<IpAddr>,
    /// The hook that takes its frames.
    pub mode: PortMode,
    /// Its device: `netns` with or without `interface`, or `interface` or `tap` alone.
    pub attach: Attach,
}

/// A lookup record that a document states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupRecord {
    /// Its VM network.
    pub network: String,
    /// The VM's MAC.
    pub mac: Mac,
    /// The PA of the VM's host.
    pub pa: IpAddr,
    /// Where it comes from.
    pub record_type: RecordType,
    /// Name of the VM, for people.
    pub vm_name: Option<String>,
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
    /// First PA of the port's host.
    pub pa: IpAddr,
}

impl DerivedRecord<'_> {
    /// Its identity, the same as that of a stated record.
    pub fn key(&self) -> Key {
        Key::LookupRecord(self.vsid.get(), self.ca)
    }
}

/// The lookup records of all ports, in the ports' order.
pub fn derived_records(policy: &Policy) -> impl Iterator<Item = DerivedRecord<'_>> {
    policy.ports.iter().flat_map(|(key, port)| {
        let host = policy.hosts.get(&port.host);
        let pa = host.and_then(|host| host.addresses.first());
        let record = move |ca: &IpAddr| {
            pa.map(|pa| DerivedRecord {
                port: key,
                vsid: port.vsid,
                ca: *ca,
                mac: port.mac,
                pa: pa.address,
            })
        };
        port.addresses.iter().filter_map(record)
    })
}
