//! What the slow path tells: its queues, and what it did for each tenant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::document::ApiVersion;

/// The way of packets that the programs leave to user space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowPathStatus {
    /// The queues that packets come from.
    pub queues: Vec<QueueStatus>,
    /// Packets that were meant to end in user space, those of the underlay that told of paths
    /// included.
    pub consumed: u64,
    /// Records in the kernel's tables because packets use them (`tableMode: onDemand`).
    pub records_in_use: usize,
    /// Answers in the kernel's tables that nobody has an address.
    pub negative_answers: usize,
}

/// A queue of a device, which has a worker with a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// The device: an end of the upcall pair, or an uplink with XDP.
    pub interface: String,
    /// Its receive queue, from 0.
    pub queue: u32,
    /// How frames come: `copy`, `zeroCopy`, or `none` while there is no socket.
    pub mode: String,
    /// Sockets that were opened after the first.
    pub restarts: u64,
    /// Why there is no socket, or why the last one ended; empty when nothing happened.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trouble: String,
    /// Frames of the memory that the socket shares with the kernel, a moment ago.
    pub frames: Frames,
    /// Packets that wait for an answer.
    pub held: usize,
    /// Packets that the kernel had for the queue's sockets and no room in their rings; they are
    /// lost, and counted here alone.
    pub refused: u64,
}

/// Frames by who has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Frames {
    /// All there are.
    pub all: usize,
    /// Nobody's.
    pub free: usize,
    /// The kernel's, to receive into, and received but not looked at yet.
    pub receiving: usize,
    /// The kernel's, to send, or waiting for it.
    pub sending: usize,
    /// Missing, now and when sockets of this queue were closed: 0, unless something is wrong.
    pub lost: u64,
}

/// What the slow path did for each tenant since the start of nved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpcallList {
    /// Of the API.
    pub api_version: ApiVersion,
    /// `UpcallList`.
    pub kind: String,
    /// A tenant each, by name.
    pub items: Vec<UpcallCount>,
}

/// A tenant's upcalls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpcallCount {
    /// VM network.
    pub vm_network: String,
    /// Its share, beside those of the others.
    pub weight: u32,
    /// Packets that came to user space, all reasons.
    pub punted: u64,
    /// Of these, by reason: `MISS`, `SOURCE_MISS`, `OVERSIZE`, `ENCAPSULATED`; zero counts left out.
    pub punts: BTreeMap<String, u64>,
    /// Packets a second that come to user space, over the last seconds.
    pub rate: u64,
    /// Packets that wait for an answer now.
    pub held: usize,
    /// Packets that were given back to the programs; one that was cut counts once a piece.
    pub reinjected: u64,
    /// Packets whose sender got an answer: an ICMP error, and each of those is dropped, too; or
    /// what it asked for.
    pub answered: u64,
    /// Packets that were meant to end in user space: questions with an answer, broadcasts of which
    /// copies went on.
    pub consumed: u64,
    /// Packets that ended in user space, all reasons.
    pub dropped: u64,
    /// Of these, by drop reason; zero counts left out.
    pub drops: BTreeMap<String, u64>,
    /// From a packet's arrival in user space until it was given back; none while none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Records in the kernel's tables because packets use them.
    pub records_in_use: usize,
    /// Answers in the kernel's tables that nobody has an address.
    pub negative_answers: usize,
}

/// A distribution of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// Median.
    pub p50_microseconds: u64,
    /// 99th percentile.
    pub p99_microseconds: u64,
}

/// What a restart of the slow path did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restarted {
    /// Workers that were told to end; others take their places.
    pub workers: usize,
}
