//! ARP and neighbour discovery from a vport: answered from the tables (packet walk W5).

use super::{
    Answer, Halt, Tables,
    anti_spoof::{is_gateway, owns},
    egress::absent_from,
    parse::{Headers, Kind},
};
use crate::{
    abi::{lookup::LookupRecord, vport::Vport},
    id::Mac,
    punt::Punt,
    reason::DropReason,
    wire::{
        arp::ArpPacket,
        ether::{self, EthHeader},
        icmp::{self, Advertisement},
        ipv6,
        ipv6::Ipv6Header,
    },
};

/// An answer that goes back to the port that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourReply {
    /// The MAC of the CA that it asked about.
    pub mac: Mac,
    /// Whether that is a router's.
    pub router: bool,
}

/// Length of a solicitation that its answer takes the place of: with one option.
const IN_PLACE: u32 = (ether::LEN + ipv6::LEN + icmp::ADVERTISEMENT_LEN) as u32;
const UPPER: u32 = (ether::LEN + ipv6::LEN) as u32;

/// The answer, or `None` when the message travels like data: to another VM, or to all who may be it.
#[inline(always)]
pub fn answer<T: Tables>(
    tables: &T,
    from: &Vport,
    headers: &Headers,
) -> Result<Option<NeighbourReply>, Halt> {
    let target = headers.target;
    let broadcast = headers.eth.dst.is_group();
    if !headers.kind.asks() {
        return if broadcast {
            Err(DropReason::GarpIgnored.into())
        } else {
            Ok(None)
        };
    }
    if headers.src == target || owns(tables, from, target) {
        return Err(DropReason::GarpIgnored.into());
    }
    if target.is_link_local() {
        return link_local(from, headers);
    }
    let mut known = LookupRecord::NONE;
    let found = match tables.lookup(from.rdid, target, &mut known) {
        Answer::Busy => return Err(DropReason::LookupBusy.into()),
        Answer::Found => true,
        Answer::Absent => false,
    };
    let here = found && !known.has(LookupRecord::NEGATIVE) && known.vsid == from.vsid;
    if !here {
        // Somebody may have it whose CAs nobody knows.
        return if from.has(Vport::UNKNOWN_CAS) {
            Ok(None)
        } else if found {
            Err(DropReason::ArpNoRecord.into())
        } else {
            Err(absent_from(from, DropReason::ArpNoRecord))
        };
    }
    let router = known.has(LookupRecord::GATEWAY);
    // The question itself cannot be carried where addresses are rewritten.
    let carried = !known.has(LookupRecord::REWRITE) || known.has(LookupRecord::LOCAL);
    if broadcast || router || !carried {
        reply(headers, known.mac, router)
    } else {
        Ok(None)
    }
}

/// Nobody's records have link-local addresses; the gateway's follows from its MAC.
#[inline(always)]
fn link_local(from: &Vport, headers: &Headers) -> Result<Option<NeighbourReply>, Halt> {
    if is_gateway(from, headers.target) {
        return reply(headers, from.gateway_mac, true);
    }
    if headers.eth.dst.is_group() && !from.has(Vport::BROADCAST) {
        return Err(DropReason::ArpNoRecord.into());
    }
    Ok(None)
}

/// An ARP answer always fits where the question stands. Who asks whether an address is taken
/// (RFC 4862) is told by multicast, in a longer packet.
#[inline(always)]
fn reply(headers: &Headers, mac: Mac, router: bool) -> Result<Option<NeighbourReply>, Halt> {
    if headers.kind == Kind::Solicitation
        && (headers.src.is_unspecified() || headers.len != IN_PLACE || headers.l4 != UPPER)
    {
        return Err(Halt::ask(Punt::Neighbour, DropReason::PuntFailed));
    }
    Ok(Some(NeighbourReply { mac, router }))
}

impl NeighbourReply {
    /// The Ethernet header of the answer.
    #[inline(always)]
    pub const fn eth(&self, question: &Headers) -> EthHeader {
        EthHeader::new(question.eth.src, self.mac, question.eth.ethertype())
    }

    /// The answer to an ARP request.
    #[inline(always)]
    pub const fn arp(&self, question: &Headers) -> ArpPacket {
        let (target, asker) = (question.target.to_v4(), question.src.to_v4());
        ArpPacket::reply(self.mac, target, question.station, asker)
    }

    /// The answer to a neighbour solicitation.
    #[inline(always)]
    pub fn advertisement(&self, question: &Headers) -> (Ipv6Header, Advertisement) {
        let (target, asker) = (question.target, question.src);
        let len = icmp::ADVERTISEMENT_LEN as u16;
        let header = Ipv6Header::new((0, 0), (ipv6::ICMP, 255), len, target, asker);
        (
            header,
            Advertisement::solicited(target, self.mac, self.router, asker),
        )
    }
}

#[cfg(test)]
mod tests;
