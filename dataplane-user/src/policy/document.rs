//! The policy documents: these types are the YAML, the API and the stored form.
//!
//! Field names are those of the NetWNV cmdlets, in camelCase. Nothing here is
//! checked beyond its syntax; `validate` does that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod network;
mod port;
mod provider;
mod record;
mod scalar;

pub use network::{
    BroadcastMode, BroadcastSpec, InnerVlan, Isolation, Rule, TableMode, VirtualSubnetSpec,
    VlanSpec, VmNetworkSpec,
};
pub use port::{Attach, PortMode, PortSpec};
pub use provider::{
    FlowIdSource, ForeignGre, HostSpec, Nvgre, ProviderAddress, ProviderNetworkSpec,
};
pub use record::{CustomerRouteSpec, LookupRecordSpec, RecordType};
pub use scalar::{Dscp, MacAddress, MssClamp, Mtu};

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
    /// Where packets go that are for no virtual subnet of their routing domain.
    CustomerRoute(Envelope<CustomerRouteSpec>),
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
    /// Name, unique within its kind (a port's or route's: within its VM network). Optional for lookup records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The VM network that a Port, LookupRecord or CustomerRoute belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_network: Option<String>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
