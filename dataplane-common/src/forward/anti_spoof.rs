//! Who a port may speak as (packet walk W0).

use super::{
    Halt, Tables,
    parse::{Headers, Kind},
    way,
};
use crate::{
    abi::{lookup::LookupRecord, vport::Vport},
    id::Address,
    punt::Punt,
    reason::DropReason,
};

/// Whether the port may use the CA. The first CAs are in the vport itself.
#[inline(always)]
pub(super) fn owns<T: Tables>(tables: &T, port: &Vport, ca: Address) -> bool {
    let [v4, v6] = port.cas;
    if ca.is_unspecified() {
        return false;
    }
    ca == v4 || ca == v6 || tables.port_has_ca(port.slot, ca)
}

#[inline(always)]
pub(super) fn anti_spoof<T: Tables>(
    tables: &T,
    from: &Vport,
    headers: &Headers,
) -> Result<(), Halt> {
    let told = headers.kind.is_neighbour();
    if headers.eth.src != from.mac || (told && headers.station != from.mac) {
        return Err(DropReason::SpoofMac.into());
    }
    // What most ports send: nothing that follows says otherwise of an IPv4 packet from their first CA.
    if headers.kind == Kind::Ipv4 && headers.src == from.cas[0] {
        return Ok(());
    }
    if headers.kind == Kind::NonIp {
        return Ok(());
    }
    // A host without an address may ask for one by broadcast, and whether one is taken.
    let nobody = headers.src.is_unspecified();
    if nobody && (headers.eth.dst.is_group() || headers.kind == Kind::ArpRequest) {
        return Ok(());
    }
    // What a station says of link-local addresses matters inside its own subnet only, where its MAC
    // says who it is.
    let mut claimed = headers.src;
    if headers.kind == Kind::Advertisement && claimed.is_link_local() {
        claimed = headers.target;
    }
    if claimed.is_link_local() || owns(tables, from, claimed) {
        return told_of(tables, from, headers);
    }
    if nobody || claimed.is_group() {
        return Err(DropReason::SpoofCa.into());
    }
    if from.has(Vport::LEARNS) {
        return Err(Halt::ask(Punt::Learn, DropReason::LearnRefused));
    }
    // A router asks for neighbours from any of its addresses; it announces none of them.
    let speaks = headers.kind.is_routable() || headers.kind.asks();
    if from.has(Vport::FORWARDS) && speaks && leads_to(tables, from, claimed) {
        return Ok(());
    }
    Err(DropReason::SpoofCa.into())
}

/// An advertisement tells of an address that is the port's too. Nobody speaks as the gateway, whose
/// router advertisements and redirects hosts believe.
#[inline(always)]
fn told_of<T: Tables>(tables: &T, from: &Vport, headers: &Headers) -> Result<(), Halt> {
    let target = headers.target;
    let tells = headers.kind == Kind::Advertisement;
    if is_gateway(from, headers.src)
        || (tells && is_gateway(from, target))
        || (tells && !target.is_link_local() && !owns(tables, from, target))
    {
        return Err(DropReason::SpoofCa.into());
    }
    Ok(())
}

/// Whether packets to the CA are routed to the port, so that it may send packets from there.
#[inline(always)]
fn leads_to<T: Tables>(tables: &T, port: &Vport, ca: Address) -> bool {
    let route = tables.route(port.routes, ca);
    route.is_some_and(|route| route.has(LookupRecord::VIA) && way::is_at(port, route))
}

/// Whether it is the gateway's link-local address.
#[inline(always)]
pub(super) fn is_gateway(from: &Vport, address: Address) -> bool {
    address.is_link_local()
        && !from.has(Vport::EXTERNAL_ROUTER)
        && address == Address::link_local_of(from.gateway_mac)
}
