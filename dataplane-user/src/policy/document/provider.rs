//! `ProviderNetwork` and `Host`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Dscp;

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
