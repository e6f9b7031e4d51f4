//! ARP from a vport: answered from the tables, never flooded (packet walk W5).

use super::{Halt, Tables, parse::Headers};
use crate::{
    abi::{lookup::LookupRecord, vport::Vport},
    id::Mac,
    reason::DropReason,
    wire::{
        arp::ArpPacket,
        ether::{self, EthHeader},
    },
};

/// An answer that goes back to the port that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpReply {
    /// Ethernet header of the answer.
    pub eth: EthHeader,
    /// The answer.
    pub arp: ArpPacket,
}

/// The sender's addresses are the port's. A probe (sender 0.0.0.0) claims none.
#[inline(always)]
pub fn anti_spoof<T: Tables>(tables: &T, from: &Vport, arp: &ArpPacket) -> Result<(), DropReason> {
    if !arp.is_valid() {
        return Err(DropReason::ArpMalformed);
    }
    if arp.sender_mac != from.mac {
        return Err(DropReason::SpoofMac);
    }
    let probe = arp.is_request() && arp.sender == [0; 4];
    if !probe && !super::egress::owns(tables, from, arp.sender) {
        return Err(DropReason::SpoofCa);
    }
    Ok(())
}

/// The answer, or `None` when the packet travels like data: a unicast request
/// to another VM, and a unicast reply.
#[inline(always)]
pub fn answer<T: Tables>(
    tables: &T,
    from: &Vport,
    headers: &Headers,
    arp: &ArpPacket,
) -> Result<Option<ArpReply>, Halt> {
    let own = arp.sender == arp.target || super::egress::owns(tables, from, arp.target);
    let broadcast = headers.eth.dst.is_group();
    if own || (!arp.is_request() && broadcast) {
        return Err(DropReason::GarpIgnored.into());
    }
    if !arp.is_request() {
        return Ok(None);
    }
    let Some(record) = tables.lookup(from.rdid, arp.target) else {
        return Err(super::egress::absent_from(from, DropReason::ArpNoRecord));
    };
    if record.has(LookupRecord::NEGATIVE) || record.vsid != from.vsid {
        return Err(DropReason::ArpNoRecord.into());
    }
    if !broadcast && !record.has(LookupRecord::GATEWAY) {
        return Ok(None);
    }
    Ok(Some(reply(record.mac, arp)))
}

#[inline(always)]
fn reply(mac: Mac, request: &ArpPacket) -> ArpReply {
    ArpReply {
        eth: EthHeader::new(request.sender_mac, mac, ether::ARP),
        arp: ArpPacket::reply(mac, request.target, request.sender_mac, request.sender),
    }
}
