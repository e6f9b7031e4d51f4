//! Frames out of an interface, as they are.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// A packet socket that receives nothing and never waits.
#[derive(Debug)]
pub struct Sender(OwnedFd);

impl Sender {
    /// Opens one for the calling thread's namespace.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Without a protocol nothing is received.
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        Ok(Self(socket))
    }

    /// Sends a frame out of an interface, by index.
    pub fn send(&self, ifindex: u32, frame: &[u8]) -> io::Result<()> {
        // SAFETY: all zero is a valid address of this kind.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::sa_family_t::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
        to.sll_ifindex = i32::try_from(ifindex).map_err(io::Error::other)?;
        // What taps and queues see as the frame's protocol.
        let ethertype = frame.get(12..14).and_then(|bytes| bytes.try_into().ok());
        to.sll_protocol = u16::from_ne_bytes(ethertype.unwrap_or_default());
        let len = libc::socklen_t::try_from(size_of_val(&to)).map_err(io::Error::other)?;
        // SAFETY: frame and address live through the call, and the lengths are theirs.
        let sent = unsafe {
            let (fd, bytes) = (self.0.as_raw_fd(), frame.as_ptr().cast());
            libc::sendto(fd, bytes, frame.len(), 0, (&raw const to).cast(), len)
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}
