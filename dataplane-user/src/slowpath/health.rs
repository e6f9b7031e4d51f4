//! Where a worker is, and how it is.

use std::collections::BTreeMap;

use super::channel::{Account, Mode};

/// Where a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    /// The device.
    pub ifindex: u32,
    /// Its queue.
    pub queue: u32,
    /// Where programs find the socket in `XSKS`.
    pub place: u32,
}

/// What a station does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// How frames come; `None` while there is no socket.
    pub mode: Option<Mode>,
    /// Why there is none, or why the last one ended; empty when nothing happened.
    pub trouble: String,
    /// Sockets opened after the first.
    pub restarts: u64,
    /// Frames of the shared memory, as they were a moment ago.
    pub account: Account,
    /// Frames that were missing when a socket was closed, of all sockets.
    pub lost: u64,
    /// Packets that wait for an answer.
    pub held: usize,
    /// These by routing domain.
    pub held_of: BTreeMap<u32, usize>,
    /// Packets that the kernel found no room for in the rings of all sockets.
    pub refused: u64,
}
