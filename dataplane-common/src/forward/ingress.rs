//! underlay -> vport (packet walk W9), behind the steps of [`super::outer`].

use super::{
    Answer, Deliver, Edit, Halt, Tables,
    anti_spoof::owns,
    ecn, fits_port, mss_of,
    outer::Tunnel,
    parse::{Headers, Kind},
};
use crate::{
    abi::{flood::Flood, lookup::LookupRecord, vport::Vport, vsid::VirtualSubnet},
    punt::Punt,
    reason::DropReason,
};

/// What becomes of a frame out of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// To a port.
    Deliver(Deliver),
    /// To all whom [`flood`] says, with [`flood_edit`]; never back into the underlay.
    Flood,
}

/// Decides about the inner frame.
#[inline(always)]
pub fn ingress<T: Tables>(tables: &T, tunnel: &Tunnel, headers: &Headers) -> Result<Ingress, Halt> {
    if headers.kind == Kind::NonIp && tunnel.flags & VirtualSubnet::NON_IP == 0 {
        return Err(DropReason::NonIp.into());
    }
    if headers.eth.dst.is_group() {
        flood(tables, tunnel)?;
        pa_valid(tables, tunnel, headers)?;
        flood_edit(tunnel, headers)?;
        return Ok(Ingress::Flood);
    }
    if tunnel.port == 0 {
        return Err(DropReason::NoLocalPort.into());
    }
    let ifindex = tunnel.port;
    let port = tables.vport(ifindex).ok_or(DropReason::NoLocalPort)?;
    has_ca(tables, port, headers)?;
    fits_port(port, headers.segment)?;
    // Late, for only a packet that somebody here would get is worth a question about its sender.
    pa_valid(tables, tunnel, headers)?;
    if port.has(Vport::LEARNS) && headers.is_from_dhcp_server() {
        return Err(Halt::ask(Punt::DhcpAck, DropReason::PuntFailed));
    }
    let mut edit = flood_edit(tunnel, headers)?;
    edit.mss = mss_of(port, headers);
    Ok(Ingress::Deliver(Deliver {
        ifindex,
        slot: port.slot,
        peer: port.has(Vport::PEER),
        edit,
    }))
}

/// Who gets copies of a broadcast in the virtual subnet.
#[inline(always)]
pub fn flood<'t, T: Tables>(tables: &'t T, tunnel: &Tunnel) -> Result<&'t Flood, Halt> {
    if tunnel.flags & VirtualSubnet::BROADCAST == 0 {
        return Err(DropReason::BcastDisabled.into());
    }
    let flood = tables.flood(tunnel.vsid).ok_or(DropReason::BcastNobody)?;
    if flood.is_wide() {
        return Err(Halt::ask(Punt::Wide, DropReason::PuntFailed));
    }
    Ok(flood)
}

/// What changes in the inner frame wherever it goes.
#[inline(always)]
pub fn flood_edit(tunnel: &Tunnel, headers: &Headers) -> Result<Edit, DropReason> {
    let mut edit = Edit::to(headers, headers.eth.dst, headers.eth.src);
    edit.tos = carry_congestion(tunnel, headers)?;
    Ok(edit)
}

/// The outer source is the PA of the inner source: of its lookup record, of the next hop that
/// packets to it are routed to, or of the station that has the MAC where the address says nothing.
/// A station of this host never speaks from the wire.
#[inline(always)]
pub fn pa_valid<T: Tables>(tables: &T, tunnel: &Tunnel, headers: &Headers) -> Result<(), Halt> {
    let src = headers.src;
    if headers.kind == Kind::NonIp || src.is_link_local() || src.is_unspecified() {
        return is_from(tables, tunnel, tables.station(tunnel.vsid, headers.eth.src));
    }
    let mut record = LookupRecord::NONE;
    let known = match tables.lookup(tunnel.rdid, src, &mut record) {
        Answer::Busy => return Err(DropReason::LookupBusy.into()),
        Answer::Found => true,
        Answer::Absent => false,
    };
    if known {
        if record.has(LookupRecord::NEGATIVE) {
            return Err(DropReason::SrcUnknown.into());
        }
        if is_from(tables, tunnel, Some(&record)).is_ok() {
            return Ok(());
        }
    } else if let Some(station) = tables.station(tunnel.vsid, headers.eth.src)
        && station.has(LookupRecord::L2_ONLY)
    {
        return is_from(tables, tunnel, Some(station));
    }
    // A next hop speaks for others. No customer route lies inside a subnet that the distributed
    // router serves, so nobody speaks for its stations.
    match tables.route(tunnel.routes, src) {
        Some(route) if route.has(LookupRecord::VIA) => is_from(tables, tunnel, Some(route)),
        _ if known => Err(DropReason::PaMismatch.into()),
        Some(_) if tunnel.flags & VirtualSubnet::ON_DEMAND != 0 => {
            Err(Halt::ask(Punt::SourceMiss, DropReason::PuntFailed))
        }
        _ => Err(DropReason::SrcUnknown.into()),
    }
}

#[inline(always)]
fn is_from<T: Tables>(
    tables: &T,
    tunnel: &Tunnel,
    record: Option<&LookupRecord>,
) -> Result<(), Halt> {
    let record = record.ok_or(DropReason::SrcUnknown)?;
    let hop = tables
        .next_hop(record.pa_index)
        .ok_or(DropReason::PaMismatch)?;
    if record.has(LookupRecord::LOCAL)
        || record.has(LookupRecord::GATEWAY)
        || record.has(LookupRecord::NO_TRANSLATION)
        || record.has(LookupRecord::REWRITE)
        || hop.pa != tunnel.pa
    {
        return Err(DropReason::PaMismatch.into());
    }
    Ok(())
}

/// The destination is one of the port's; a next hop takes others too, and of a station whose CAs are
/// learned nobody knows better.
#[inline(always)]
fn has_ca<T: Tables>(tables: &T, port: &Vport, headers: &Headers) -> Result<(), DropReason> {
    if headers.kind == Kind::NonIp
        || headers.dst.is_link_local()
        || owns(tables, port, headers.dst)
        || port.has(Vport::LEARNS)
        || (port.has(Vport::FORWARDS) && headers.kind.is_routable())
    {
        Ok(())
    } else {
        Err(DropReason::CaPortMismatch)
    }
}

#[inline(always)]
fn carry_congestion(tunnel: &Tunnel, headers: &Headers) -> Result<u8, DropReason> {
    if headers.kind.is_ip() {
        ecn::inner_tos(tunnel.tos, headers.tos)
    } else {
        Ok(headers.tos)
    }
}

#[cfg(test)]
mod tests;
