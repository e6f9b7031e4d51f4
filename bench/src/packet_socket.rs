//! Frames as they are, layer 2: a packet socket on one interface.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index, socket};

/// `ETH_P_ALL`.
pub const EVERYTHING: u16 = 0x0003;

/// A packet socket on an interface of the calling thread's namespace, for one `EtherType` or
/// [`EVERYTHING`]. It collects frames from then on.
pub fn open(interface: &str, ethertype: u16) -> Result<OwnedFd> {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let index = name_to_index(any, interface);
    let index = index.with_context(|| format!("interface {interface}"))?;
    let opened = bind(i32::try_from(index)?, ethertype);
    opened.with_context(|| format!("packet socket on {interface}"))
}

fn bind(index: i32, ethertype: u16) -> io::Result<OwnedFd> {
    let protocol = ethertype.to_be();
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: takes plain numbers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, i32::from(protocol)) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all zero is a valid address of this kind.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::sa_family_t::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    address.sll_protocol = protocol;
    address.sll_ifindex = index;
    let len = libc::socklen_t::try_from(size_of_val(&address)).map_err(io::Error::other)?;
    // SAFETY: the address lives through the call and `len` is its size.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) };
    if bound < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket)
}

/// Lets a socket see what comes in alone, and not what its own host sends.
pub fn ignore_outgoing(socket: &OwnedFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    let len = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    let option = (libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING);
    // SAFETY: the kernel reads one integer, which lives through the call.
    let done = unsafe {
        let (fd, value) = (socket.as_raw_fd(), (&raw const on).cast());
        libc::setsockopt(fd, option.0, option.1, value, len)
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// When the kernel got the frame that was read last, since 1970.
///
/// The first call on a socket turns stamps on; it answers zero when no frame was read before.
pub fn stamp(socket: &OwnedFd) -> io::Result<Duration> {
    /// `SIOCGSTAMPNS_OLD` of `asm/sockios.h`, whose `timespec` is libc's on 64-bit machines.
    const SIOCGSTAMPNS: libc::Ioctl = 0x8907;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one `timespec`, which lives through the call.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSTAMPNS, &raw mut time) };
    if done < 0 {
        let error = io::Error::last_os_error();
        // No frame was read yet: stamps are on from here.
        return if error.raw_os_error() == Some(libc::ENOENT) {
            Ok(Duration::ZERO)
        } else {
            Err(error)
        };
    }
    let negative = |_| io::Error::other("a time before 1970");
    let seconds = u64::try_from(time.tv_sec).map_err(negative)?;
    let nanos = u32::try_from(time.tv_nsec).map_err(negative)?;
    Ok(Duration::new(seconds, nanos))
}
