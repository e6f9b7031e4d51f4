//! Ethtool ioctls: a device's driver, its channels, and its generic receive offload (GRO).

use std::{ffi::c_void, io};

use super::ifreq;

/// Name of the driver of an interface of the calling thread's namespace.
pub fn driver(interface: impl AsRef<[u8]>) -> io::Result<String> {
    let mut info = DriverInfo {
        cmd: GET_DRIVER,
        driver: [0; 32],
        rest: [0; 160],
    };
    call(interface, (&raw mut info).cast())?;
    let end = info.driver.iter().position(|byte| *byte == 0);
    let name = &info.driver[..end.unwrap_or(info.driver.len())];
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// Pairs of a receive and a transmit queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// So many are in use.
    pub used: u32,
    /// So many are there.
    pub most: u32,
}

/// The combined channels of an interface.
pub fn channels(interface: impl AsRef<[u8]>) -> io::Result<Channels> {
    let mut words = [0_u32; 9];
    words[0] = GET_CHANNELS;
    call(interface, (&raw mut words).cast())?;
    let [_, _, _, _, most, _, _, _, used] = words;
    Ok(Channels { used, most })
}

/// Whether GRO is on.
pub fn gro(interface: impl AsRef<[u8]>) -> io::Result<bool> {
    let mut value = Value {
        cmd: GET_GRO,
        data: 0,
    };
    call(interface, (&raw mut value).cast())?;
    Ok(value.data != 0)
}

/// Switches GRO on or off. On a veth GRO brings NAPI, without which frames that XDP redirects
/// into its other end vanish without an error.
pub fn set_gro(interface: impl AsRef<[u8]>, on: bool) -> io::Result<()> {
    let mut value = Value {
        cmd: SET_GRO,
        data: u32::from(on),
    };
    call(interface, (&raw mut value).cast())
}

/// Switches off whatever would let a packet leave unsegmented or without its checksum.
pub fn segment_in_software(interface: impl AsRef<[u8]>) -> io::Result<()> {
    for cmd in [SET_TX_CHECKSUM, SET_TSO, SET_GSO] {
        let mut value = Value { cmd, data: 0 };
        call(&interface, (&raw mut value).cast())?;
    }
    Ok(())
}

/// Queues that an interface receives on; 1 where it does not tell.
pub fn receive_queues(interface: impl AsRef<[u8]>) -> u32 {
    let mut words = [0_u32; 9];
    words[0] = GET_CHANNELS;
    let told = call(interface, (&raw mut words).cast());
    let [_, _, _, _, _, receive, _, _, combined] = words;
    told.map_or(1, |()| (receive + combined).max(1))
}

// linux/ethtool.h, linux/sockios.h
const SIOCETHTOOL: u64 = 0x8946;
const GET_DRIVER: u32 = 0x0000_0003;
/// Its argument, `struct ethtool_channels`, is nine words.
const GET_CHANNELS: u32 = 0x0000_003c;
const GET_GRO: u32 = 0x0000_002b;
const SET_GRO: u32 = 0x0000_002c;
const SET_TX_CHECKSUM: u32 = 0x0000_0017;
const SET_TSO: u32 = 0x0000_001f;
const SET_GSO: u32 = 0x0000_0024;

/// `struct ethtool_drvinfo`, 196 bytes; only the driver is read.
#[repr(C)]
struct DriverInfo {
    cmd: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

const _: () = assert!(size_of::<DriverInfo>() == 196);

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    cmd: u32,
    data: u32,
}

fn call(interface: impl AsRef<[u8]>, data: *mut c_void) -> io::Result<()> {
    let mut argument = ifreq::named(interface)?;
    argument.ifr_ifru.ifru_data = data.cast();
    // SAFETY: `named` ended the name in a zero, and `data` is one of the structs and
    // arrays of this file, whose first word, the command, names its layout.
    unsafe { ifreq::call(SIOCETHTOOL, &mut argument) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_interface_is_an_error() {
        assert!(driver("no-such-if0").is_err());
        assert!(gro("no-such-if0").is_err());
        assert!(channels("no-such-if0").is_err());
        assert!(driver("a-name-longer-than-any-interface").is_err());
    }
}
