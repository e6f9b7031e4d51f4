//! `LookupRecord` and `CustomerRoute`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{MacAddress, Rule, network::is_no};

/// Spec of a LookupRecord.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LookupRecordSpec {
    /// VSID of the CA's subnet.
    pub virtual_subnet_id: u32,
    /// The CA; unspecified (`0.0.0.0`, `::`) where the type has none.
    pub customer_address: IpAddr,
    /// The VM's MAC.
    pub mac_address: MacAddress,
    /// The PA of its host; the CA's own with rule `TranslationMethodNat`.
    pub provider_address: IpAddr,
    /// How it is reached; the subnet's rule when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// As of a Port.
    #[serde(default, rename = "useVmMACAddress", skip_serializing_if = "is_no")]
    pub use_vm_mac_address: bool,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Hash)]
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

impl RecordType {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(super) fn is_static(&self) -> bool {
        *self == Self::Static
    }
}

/// Spec of a CustomerRoute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomerRouteSpec {
    /// VSID of the next hop's subnet.
    pub virtual_subnet_id: u32,
    /// Where to.
    pub destination_prefix: IpNet,
    /// The CA that it goes through.
    pub next_hop: IpAddr,
    /// The lowest is taken of those whose next hop is there.
    #[serde(default)]
    pub metric: u16,
}
