//! VM networks and their virtual subnets.

use std::net::IpAddr;

use dataplane_common::id::Vsid;
use ipnet::IpNet;
use uuid::Uuid;

use crate::policy::document::{InnerVlan, Mtu, Rule, TableMode};

/// A VM network: one routing domain, or what is kept apart in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmNetwork {
    /// The routing domain; nil, which no routing domain has, where it is not virtualized.
    pub rdid: Uuid,
    /// How it is kept apart from others.
    pub isolation: Isolation,
    /// The customer's tag.
    pub customer: Option<Uuid>,
    /// How much of it a host's kernel holds.
    pub table_mode: TableMode,
    /// Its share of the slow path, beside those of other VM networks.
    pub slow_path_weight: u32,
    /// Whether hosts route between its subnets and answer for gateways.
    pub distributed_router: bool,
    /// Its virtual subnets, in the document's order; none where it is not virtualized.
    pub subnets: Vec<Subnet>,
}

/// How a VM network is kept apart from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Its VMs are stations of the underlay.
    NoIsolation,
    /// NVGRE.
    #[default]
    NetworkVirtualization,
    /// A VLAN of the underlay.
    Vlan {
        /// VLAN ID, 1..=4094.
        id: u16,
        /// Its VMs send and get untagged frames; otherwise they tag them themselves.
        allow_untagged: bool,
    },
    /// Its frames are exchanged with an interface of the host.
    External {
        /// Its name.
        interface: String,
    },
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
    /// Its gateway CAs; defaults filled in. Without the distributed router a port may bear them.
    pub gateways: Vec<IpAddr>,
    /// How CAs of its ports are reached unless a port says otherwise. With
    /// `TranslationMethodNat` it has neither broadcast nor frames that are not IP.
    pub rule: Rule,
    /// What happens to VLAN tags of tenants.
    pub inner_vlan: InnerVlan,
    /// MTU of its ports.
    pub mtu: Mtu,
    /// What happens to broadcast and multicast frames.
    pub broadcast: Broadcast,
    /// Whether frames that are neither IP nor ARP are carried.
    pub non_ip: bool,
    /// Whether router solicitations are answered; it has an IPv6 prefix then.
    pub router_advertisement: bool,
}

/// How broadcast and multicast frames of a subnet are carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Broadcast {
    /// Not at all.
    #[default]
    None,
    /// One copy to each host with a port in the subnet.
    UnicastReplication,
    /// One copy to this multicast PA.
    Multicast(IpAddr),
}

/// Where a VSID is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetRef {
    /// Name of the VM network.
    pub network: String,
    /// Index in its subnets.
    pub subnet: usize,
}
