//! Persistent taps for virtual machines.
//!
//! Whoever opens one decides on the virtio-net header and offloads, as QEMU does with
//! `-netdev tap,ifname=NAME,script=no,downscript=no`; only the number of queues (one) is ours.
//! No crate: those for taps bring a device up as they make it, which would let a tenant reach
//! the host's stack before its programs are attached.

use std::{
    ffi::c_ulong,
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use super::ifreq;

const CLONE: &str = "/dev/net/tun";
/// A tap without a header of its own, opened as QEMU will; not if there is a device of this name.
const FLAGS: i32 = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_TUN_EXCL;
/// Others than root attach to a tap by their own means only, never by its name.
const OWNER: c_ulong = 0;

/// A tap that goes with this unless it is kept, so that one that is half set up never stays.
#[derive(Debug)]
pub struct Tap(File);

impl Tap {
    /// Makes a tap, down, in the namespace of the calling thread.
    pub fn create(name: &str) -> io::Result<Self> {
        let open = File::options().read(true).write(true).open(CLONE);
        let file =
            open.map_err(|error| io::Error::new(error.kind(), format!("{CLONE}: {error}")))?;
        let mut request = ifreq::named(name)?;
        let [low, high, ..] = FLAGS.to_le_bytes();
        request.ifr_ifru.ifru_flags = i16::from_le_bytes([low, high]);
        // SAFETY: `request` lives through the call, and `named` ended its name in a zero; the
        // kernel reads and writes one `struct ifreq`, which it is.
        let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        checked(done)?;
        Ok(Self(file))
    }

    /// From now on it stays without us.
    pub fn keep(self) -> io::Result<()> {
        set(self.0.as_fd(), libc::TUNSETOWNER, OWNER)?;
        set(self.0.as_fd(), libc::TUNSETPERSIST, 1)
    }
}

fn set(tap: BorrowedFd<'_>, request: libc::Ioctl, value: c_ulong) -> io::Result<()> {
    // SAFETY: these requests take a plain number; the kernel dereferences nothing.
    checked(unsafe { libc::ioctl(tap.as_raw_fd(), request, value) })
}

fn checked(done: i32) -> io::Result<()> {
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
