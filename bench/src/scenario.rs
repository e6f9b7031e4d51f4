//! What is asked of a path: the packets, the tables, and how the answer is read.

mod path;

use dataplane_common::reason::DropReason;
use serde::{Deserialize, Serialize};

pub use path::PathName;

/// What happens to a packet between source and sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// From a tenant into the underlay; counted at the far end of the underlay.
    Encap,
    /// From the underlay to a tenant; frames are born encapsulated.
    Decap,
    /// From a tenant of one host to a tenant of another.
    EncapDecap,
    /// From a tenant into the underlay, with PAs in place of its CAs.
    RewriteOut,
    /// From the underlay to a tenant, with CAs in place of the PAs that frames are born with.
    RewriteIn,
    /// From a tenant of one host to a tenant of another, with PAs in between.
    RewriteOutIn,
    /// From a tenant to another tenant of the same host.
    SameHost,
    /// From a tenant to nobody: counted where it is dropped.
    Drop(Refusal),
}

impl Work {
    /// Whether addresses are rewritten (`TranslationMethodNat`): each CA has a PA of its own.
    pub const fn rewrites(self) -> bool {
        matches!(
            self,
            Self::RewriteOut | Self::RewriteIn | Self::RewriteOutIn
        )
    }
}

/// What makes the dataplane drop every packet of a [`Work::Drop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The source MAC is not the port's.
    SpoofMac,
    /// The source CA is not the port's.
    SpoofCa,
    /// Nobody has the destination CA.
    NoLookupRecord,
}

impl Refusal {
    /// The reason that the dataplane counts.
    pub const fn reason(self) -> DropReason {
        match self {
            Self::SpoofMac => DropReason::SpoofMac,
            Self::SpoofCa => DropReason::SpoofCa,
            Self::NoLookupRecord => DropReason::NoLookupRecord,
        }
    }
}

/// Which of the records the packets ask for. No figure is published without it: with few hot keys
/// every table is fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keys {
    /// One record.
    OneHot,
    /// 1,024 records, evenly.
    ThousandHot,
    /// All records, the k-th most frequent with weight 1/k.
    Zipf,
    /// All records, evenly: the worst case.
    Uniform,
}

/// How packets are counted at the sink, and so in what form they arrive there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sink {
    /// A native XDP program on the last device: as a frame.
    Frame,
    /// A classifier on the last device: as an skb, as a tenant's stack gets it.
    Skb,
}

/// One set of conditions under which two paths are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// What happens to the packets.
    pub work: Work,
    /// Length of a tenant's frame without FCS, bytes, 60..=1514 (60 is 64 on a wire).
    pub frame: u16,
    /// Lookup records in the tables.
    pub records: u32,
    /// Which of them are asked for.
    pub keys: Keys,
    /// Queues of each device, and threads that generate, one a CPU.
    pub queues: u32,
    /// Records that are written again each second while packets flow; 0: none.
    pub updates_per_second: u32,
    /// Form in which packets arrive.
    pub sink: Sink,
}

impl Scenario {
    /// The plainest one: 64 bytes on a wire, 1,024 records, one queue.
    pub const PLAIN: Self = Self {
        work: Work::EncapDecap,
        frame: 60,
        records: 1024,
        keys: Keys::Uniform,
        queues: 1,
        updates_per_second: 0,
        sink: Sink::Frame,
    };
}

/// What is read at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Packets per second at the sink.
    PacketRate,
    /// Bits per second of so many TCP streams.
    TcpBulk(u32),
    /// Request and response of one byte over TCP: median of the round trips, microseconds.
    RoundTripP50,
    /// The same, 99th percentile.
    RoundTripP99,
}

/// Two paths under the same conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The conditions.
    pub scenario: Scenario,
    /// What is read.
    pub metric: Metric,
    /// What is measured.
    pub ours: PathName,
    /// What it is compared with, in the same kernel and run.
    pub twin: PathName,
}
