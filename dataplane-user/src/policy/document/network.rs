//! `VMNetwork` and its virtual subnets.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Mtu;

/// Spec of a VMNetwork.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VmNetworkSpec {
    /// The customer's tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<Uuid>,
    /// The routing domain, with or without braces; what is not virtualized needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_domain_id: Option<Uuid>,
    /// How tenants are kept apart.
    #[serde(default)]
    pub isolation: Isolation,
    /// The VLAN of isolation `VLAN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<VlanSpec>,
    /// The interface of isolation `External`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_interface: Option<String>,
    /// Whether hosts route between its virtual subnets.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub distributed_router: bool,
    /// How much of the domain a host holds.
    #[serde(default)]
    pub table_mode: TableMode,
    /// Its share of a host's slow path, beside those of other VM networks; 1 to 100.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub slow_path_weight: u32,
    /// Its virtual subnets; what is not virtualized has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub virtual_subnets: Vec<VirtualSubnetSpec>,
}

/// A VLAN of the underlay that a VM network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VlanSpec {
    /// VLAN ID; 1..=4094 is valid.
    pub id: u16,
    /// Whether its VMs send and get untagged frames, which have the VLAN's tag on the underlay.
    #[serde(default = "yes")]
    pub allow_untagged: bool,
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_yes(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) const fn is_no(value: &bool) -> bool {
    !*value
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_one(weight: &u32) -> bool {
    *weight == 1
}

/// Isolation of a VM network (HNV's words).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// None: VMs are stations of the underlay.
    NoIsolation,
    /// NVGRE.
    #[default]
    NetworkVirtualization,
    /// 802.1Q.
    #[serde(rename = "VLAN")]
    Vlan,
    /// By what is behind an interface.
    External,
}

impl Isolation {
    /// As in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoIsolation => "NoIsolation",
            Self::NetworkVirtualization => "NetworkVirtualization",
            Self::Vlan => "VLAN",
            Self::External => "External",
        }
    }
}

/// How much of a routing domain a host with a port in it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TableMode {
    /// All records.
    #[default]
    Full,
    /// The records in use.
    OnDemand,
}

/// A virtual subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VirtualSubnetSpec {
    /// Name, unique in the VM network.
    pub name: String,
    /// VSID; 4096..=16777214 is valid.
    pub virtual_subnet_id: u32,
    /// Its CA prefixes.
    pub prefixes: Vec<IpNet>,
    /// Gateway CAs; the lowest host address of each prefix when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateway: Vec<IpAddr>,
    /// Rule of its records unless they say otherwise.
    #[serde(default)]
    pub rule: Rule,
    /// What happens to VLAN tags of tenants.
    #[serde(default)]
    pub inner_vlan: InnerVlan,
    /// MTU of its ports.
    #[serde(default)]
    pub mtu: Mtu,
    /// What happens to broadcast and multicast frames.
    #[serde(default, skip_serializing_if = "BroadcastSpec::is_none")]
    pub broadcast: BroadcastSpec,
    /// Whether frames that are neither IP nor ARP are carried.
    #[serde(default, rename = "allowNonIP", skip_serializing_if = "is_no")]
    pub allow_non_ip: bool,
    /// Whether hosts answer router solicitations (RFC 4861, section 6.2.6).
    #[serde(default, skip_serializing_if = "is_no")]
    pub router_advertisement: bool,
}

/// Broadcast and multicast in a virtual subnet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BroadcastSpec {
    /// How they are carried.
    #[serde(default)]
    pub mode: BroadcastMode,
    /// The multicast PA of mode `multicast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<IpAddr>,
}

impl BroadcastSpec {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How broadcast and multicast frames are carried (RFC 7637, section 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BroadcastMode {
    /// Not at all.
    #[default]
    None,
    /// One copy to each host with a port in the subnet.
    UnicastReplication,
    /// One copy to a multicast PA.
    Multicast,
}

/// How a record's CA is reached (NetWNV's words).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub enum Rule {
    /// Encapsulation (NVGRE).
    #[default]
    TranslationMethodEncap,
    /// Rewriting of CA to PA.
    TranslationMethodNat,
    /// Neither.
    TranslationMethodNone,
}

/// What happens to a VLAN tag on a tenant's frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InnerVlan {
    /// It is removed (RFC 7637).
    #[default]
    Strip,
    /// The frame is dropped.
    Drop,
}
