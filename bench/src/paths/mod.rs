//! Ways for packets, each built between network namespaces of its own.

use std::any::Any;

use anyhow::Result;
use xtask::lab::Netns;

use crate::scenario::{PathName, Scenario};

/// A device in a namespace.
pub struct Place {
    /// The namespace.
    pub netns: Netns,
    /// The device's name in it.
    pub device: &'static str,
    /// The address that a TCP server or client uses here, if there is one (RFC 5737 or RFC 1918, no prefix).
    pub address: Option<&'static str>,
}

/// Frames that a generator must send for this path and scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames {
    /// The frame up to and without padding, with the first key in it; IPv4 and UDP checksums are right or 0.
    pub head: Vec<u8>,
    /// Offset of the 4 bytes that carry the key: key `k` is written as `first_key + k`, network order.
    pub key_offset: usize,
    /// The value of key 0.
    pub first_key: u32,
    /// Offset of the header checksum that covers the key, to be corrected by the generator; `None`: none does.
    pub checksum_offset: Option<usize>,
    /// Length of the whole frame without FCS, bytes.
    pub length: u16,
}

/// A path that stands.
pub struct Built {
    /// Where frames are born: the generator sends out of this device.
    pub source: Place,
    /// Where they end: the sink counts what this device receives.
    pub sink: Place,
    /// What to send.
    pub frames: Frames,
    /// Reads a counter of the path's own that is the sink instead (drops); `None`: count at [`Built::sink`].
    pub counted: Option<Box<dyn FnMut() -> Result<u64> + Send>>,
    /// Writes one record again, for updates during traffic; `None`: the path has no records to write.
    pub rewrite: Option<Box<dyn FnMut(u32) -> Result<()> + Send>>,
    /// Everything else that must live as long: hosts, programs, daemons.
    pub keep: Box<dyn Any + Send>,
}

/// Why a path cannot be had.
pub enum Absence {
    /// This machine lacks what it needs, or it cannot do the work: the row is "not available: WHY".
    NotAvailable(String),
    /// It should have worked.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Absence {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Builds a path for a scenario.
pub fn build(path: PathName, scenario: &Scenario) -> Result<Built, Absence> {
    let _ = scenario;
    Err(Absence::NotAvailable(format!("{path} is not built yet")))
}
