//! A packet that a program left to user space, and the ways back.

use std::time::Instant;

use dataplane_common::{
    abi::{
        upcall::{self, Task, UpcallHeader},
        vport::Vport,
    },
    forward::{
        Tables, outer,
        parse::{self, Frame},
    },
    punt::Punt,
    wire::{Wire, gre, ipv4},
};

use super::directory::Directory;

/// Where a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A port: its device, and its slot.
    Port(u32, u32),
    /// An uplink.
    Uplink(u32),
}

/// A packet, without the upcall header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upcall {
    /// Why.
    pub punt: Punt,
    /// Where from.
    pub origin: Origin,
    /// When it came to us.
    pub since: Instant,
    /// The frame, as the program got it.
    pub frame: Vec<u8>,
}

impl Upcall {
    /// Takes a frame that an uplink's queue gave away. It bears no reason; it shows it: what is no
    /// GRE tells of a path, a broadcast is to be spread, an answer of a DHCP server is to be read,
    /// and of anything else the source has no record.
    pub fn raw(bytes: &[u8], since: Instant, ifindex: u32) -> Self {
        Self {
            punt: punt_of(bytes),
            origin: Origin::Uplink(ifindex),
            since,
            frame: bytes.to_vec(),
        }
    }

    /// Reads what came through the upcall pair; `None`: it is not from a program of ours.
    pub fn read(bytes: &[u8], since: Instant) -> Option<Self> {
        let (header, frame) = bytes.split_at_checked(upcall::LEN)?;
        let header: UpcallHeader = Bytes(header).load(0)?;
        if header.task()? != Task::Handle {
            return None;
        }
        let ifindex = header.ifindex();
        let punt = Punt::from_number(header.punt())?;
        let origin = match header.slot() {
            0 => Origin::Uplink(ifindex),
            slot => Origin::Port(ifindex, slot),
        };
        Some(Self {
            punt,
            origin,
            since,
            frame: frame.to_vec(),
        })
    }

    /// The port that sent it, if the device is still that port's.
    pub fn port<'d>(&self, directory: &'d Directory) -> Option<&'d Vport> {
        match self.origin {
            Origin::Port(ifindex, slot) => {
                let port = directory.tables.vport(ifindex);
                port.filter(|port| port.slot == slot)
            }
            Origin::Uplink(_) => None,
        }
    }

    /// Where it is counted: the port's slot, 0 for an uplink.
    pub const fn slot(&self) -> u32 {
        match self.origin {
            Origin::Port(_, slot) => slot,
            Origin::Uplink(_) => 0,
        }
    }

    /// The header that gives the frame back to the programs.
    pub const fn back(&self) -> UpcallHeader {
        match self.origin {
            Origin::Port(ifindex, slot) => UpcallHeader::new(Task::Egress, ifindex, slot, 0),
            Origin::Uplink(ifindex) => UpcallHeader::new(Task::Ingress, ifindex, 0, 0),
        }
    }
}

fn punt_of(frame: &[u8]) -> Punt {
    let frame = Bytes(frame);
    let Some(ip) = outer::ip(&frame) else {
        return Punt::SourceMiss;
    };
    if ip.protocol != ipv4::GRE {
        return Punt::PathMtu;
    }
    let inner = outer::gre_offset(&ip).map(|at| at + gre::LEN);
    match inner.and_then(|at| parse::headers(&frame, at)) {
        Ok(headers) if headers.eth.dst.is_group() => Punt::Wide,
        Ok(headers) if headers.is_from_dhcp_server() => Punt::DhcpAck,
        Ok(_) | Err(_) => Punt::SourceMiss,
    }
}

/// A frame in memory, for the decision to read.
pub struct Bytes<'f>(pub &'f [u8]);

impl Frame for Bytes<'_> {
    fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
    /// What comes to user space is cut into segments on the way.
    fn gso_size(&self) -> u32 {
        0
    }
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        let bytes = self.0.get(offset..offset.checked_add(size_of::<T>())?)?;
        // SAFETY: `bytes` has as many bytes as a `T`, and any bytes are a valid `Wire`, which has
        // alignment one.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
}

#[cfg(test)]
mod tests;
