//! The way back to the programs is the upcall pair's socket, which one thread has. Other queues'
//! threads hand it their frames over a bounded lane.

use std::{os::fd::OwnedFd, sync::Arc, time::Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use dataplane_common::abi::upcall::UpcallHeader;

/// Frames that may be on the lane.
const ROOM: usize = 4096;

/// A frame on its way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// What stands in front of it.
    pub header: UpcallHeader,
    /// The frame.
    pub frame: Vec<u8>,
    /// Whose it is: index of the routing domain.
    pub tenant: u32,
    /// When it came.
    pub since: Instant,
}

/// Where other threads put frames.
#[derive(Clone, Debug)]
pub struct Lane {
    frames: Sender<Returned>,
    bell: Arc<OwnedFd>,
}

impl Lane {
    /// A lane whose end rings `bell` when something was put on it.
    pub fn new(bell: Arc<OwnedFd>) -> (Self, Receiver<Returned>) {
        let (frames, end) = bounded(ROOM);
        (Self { frames, bell }, end)
    }

    /// Puts a frame on the lane; gives it back when the lane is full or its end is gone.
    pub fn put(&self, returned: Returned) -> Result<(), Returned> {
        match self.frames.try_send(returned) {
            Ok(()) => {
                ring(&self.bell);
                Ok(())
            }
            Err(TrySendError::Full(returned) | TrySendError::Disconnected(returned)) => {
                Err(returned)
            }
        }
    }
}

/// Wakes the thread that waits for this eventfd. It cannot fail but for a counter that is full,
/// and then the thread wakes anyway.
pub fn ring(bell: &OwnedFd) {
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}
