//! `Port`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{MacAddress, MssClamp, RecordType, Rule, network::is_no};

/// Spec of a Port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortSpec {
    /// Name of the Host that runs it.
    pub host: String,
    /// Its VSID; absent where the VM network is not virtualized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_subnet_id: Option<u32>,
    /// Its MAC.
    pub mac_address: MacAddress,
    /// Its CAs; none where they are learned, or the VM network is not virtualized.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub customer_addresses: Vec<IpAddr>,
    /// Where its lookup records come from: `Static` or `L2Only` is valid.
    #[serde(default, skip_serializing_if = "RecordType::is_static")]
    pub record_type: RecordType,
    /// How its CAs are reached; the subnet's rule when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// PAs that stand for its CAs, one each in the same order; with rule
    /// `TranslationMethodNat`, and always then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provider_addresses: Vec<IpAddr>,
    /// Whether its rewritten packets have its MAC on the underlay, not that of the host's interface.
    #[serde(default, rename = "useVmMACAddress", skip_serializing_if = "is_no")]
    pub use_vm_mac_address: bool,
    /// What TCP connections through it are told to take as the largest segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mss_clamp: Option<MssClamp>,
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
