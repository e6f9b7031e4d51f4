//! Who claims which address by a packet that the programs left to user space.

use std::net::IpAddr;

use dataplane_common::{
    abi::{
        upcall::{Task, UpcallHeader},
        vport::{LocalPortKey, Vport},
    },
    forward::{
        self, Halt, Tables as _,
        parse::{Headers, Kind},
        way,
    },
    id::{Address, Mac},
    punt::Punt,
    reason::DropReason,
    wire::{checksum, ether},
};

use super::claimed;
use crate::slowpath::{
    dhcp,
    directory::Directory,
    handlers::{headers, tunnelled},
    upcall::{Origin, Upcall},
};

/// An address that a port uses, or that a DHCP server gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The port's slot.
    pub slot: u32,
    /// Index of its routing domain.
    pub rdid: u32,
    /// Its VSID.
    pub vsid: u32,
    /// Its MAC.
    pub mac: Mac,
    /// The address.
    pub ca: IpAddr,
    /// For how many seconds a server gives it; `u32::MAX`: for ever.
    pub lease: Option<u32>,
}

impl Found {
    const fn of(port: &Vport, ca: IpAddr, lease: Option<u32>) -> Self {
        Self {
            slot: port.slot,
            rdid: port.rdid,
            vsid: port.vsid,
            mac: port.mac,
            ca,
            lease,
        }
    }
}

/// The address that the sender of a packet uses.
///
/// It is the one that the programs asked about: else the packet would be left to us again, for the
/// same reason, after it was learned.
pub(in crate::slowpath) fn sent(
    directory: &Directory,
    upcall: &Upcall,
) -> Result<Found, DropReason> {
    let port = upcall.port(directory).ok_or(DropReason::PortUnknown)?;
    let headers = headers(&upcall.frame, 0)?;
    let told = headers.kind == Kind::Advertisement && headers.src.is_link_local();
    let asked = if told { headers.target } else { headers.src };
    let claimed = claimed(&upcall.frame).filter(|(mac, _)| *mac == port.mac);
    let found = claimed.filter(|(_, ca)| Address::from(*ca) == asked);
    let (_, ca) = found.ok_or(DropReason::LearnRefused)?;
    Ok(Found::of(port, ca, None))
}

/// A DHCP server's answer to a port here: the lease, if the port is given one; and the frame, with
/// what brings it there.
pub(in crate::slowpath) type Acknowledged = (Option<Found>, UpcallHeader, Vec<u8>);

/// Reads a DHCP server's answer. An error says what else the decision finds it to be.
pub(in crate::slowpath) fn acknowledged(
    directory: &Directory,
    upcall: &Upcall,
) -> Result<Acknowledged, Halt> {
    let (ifindex, frame) = match upcall.origin {
        Origin::Port(..) => from_port(directory, upcall)?,
        Origin::Uplink(_) => from_underlay(directory, upcall)?,
    };
    let port = directory.tables.vport(ifindex);
    let port = port.ok_or(DropReason::NoLocalPort)?;
    let lease = dhcp::acknowledged(&frame).filter(|lease| lease.mac == port.mac);
    let found = lease.map(|lease| Found::of(port, lease.address, Some(lease.seconds)));
    // A copy, so that the programs count it.
    let header = UpcallHeader::new(Task::Replica, ifindex, port.slot, 0);
    Ok((found, header, frame))
}

/// The decision leaves the frame to us for this reason, or for the one in the error; `otherwise`:
/// for none any more.
fn is_answer<T>(decided: &Result<T, Halt>, otherwise: Punt) -> Result<(), Halt> {
    match decided {
        Err(Halt {
            punt: Some(Punt::DhcpAck),
            ..
        }) => Ok(()),
        Err(halt) => Err(*halt),
        Ok(_) => Err(Halt::ask(otherwise, DropReason::PuntFailed)),
    }
}

fn from_port(directory: &Directory, upcall: &Upcall) -> Result<(u32, Vec<u8>), Halt> {
    let tables = &directory.tables;
    let from = upcall.port(directory).ok_or(DropReason::PortUnknown)?;
    let headers = headers(&upcall.frame, 0)?;
    is_answer(&forward::egress(tables, from, &headers), Punt::DhcpAck)?;
    let record = way::find(tables, from, &headers)?;
    let router = (record.vsid != from.vsid).then_some(from.gateway_mac);
    let frame = passed_on(&upcall.frame, &headers, record.mac, router);
    Ok((record.ifindex, frame.ok_or(DropReason::Truncated)?))
}

/// What the underlay brought and is for no port that learns may come from a sender that is not in
/// the kernel's table yet.
fn from_underlay(directory: &Directory, upcall: &Upcall) -> Result<(u32, Vec<u8>), Halt> {
    use dataplane_common::abi::vsid::VirtualSubnet;
    let tables = &directory.tables;
    let (tunnel, headers) = tunnelled(directory, &upcall.frame)?;
    let otherwise = if tunnel.flags & VirtualSubnet::ON_DEMAND == 0 {
        Punt::DhcpAck
    } else {
        Punt::SourceMiss
    };
    is_answer(
        &forward::ingress::ingress(tables, &tunnel, &headers),
        otherwise,
    )?;
    let key = LocalPortKey::new(tunnel.vsid, headers.eth.dst);
    let ifindex = tables.local_ports.get(&key);
    let inner = upcall.frame.get(tunnel.outer_len()..);
    Ok((
        *ifindex.ok_or(DropReason::NoLocalPort)?,
        inner.ok_or(DropReason::Truncated)?.to_vec(),
    ))
}

/// The IPv4 frame on its way to the station; `router`: the MAC of the gateway that it passes.
fn passed_on(frame: &[u8], headers: &Headers, to: Mac, router: Option<Mac>) -> Option<Vec<u8>> {
    const TTL: usize = ether::LEN + 8;
    const CHECKSUM: usize = ether::LEN + 10;
    let mut frame = frame.to_vec();
    frame.get_mut(..6)?.copy_from_slice(&to.0);
    let Some(router) = router else {
        return Some(frame);
    };
    frame.get_mut(6..12)?.copy_from_slice(&router.0);
    let word = |ttl| u16::from_be_bytes([ttl, headers.protocol]);
    let ttl = headers.ttl.checked_sub(1)?;
    let sum = frame.get_mut(CHECKSUM..)?.first_chunk_mut::<2>()?;
    let before = u16::from_be_bytes(*sum);
    *sum = checksum::update(before, word(headers.ttl), word(ttl)).to_be_bytes();
    *frame.get_mut(TTL)? = ttl;
    Some(frame)
}

#[cfg(test)]
mod tests;
