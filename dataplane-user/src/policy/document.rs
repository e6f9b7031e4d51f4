//! The policy documents: these types are the YAML, the API and the stored form.
//!
//! Field names are those of the NetWNV cmdlets, in camelCase. Nothing here is
//! checked beyond its syntax; `validate` does that.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

mod scalar;

pub use scalar::{Dscp, MacAddress, Mtu};

/// One policy document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Document {
    /// Settings of the provider address space.
    ProviderNetwork(Envelope<ProviderNetworkSpec>),
    /// A host (NVE) and its provider addresses.
    Host(Envelope<HostSpec>),
    /// A routing domain and its virtual subnets.
    VMNetwork(Envelope<VmNetworkSpec>),
    /// A VM's network adapter; its lookup records are derived.
    Port(Envelope<PortSpec>),
    /// A lookup record of a VM that has no Port document here.
    LookupRecord(Envelope<LookupRecordSpec>),
}

/// What all documents have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope<S> {
    /// Version of the format.
    pub api_version: ApiVersion,
    /// Who it is.
    pub metadata: Metadata,
    /// What it says.
    pub spec: S,
}

/// The one version there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiVersion {
    /// `nve/v1`.
    #[default]
    #[serde(rename = "nve/v1")]
    V1,
}

/// Name and labels of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Name, unique within its kind (a port's: within its VM network). Optional for lookup records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The VM network that a Port or LookupRecord belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_network: Option<String>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Spec of a ProviderNetwork.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProviderNetworkSpec {
    /// How packets are encapsulated.
    pub nvgre: Nvgre,
}

/// Settings of NVGRE encapsulation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Nvgre {
    /// Where the FlowID comes from.
    pub flow_id: FlowIdSource,
    /// TTL of the outer header, 1..=255.
    pub outer_ttl: u8,
    /// DSCP of the outer header.
    pub dscp: Dscp,
    /// What happens to GRE to our PAs that is not NVGRE.
    pub foreign_gre: ForeignGre,
}

impl Default for Nvgre {
    fn default() -> Self {
        Self {
            flow_id: FlowIdSource::Hash,
            outer_ttl: 64,
            dscp: Dscp::Copy,
            foreign_gre: ForeignGre::Pass,
        }
    }
}

/// Source of the FlowID (RFC 7637, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FlowIdSource {
    /// From the inner 5-tuple.
    Hash,
    /// Zero.
    None,
}

/// What happens to GRE that is not NVGRE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ForeignGre {
    /// The host's stack gets it.
    Pass,
    /// It is dropped and counted.
    Drop,
}

/// Spec of a Host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostSpec {
    /// Its provider addresses; the first is the one its ports' records point to.
    pub provider_addresses: Vec<ProviderAddress>,
}

/// One provider address of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderAddress {
    /// The PA.
    pub address: IpAddr,
    /// The interface that bears it; found by the address when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

/// Spec of a VMNetwork.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VmNetworkSpec {
    /// The customer's tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<Uuid>,
    /// The routing domain, with or without braces.
    pub routing_domain_id: Uuid,
    /// How tenants are kept apart.
    #[serde(default)]
    pub isolation: Isolation,
    /// How much of the domain a host holds.
    #[serde(default)]
    pub table_mode: TableMode,
    /// Its share of a host's slow path, beside those of other VM networks; 1 to 100.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub slow_path_weight: u32,
    /// Its virtual subnets.
    pub virtual_subnets: Vec<VirtualSubnetSpec>,
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
    /// None.
    NoIsolation,
    /// NVGRE.
    #[default]
    NetworkVirtualization,
    /// 802.1Q.
    #[serde(rename = "VLAN")]
    Vlan,
    /// By something else.
    External,
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
    /// Gateway CAs; the lowest address of each prefix when empty.
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
}

/// How a record's CA is reached (NetWNV's words).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// Spec of a Port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortSpec {
    /// Name of the Host that runs it.
    pub host: String,
    /// Its VSID.
    pub virtual_subnet_id: u32,
    /// Its MAC.
    pub mac_address: MacAddress,
    /// Its CAs.
    pub customer_addresses: Vec<IpAddr>,
    /// Where its frames are taken.
    #[serde(default)]
    pub mode: PortMode,
    /// Its device.
    pub attach: Attach,
}

/// The hook that takes a port's frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PortMode {
    /// TC: frames may be super-packets with partial checksums.
    #[default]
    Tc,
    /// XDP: frames are complete (generators, user-space stacks).
    Xdp,
}

/// A port's device: exactly one of `netns`, `interface` alone, or `tap`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attach {
    /// A veth into this network namespace; `interface` names its end there (default eth0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<String>,
    /// An existing device, or with `netns` the name inside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// A persistent tap to make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tap: Option<String>,
}

impl Attach {
    /// The name of a device on the host that it asks for.
    pub fn host_device(&self) -> Option<&str> {
        let interface = self.interface.as_deref();
        self.tap
            .as_deref()
            .or(interface.filter(|_| self.netns.is_none()))
    }
}

/// Spec of a LookupRecord.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LookupRecordSpec {
    /// VSID of the CA's subnet.
    pub virtual_subnet_id: u32,
    /// The CA.
    pub customer_address: IpAddr,
    /// The VM's MAC.
    pub mac_address: MacAddress,
    /// The PA of its host.
    pub provider_address: IpAddr,
    /// How it is reached; the subnet's rule when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// Where it comes from.
    #[serde(default, rename = "type")]
    pub record_type: RecordType,
    /// Name of the VM, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_name: Option<String>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// Type of a lookup record (NetWNV's words).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordType {
    /// Written by the operator.
    #[default]
    Static,
    /// Learned.
    Dynamic,
    /// Known by MAC only.
    L2Only,
    /// Whatever a gateway stands for.
    GatewayWildcard,
}
