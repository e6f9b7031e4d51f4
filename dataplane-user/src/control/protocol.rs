//! Types of the control API, version `nve/v1`.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/version` | [`Version`] |
//! | `GET /v1/status` | [`Status`] |
//! | `POST /v1/apply[?dryRun=true]`, body NDJSON: one [`Document`] a line | [`ApplyReport`]; 422 [`Problems`] |
//! | `GET /v1/objects/{kind}` | [`ObjectList`] |
//! | `GET /v1/objects/{kind}/{name}`, `?vmNetwork=NAME` for ports and routes | [`ObjectView`]; 404 |
//! | `DELETE` of the same | [`ApplyReport`]; 404, 409 while other objects refer to it |
//! | `GET /v1/drops`, `GET /v1/counters` | [`DropList`], [`CounterList`] |
//! | `GET /v1/upcalls` | [`UpcallList`] |
//! | `POST /v1/slow-path/restart` | [`Restarted`] |
//! | `POST /v1/unload` | [`Unloaded`]; then the agent stops |
//!
//! `{kind}` is one of [`KINDS`]. Every error body is [`Problems`]; 403 is for readers
//! that would write, 503 for an agent that is full or stopping, 507 for a store that
//! does not take a change. A lookup
//! record's name is `VSID/CA`, or `VSID/MAC` of type `L2Only`, percent-encoded in paths.

mod upcalls;

use serde::{Deserialize, Serialize};

pub use self::upcalls::{
    Frames, Latency, QueueStatus, Restarted, SlowPathStatus, UpcallCount, UpcallList,
};
use crate::policy::document::{ApiVersion, Document};

/// The kinds, as in documents.
pub const KINDS: [&str; 6] = [
    "ProviderNetwork",
    "Host",
    "VMNetwork",
    "Port",
    "LookupRecord",
    "CustomerRoute",
];

/// What is wrong, one entry a fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problems {
    /// The faults.
    pub problems: Vec<Problem>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The object, as `kind/name`; empty when it concerns none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// Index of the document in the request, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// Path of the field, as `spec.virtualSubnets[0].prefixes[1]`; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What is wrong, lower case, with the value.
    pub message: String,
    /// What to do; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Of the API.
    pub api_version: ApiVersion,
    /// Of nved.
    pub version: String,
    /// Of the map layout.
    pub abi_version: u32,
    /// The kernel's release.
    pub kernel: String,
}

/// Health of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Of the API.
    pub api_version: ApiVersion,
    /// Version of nved.
    pub version: String,
    /// Name of this host.
    pub host: String,
    /// Whether everything that is asked for works.
    pub ready: bool,
    /// Why not; one sentence each, with the object's name.
    pub conditions: Vec<String>,
    /// Seconds since the agent started.
    pub uptime_seconds: u64,
    /// Revision of the store that the tables were compiled from.
    pub revision: u64,
    /// Generation of the committed table image.
    pub generation: u64,
    /// The uplinks.
    pub uplinks: Vec<UplinkStatus>,
    /// This host's ports.
    pub ports: Vec<PortStatus>,
    /// PAs in use and how the underlay reaches them.
    pub provider_addresses: Vec<PaStatus>,
    /// Entries in the kernel's tables.
    pub tables: TableSizes,
    /// The way of packets that the programs leave to user space.
    #[serde(default)]
    pub slow_path: SlowPathStatus,
}

/// An uplink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UplinkStatus {
    /// Interface.
    pub interface: String,
    /// Hooks in use: `tc`, or `xdp+tc`.
    pub mode: String,
    /// Driver.
    pub driver: String,
    /// MTU, bytes.
    pub mtu: u32,
    /// Programs of somebody else on it, as `name (id 17) at tcx, before nve`.
    #[serde(default)]
    pub others: Vec<String>,
}

/// A port of this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortStatus {
    /// VM network.
    pub vm_network: String,
    /// Name.
    pub name: String,
    /// `Ready`, or `Pending: why`.
    pub state: String,
    /// Device on the host; empty while pending.
    pub interface: String,
    /// Its index; 0 while pending.
    pub ifindex: u32,
    /// `tc` or `xdp`.
    pub mode: String,
    /// MTU, bytes.
    pub mtu: u16,
}

/// A PA in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaStatus {
    /// The PA.
    pub address: String,
    /// `local`, `notAttached` (of a port here that has no device), `resolved`, `noNeighbour` or
    /// `noRoute`.
    pub state: String,
    /// Interface towards it.
    pub interface: String,
    /// Next hop's MAC; of the PA of a port here its own on the underlay.
    pub mac: String,
    /// Path MTU, bytes.
    pub path_mtu: u16,
}

/// Entries in the kernel's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableSizes {
    /// Ports.
    pub vports: usize,
    /// Virtual subnets.
    pub subnets: usize,
    /// Lookup records, gateways included.
    pub lookup_records: usize,
    /// PAs.
    pub underlay: usize,
}

/// What an apply or delete did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyReport {
    /// Of the API.
    pub api_version: ApiVersion,
    /// Object by object, in the order of the request.
    pub changes: Vec<Change>,
    /// Revision after it.
    pub revision: u64,
}

/// What happened to one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// `kind/name`.
    pub object: String,
    /// What.
    pub action: Action,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// It is new.
    Created,
    /// It changed.
    Configured,
    /// It was so already.
    Unchanged,
    /// It is gone.
    Deleted,
}

/// Objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectList {
    /// Of the API.
    pub api_version: ApiVersion,
    /// `PortList` and the like.
    pub kind: String,
    /// The objects, by name.
    pub items: Vec<ObjectView>,
}

/// An object and what became of it here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectView {
    /// The document; a derived lookup record has one too.
    pub document: Document,
    /// What became of it.
    pub status: ObjectStatus,
}

/// What became of an object on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStatus {
    /// Store revision of its last change; 0 for a derived one.
    pub revision: u64,
    /// `Ready`, `Pending: why`, `Remote` (a port of another host), `Unused` (nothing here needs it).
    pub state: String,
    /// The port that a lookup record is derived from, as `vmNetwork/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derived_from: Option<String>,
    /// A port's device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

/// Drops of the dataplane and of the slow path, zero counts left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DropList {
    /// Of the API.
    pub api_version: ApiVersion,
    /// `DropList`.
    pub kind: String,
    /// The counts.
    pub items: Vec<DropCount>,
}

/// One count of drops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DropCount {
    /// `vmNetwork/name`, `uplink`, or `-` for a device that is no port.
    pub port: String,
    /// `egress` or `ingress`.
    pub direction: String,
    /// Name of the reason.
    pub reason: String,
    /// One sentence about it.
    pub description: String,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Of the packets, those that ended in user space, where the programs had left them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub in_user_space: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Counters of the dataplane, zero counts left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CounterList {
    /// Of the API.
    pub api_version: ApiVersion,
    /// `CounterList`.
    pub kind: String,
    /// The counts.
    pub items: Vec<CounterCount>,
}

/// One counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CounterCount {
    /// `vmNetwork/name`, or `uplink`.
    pub port: String,
    /// Name, such as `egress_encapped`.
    pub counter: String,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What unload removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unloaded {
    /// Programs detached, as `interface hook`.
    pub detached: Vec<String>,
    /// Pins removed.
    pub pins: usize,
    /// Devices of ours removed.
    pub devices: Vec<String>,
}
