//! The argument of device ioctls.

use std::{ffi::c_char, io};

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
