//! The argument of device ioctls.

use std::{
    ffi::c_char,
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::net::{AddressFamily, SocketType, socket};

/// A `struct ifreq` that names an interface; all else is zero. The name ends in a zero.
pub(super) fn named(interface: impl AsRef<[u8]>) -> io::Result<libc::ifreq> {
    let mut name: [c_char; libc::IFNAMSIZ] = [0; libc::IFNAMSIZ];
    let interface = interface.as_ref();
    if interface.len() >= name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in name.iter_mut().zip(interface) {
        *to = from.cast_signed();
    }
    Ok(libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            // The widest member: nothing stays without a value.
            ifru_map: libc::__c_anonymous_ifru_map {
                mem_start: 0,
                mem_end: 0,
                base_addr: 0,
                irq: 0,
                dma: 0,
                port: 0,
            },
        },
    })
}

/// Asks the kernel about a device of the calling thread's namespace.
///
/// # Safety
///
/// `request` reads and writes one `struct ifreq`, and nothing beyond what its pointers, if it
/// has any, may be read and written for.
pub(super) unsafe fn call(request: libc::Ioctl, argument: &mut libc::ifreq) -> io::Result<()> {
    let socket: OwnedFd = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: `argument` is one `struct ifreq` and lives through the call; the caller vouches
    // for the rest.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), request, std::ptr::from_mut(argument)) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
