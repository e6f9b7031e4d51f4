//! What is done about each reason for which a program leaves a packet to user space. All of it is
//! here; the programs' own decision function says what the packet is.

use dataplane_common::forward::parse::Frame as _;
use dataplane_common::{
    abi::{
        lookup::LookupKey,
        pa,
        upcall::{Task, UpcallHeader},
        vport::Vport,
    },
    forward::{
        self, Halt, Tables, ingress,
        parse::{self, Headers, Net},
    },
    punt::Punt,
    reason::DropReason,
    wire::{
        ether::{self, EthHeader},
        gre::GreHeader,
        ipv4::{self, Ipv4Header},
        outer::{self, MTU_COST},
    },
};

use super::{
    directory::{Ask, Directory},
    fragment,
    icmp::{self, Gateway},
    upcall::{Bytes, Origin, Upcall},
};

/// What a packet needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It waits until somebody answers.
    Wait(Ask),
    /// Nothing more.
    Now(Act),
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// These frames go on as if the port had sent them, or the uplink received them.
    Again(Vec<Vec<u8>>),
    /// The sender gets this frame, and the packet is dropped.
    Tell {
        /// Header and frame for the sender's port.
        frame: (UpcallHeader, Vec<u8>),
        /// Why the packet is dropped.
        reason: DropReason,
    },
    /// It is dropped.
    Drop(DropReason),
}

impl Act {
    /// The packet goes on as it came.
    fn again(upcall: &Upcall) -> Self {
        Self::Again(vec![upcall.frame.clone()])
    }
}

const fn drop_for(reason: DropReason) -> Handled {
    Handled::Now(Act::Drop(reason))
}

/// Decides about a packet.
pub fn handle(directory: &Directory, upcall: &Upcall) -> Handled {
    match upcall.punt {
        Punt::Miss => miss(directory, upcall),
        Punt::SourceMiss => source_miss(directory, upcall),
        Punt::Oversize => Handled::Now(oversize(directory, upcall)),
        // The way here cut the super-packet into segments, which bear no marks.
        Punt::Encapsulated => Handled::Now(Act::again(upcall)),
    }
}

/// Decides about a packet whose question is answered: what the path to the answer does not carry
/// needs not come here a second time.
pub fn go_on(directory: &Directory, upcall: &Upcall) -> Act {
    match upcall.origin {
        Origin::Port(..) => oversize(directory, upcall),
        Origin::Uplink(_) => Act::again(upcall),
    }
}

/// The routing domain whose packet it is, and who pays for it; or why it is nobody's.
pub fn whose(directory: &Directory, upcall: &Upcall) -> Result<u32, DropReason> {
    let frame = Bytes(&upcall.frame);
    match upcall.origin {
        Origin::Port(..) => {
            let port = upcall.port(directory);
            port.map(|port| port.rdid).ok_or(DropReason::PortUnknown)
        }
        Origin::Uplink(_) => {
            let ip: Option<Ipv4Header> = frame.load(ether::LEN);
            let gre: Option<GreHeader> = frame.load(ether::LEN + ipv4::LEN);
            let (ip, gre) = ip.zip(gre).ok_or(DropReason::Truncated)?;
            let subnet = directory.tables.subnet(gre.vsid_bits());
            let subnet = subnet.ok_or(DropReason::VsidUnknown)?;
            // Whoever is no NVE of ours may ask for nothing.
            if directory.has_peer(&pa::from_v4(ip.src)) {
                Ok(subnet.rdid)
            } else {
                Err(DropReason::PaMismatch)
            }
        }
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
    match addresses(&upcall.frame, 0) {
        Ok((_, ca)) => Handled::Wait(ask(port.rdid, port.vsid, ca)),
        Err(reason) => drop_for(reason),
    }
}

/// The inner source CA of a packet from the underlay is asked about.
fn source_miss(directory: &Directory, upcall: &Upcall) -> Handled {
    let frame = Bytes(&upcall.frame);
    let (Some(ip), Some(gre)) = (
        frame.load::<Ipv4Header>(ether::LEN),
        frame.load::<GreHeader>(ether::LEN + ipv4::LEN),
    ) else {
        return drop_for(DropReason::Truncated);
    };
    let inner = frame.load::<EthHeader>(outer::LEN);
    let tunnel = match ingress::tunnel(&directory.tables, &ip, &gre, inner) {
        Ok(tunnel) => tunnel,
        Err(reason) => return drop_for(reason),
    };
    match addresses(&upcall.frame, outer::LEN) {
        Ok((ca, _)) => Handled::Wait(ask(tunnel.rdid, tunnel.vsid, ca)),
        Err(reason) => drop_for(reason),
    }
}

/// A packet that the path does not carry is cut before it is encapsulated; or, where the sender forbids that, the sender is told.
fn oversize(directory: &Directory, upcall: &Upcall) -> Act {
    const REFUSED: Act = Act::Drop(DropReason::MtuExceeded);
    let (Origin::Port(ifindex, _), Some(port)) = (upcall.origin, upcall.port(directory)) else {
        return Act::Drop(DropReason::PortUnknown);
    };
    let Some(mtu) = path_mtu(directory, port, &upcall.frame) else {
        // It fits, as the tables are now.
        return Act::again(upcall);
    };
    if !fragment::forbidden(&upcall.frame) {
        return fragment::cut(&upcall.frame, mtu).map_or(REFUSED, Act::Again);
    }
    let Some(ca) = directory.gateways.get(&port.vsid).copied() else {
        return REFUSED;
    };
    let gateway = Gateway {
        mac: port.gateway_mac,
        ca,
    };
    let Some(frame) = icmp::fragmentation_needed(&upcall.frame, gateway, mtu) else {
        return REFUSED;
    };
    let header = UpcallHeader::new(Task::Deliver, ifindex, port.slot, 0);
    Act::Tell {
        frame: (header, frame),
        reason: DropReason::MtuExceeded,
    }
}

/// The largest packet that the path to the frame's destination carries; `None`: the decision finds
/// that the frame fits.
fn path_mtu(directory: &Directory, port: &Vport, frame: &[u8]) -> Option<u16> {
    let headers = headers(frame, 0).ok()?;
    let decided = forward::egress(&directory.tables, port, &headers);
    let Err(Halt {
        punt: Some(Punt::Oversize),
        ..
    }) = decided
    else {
        return None;
    };
    let Net::Ipv4 { header, .. } = headers.net else {
        return None;
    };
    let record = directory.tables.lookup(port.rdid, header.dst)?;
    let hop = directory.tables.next_hop(record.pa_index)?;
    hop.path_mtu.checked_sub(MTU_COST)
}

/// Source and destination CA; of ARP, the sender's and the one that it asks about.
fn addresses(frame: &[u8], offset: usize) -> Result<([u8; 4], [u8; 4]), DropReason> {
    Ok(match headers(frame, offset)?.net {
        Net::Ipv4 { header, .. } => (header.src, header.dst),
        Net::Arp(arp) => (arp.sender, arp.target),
    })
}

fn headers(frame: &[u8], offset: usize) -> Result<Headers, DropReason> {
    parse::headers(&Bytes(frame), offset)
}

const fn ask(rdid: u32, vsid: u32, ca: [u8; 4]) -> Ask {
    Ask {
        key: LookupKey { rdid, ca },
        vsid,
    }
}
