//! The checked policy: what `validate` makes of documents, with typed values.
//!
//! Whoever holds a [`Policy`] may rely on every rule of `validate`.

use std::{collections::BTreeMap, net::IpAddr};

use dataplane_common::id::{Mac, Vsid};

use super::{document::Nvgre, key::PortKey, records::Records};

mod network;
mod port;
mod record;

pub use network::{Broadcast, Isolation, Subnet, SubnetRef, VmNetwork};
pub use port::{PlainPort, Port};
pub use record::{
    CustomerRoute, DerivedRecord, Family, GatewayWildcard, L2Record, StatedRecord, derived_records,
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
    /// Ports in virtual subnets, by VM network and name.
    pub ports: BTreeMap<PortKey, Port>,
    /// Ports of VM networks that are not virtualized, by VM network and name.
    pub plain_ports: BTreeMap<PortKey, PlainPort>,
    /// Lookup records of stations that documents state, by VSID and CA.
    pub records: Records,
    /// Stations that documents state by their MAC alone, by VSID and MAC.
    pub l2_only: BTreeMap<(Vsid, Mac), L2Record>,
    /// Gateways that stand for all CAs of a family that have no record.
    pub wildcards: BTreeMap<(Vsid, Family), GatewayWildcard>,
    /// The multicast PA of a tenant's multicast group, by VSID and group.
    pub groups: BTreeMap<(Vsid, IpAddr), IpAddr>,
    /// Customer routes by VM network and name.
    pub routes: BTreeMap<(String, String), CustomerRoute>,
}

impl Policy {
    /// The subnet of a VSID and its VM network.
    pub fn subnet(&self, vsid: Vsid) -> Option<(&VmNetwork, &Subnet)> {
        let place = self.vsids.get(&vsid)?;
        let network = self.networks.get(&place.network)?;
        Some((network, network.subnets.get(place.subnet)?))
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
