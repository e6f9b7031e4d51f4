//! Where a unicast frame of a port goes: to a lookup record, or by a route to one (packet walks W1
//! to W4, W8).

use super::{
    Answer, Halt, Tables,
    egress::absent_from,
    parse::{Headers, Kind},
};
use crate::{
    abi::{lookup::LookupRecord, vport::Vport},
    id::Address,
    reason::DropReason,
};

/// The record that the frame goes to; the gateway's if it is for the gateway itself. A copy: the
/// verifier would go through the rest of the program once for each table that it may stand in.
#[inline(always)]
pub fn find<T: Tables>(tables: &T, from: &Vport, headers: &Headers) -> Result<LookupRecord, Halt> {
    if headers.kind == Kind::NonIp || headers.dst.is_link_local() {
        return by_mac(tables, from, headers);
    }
    let mut record = LookupRecord::NONE;
    let known = match tables.lookup(from.rdid, headers.dst, &mut record) {
        Answer::Busy => return Err(DropReason::LookupBusy.into()),
        Answer::Found => record.vsid == from.vsid || !from.has(Vport::EXTERNAL_ROUTER),
        Answer::Absent => false,
    };
    if known && !record.has(LookupRecord::NEGATIVE | LookupRecord::GROUP) {
        return Ok(record);
    }
    // A station of which nobody knows the CAs, so far.
    if from.has(Vport::UNKNOWN_CAS)
        && let Some(record) = tables.station(from.vsid, headers.eth.dst)
        && record.has(LookupRecord::L2_ONLY)
    {
        return Ok(*record);
    }
    // Groups are reached by broadcast, which the subnet allows or not, and never leave it.
    if known || headers.dst.is_group() {
        return Err(DropReason::NoLookupRecord.into());
    }
    by_route(tables, from, headers.dst)
}

/// Within the virtual subnet.
#[inline(always)]
fn by_mac<T: Tables>(tables: &T, from: &Vport, headers: &Headers) -> Result<LookupRecord, Halt> {
    let record = tables.station(from.vsid, headers.eth.dst);
    record.copied().ok_or(DropReason::NoLookupRecord.into())
}

#[inline(always)]
fn by_route<T: Tables>(tables: &T, from: &Vport, ca: Address) -> Result<LookupRecord, Halt> {
    let route = tables.route(from.routes, ca).ok_or(DropReason::NoRoute)?;
    if route.has(LookupRecord::ON_LINK) {
        return Err(absent_from(from, DropReason::NoLookupRecord));
    }
    if is_at(from, route) {
        return Err(DropReason::RouteLoop.into());
    }
    Ok(*route)
}

/// Whether the record is one of the port's.
#[inline(always)]
pub fn is_at(port: &Vport, record: &LookupRecord) -> bool {
    port.vsid == record.vsid && port.mac == record.mac
}
