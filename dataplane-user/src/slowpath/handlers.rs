//! What is done about each reason for which a program leaves a packet to user space. All of it is
//! here and below; the programs' own decision function says what the packet is.

use std::net::IpAddr;

use dataplane_common::{
    abi::{flood::Flood, lookup::LookupKey, upcall::UpcallHeader},
    forward::{
        self, Halt, Tables,
        outer::{self, Inner, OuterIp, Tunnel},
        parse::{self, Frame as _, Headers},
    },
    id::Address,
    punt::Punt,
    reason::DropReason,
    wire::gre::GreHeader,
};

use super::{
    counts::UNDERLAY,
    directory::{Ask, Directory},
    icmp::Told,
    learn::{self, Found},
    spread::spread,
    upcall::{Bytes, Origin, Upcall},
};

mod asked;
mod refused;
mod reported;

use refused::{oversize, refused};

/// What a packet needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It waits until somebody answers.
    Wait(Ask),
    /// It waits until its sender has the address that it claims.
    Learn(Found),
    /// A lease, if it is one, is noted; the packet does not wait for that.
    Lease(Option<Found>, Act),
    /// Nothing more.
    Now(Act),
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// These frames go on as if the port had sent them, or the uplink received them.
    Again(Vec<Vec<u8>>),
    /// The sender gets this frame in answer.
    Answer(UpcallHeader, Vec<u8>),
    /// The sender gets this frame, and the packet is dropped.
    Tell {
        /// Header and frame for the sender's port.
        frame: (UpcallHeader, Vec<u8>),
        /// Why the packet is dropped.
        reason: DropReason,
    },
    /// Each of these receives the frame.
    Spread(Vec<UpcallHeader>, Vec<u8>),
    /// The path to the PA carries no more than so many bytes, says the underlay.
    Narrow(IpAddr, u16),
    /// It is dropped.
    Drop(DropReason),
}

impl Act {
    /// The packet goes on as it came.
    pub(super) fn again(upcall: &Upcall) -> Self {
        Self::Again(vec![upcall.frame.clone()])
    }
}

const fn drop_for(reason: DropReason) -> Handled {
    Handled::Now(Act::Drop(reason))
}

/// Decides about a packet.
pub fn handle(directory: &Directory, upcall: &Upcall) -> Handled {
    let act = match why(directory, upcall) {
        Punt::Miss => return miss(directory, upcall),
        Punt::SourceMiss => return source_miss(directory, upcall),
        Punt::Oversize => oversize(directory, upcall),
        // The way here cut the super-packet into segments, which bear no marks.
        Punt::Encapsulated => Act::again(upcall),
        Punt::TtlExceeded => {
            let reason = DropReason::TtlExceeded;
            refused(directory, upcall, Told::TimeExceeded, reason)
        }
        Punt::ToGateway => {
            let reason = DropReason::GatewayBound;
            refused(directory, upcall, Told::PortUnreachable, reason)
        }
        Punt::Neighbour => asked::neighbour(directory, upcall),
        Punt::RouterSolicit => asked::advertise(directory, upcall),
        // An uplink's queue does not say why: what programs copy is here for its source.
        Punt::Wide if !is_wide(directory, upcall) => return source_miss(directory, upcall),
        Punt::Wide => spread(directory, upcall),
        Punt::PathMtu => path_mtu(directory, upcall),
        Punt::RewriteError => reported::translated(directory, upcall),
        Punt::Learn => return learned(directory, upcall),
        Punt::DhcpAck => return acknowledged(directory, upcall),
    };
    Handled::Now(act)
}

/// Why a packet is here. An uplink's queue does not say: what is no GRE tells of a path, or of a packet
/// of a port whose PA it is sent to.
pub fn why(directory: &Directory, upcall: &Upcall) -> Punt {
    if upcall.punt == Punt::PathMtu && reported::whose(directory, upcall).is_ok() {
        Punt::RewriteError
    } else {
        upcall.punt
    }
}

/// The sender claims an address.
fn learned(directory: &Directory, upcall: &Upcall) -> Handled {
    match learn::sent(directory, upcall) {
        Ok(found) => Handled::Learn(found),
        Err(reason) => drop_for(reason),
    }
}

/// A DHCP server answers; from an uplink, perhaps one that nobody has a record of.
fn acknowledged(directory: &Directory, upcall: &Upcall) -> Handled {
    match learn::acknowledged(directory, upcall) {
        Ok((found, to, frame)) => Handled::Lease(found, Act::Spread(vec![to], frame)),
        Err(Halt {
            punt: Some(Punt::SourceMiss),
            ..
        }) => source_miss(directory, upcall),
        Err(Halt { punt: Some(_), .. }) => Handled::Now(Act::again(upcall)),
        Err(halt) => drop_for(halt.reason),
    }
}

/// Decides about a packet whose question is answered: what is left to user space for another reason
/// too, now that the answer is there, needs not come here a second time.
pub fn go_on(directory: &Directory, upcall: &Upcall) -> Act {
    match upcall.origin {
        Origin::Port(..) => match next(directory, upcall) {
            Some(Punt::TtlExceeded) => {
                let reason = DropReason::TtlExceeded;
                refused(directory, upcall, Told::TimeExceeded, reason)
            }
            Some(Punt::Neighbour) => asked::neighbour(directory, upcall),
            _ => oversize(directory, upcall),
        },
        Origin::Uplink(_) => Act::again(upcall),
    }
}

/// Why the program would leave the port's packet to user space, had it the whole table.
fn next(directory: &Directory, upcall: &Upcall) -> Option<Punt> {
    let port = upcall.port(directory)?;
    let headers = headers(&upcall.frame, 0).ok()?;
    let decided = forward::egress(&directory.tables, port, &headers);
    decided.err()?.punt
}

/// The routing domain whose packet it is, and who pays for it; or why it is nobody's.
pub fn whose(directory: &Directory, upcall: &Upcall) -> Result<u32, DropReason> {
    if let Origin::Port(..) = upcall.origin {
        let port = upcall.port(directory);
        return port.map(|port| port.rdid).ok_or(DropReason::PortUnknown);
    }
    let punt = why(directory, upcall);
    if punt == Punt::PathMtu {
        return Ok(UNDERLAY);
    }
    if punt == Punt::RewriteError {
        return reported::whose(directory, upcall);
    }
    let (ip, gre, _) = outer_headers(&upcall.frame).ok_or(DropReason::Truncated)?;
    let subnet = directory.tables.subnet(gre.vsid_bits());
    let subnet = subnet.ok_or(DropReason::VsidUnknown)?;
    // Whoever is no NVE of ours may ask for nothing.
    if directory.has_peer(ip.src) {
        Ok(subnet.rdid)
    } else {
        Err(DropReason::PaMismatch)
    }
}

/// The same; `None` where its port or subnet is gone meanwhile.
pub fn tenant(directory: &Directory, upcall: &Upcall) -> Option<u32> {
    whose(directory, upcall).ok()
}

/// The destination CA is asked about; for ARP, the CA that the tenant itself asks about.
fn miss(directory: &Directory, upcall: &Upcall) -> Handled {
    let Some(port) = upcall.port(directory) else {
        return drop_for(DropReason::PortUnknown);
    };
    match headers(&upcall.frame, 0) {
        Ok(headers) if headers.kind.asks() => {
            Handled::Wait(ask(port.rdid, port.vsid, headers.target))
        }
        Ok(headers) => Handled::Wait(ask(port.rdid, port.vsid, headers.dst)),
        Err(reason) => drop_for(reason),
    }
}

/// The inner source CA of a packet from the underlay is asked about.
fn source_miss(directory: &Directory, upcall: &Upcall) -> Handled {
    match tunnelled(directory, &upcall.frame) {
        Ok((tunnel, headers)) => Handled::Wait(ask(tunnel.rdid, tunnel.vsid, headers.src)),
        Err(reason) => drop_for(reason),
    }
}

/// Whether a broadcast has more receivers than programs make copies for. Of a port's that was so
/// when it came.
fn is_wide(directory: &Directory, upcall: &Upcall) -> bool {
    if let Origin::Port(..) = upcall.origin {
        return true;
    }
    let flood = tunnelled(directory, &upcall.frame).ok();
    let flood = flood.and_then(|(tunnel, _)| directory.tables.flood(tunnel.vsid));
    flood.is_some_and(Flood::is_wide)
}

/// The tunnel of a frame from the underlay, and the headers inside.
pub(super) fn tunnelled(
    directory: &Directory,
    frame: &[u8],
) -> Result<(Tunnel, Headers), DropReason> {
    let (ip, gre, inner) = outer_headers(frame).ok_or(DropReason::Truncated)?;
    let tunnel = outer::tunnel(&directory.tables, &ip, &gre, &inner)?;
    let headers = headers(frame, tunnel.outer_len())?;
    Ok((tunnel, headers))
}

/// The outer IP header, GRE, and what is inside.
fn outer_headers(frame: &[u8]) -> Option<(OuterIp, GreHeader, Inner)> {
    let frame = Bytes(frame);
    let ip = outer::ip(&frame)?;
    let at = outer::gre_offset(&ip).ok()?;
    Some((ip, frame.load(at)?, outer::inner(&frame, at)))
}

/// The underlay says that a packet of ours was too big: believed if it quotes one that we may have
/// sent, from a PA of ours to one of another host, in a VSID that has ports here.
fn path_mtu(directory: &Directory, upcall: &Upcall) -> Act {
    const FORGED: Act = Act::Drop(DropReason::PaMismatch);
    let Some(told) = super::path_mtu::quoted(&upcall.frame) else {
        return FORGED;
    };
    let ours = directory.tables.is_local_pa(told.ours.into());
    let known = directory.has_peer(told.pa.into());
    if ours && known && directory.tables.subnet(told.vsid).is_some() {
        Act::Narrow(told.pa, told.mtu)
    } else {
        FORGED
    }
}

pub(super) fn headers(frame: &[u8], offset: usize) -> Result<Headers, DropReason> {
    parse::headers(&Bytes(frame), offset)
}

const fn ask(rdid: u32, vsid: u32, ca: Address) -> Ask {
    Ask {
        key: LookupKey { rdid, ca },
        vsid,
    }
}

#[cfg(test)]
mod tests;
