//! What a worker needs of a socket.

use std::{io, os::fd::BorrowedFd, time::Duration};

/// One queue's frames. What the kernel cannot take at once waits in a bounded line.
pub trait Channel: Send {
    /// Hands each frame that is there to `each`; how many there were.
    fn receive(&mut self, each: &mut dyn FnMut(&[u8])) -> usize;
    /// Sends a copy of the parts, one after the other. `false`: there is no room now.
    fn send(&mut self, parts: &[&[u8]]) -> bool;
    /// Gives what was sent to the kernel, and takes back what it is done with.
    fn turn(&mut self) -> io::Result<()>;
    /// Waits until frames are there, or `other` can be read, or the time is up.
    fn wait(&self, other: BorrowedFd<'_>, limit: Duration) -> io::Result<()>;
    /// Where each frame of the shared memory is.
    fn account(&self) -> Account;
    /// Packets that the kernel had for this socket and no room in its rings, since it was opened.
    fn refused(&self) -> u64;
}

/// Frames of the shared memory, by who has them. A frame that is in none of these is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// All there are.
    pub all: usize,
    /// Nobody's.
    pub free: usize,
    /// The kernel's, to receive into, and received but not looked at yet.
    pub receiving: usize,
    /// The kernel's, to send, or waiting for it.
    pub sending: usize,
}

impl Account {
    /// Frames that nobody has.
    pub const fn lost(&self) -> usize {
        self.all
            .wrapping_sub(self.free)
            .wrapping_sub(self.receiving)
            .wrapping_sub(self.sending)
    }
}

/// Whether the driver hands over its own memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Frames are not copied.
    ZeroCopy,
    /// The kernel copies each frame once.
    Copy,
}
