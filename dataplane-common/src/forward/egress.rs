//! vport -> underlay or another port (packet walks W0 to W2).

use super::{
    Deliver, Halt, Tables,
    arp::{self, ArpReply},
    ecn, fits_port, flow,
    parse::{Headers, Net},
};
use crate::{
    abi::{config::Config, lookup::LookupRecord, underlay::NextHop, vport::Vport},
    id::Mac,
    punt::Punt,
    reason::DropReason,
    wire::{
        ether::{self, EthHeader},
        gre::{self, GreHeader},
        ipv4::{self, Ipv4Header},
        outer::{MTU_COST, OuterHeaders},
    },
};

/// What becomes of a frame that a port sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress<'t> {
    /// To another host.
    Encap(Encap),
    /// To another port of this host.
    Deliver(Deliver<'t>),
    /// Back to the sender.
    Reply(ArpReply),
}

/// A frame for another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encap {
    /// The underlay interface.
    pub ifindex: u32,
    /// What to put in front.
    pub outer: OuterHeaders,
    /// MAC to write as inner destination: the record's.
    pub dst_mac: Mac,
}

/// Decides about a frame from the port `from`.
#[inline(always)]
pub fn egress<'t, T: Tables>(
    tables: &'t T,
    from: &Vport,
    headers: &Headers,
) -> Result<Egress<'t>, Halt> {
    anti_spoof(tables, from, headers)?;
    let ca = match &headers.net {
        Net::Arp(arp) => match arp::answer(tables, from, headers, arp)? {
            Some(reply) => return Ok(Egress::Reply(reply)),
            None => arp.target,
        },
        Net::Ipv4 { header, .. } => {
            unicast(headers)?;
            header.dst
        }
    };
    let record = lookup(tables, from, headers, ca)?;
    if record.has(LookupRecord::LOCAL) {
        return Ok(Egress::Deliver(deliver(tables, from, headers, record)?));
    }
    let hop = next_hop(tables, record)?;
    fits_path(hop, headers)?;
    Ok(Egress::Encap(encap(tables, headers, record, hop)?))
}

/// How many VLAN tags to strip before parsing (RFC 7637, section 3.2: the inner
/// frame has none). `tags` as counted by the reader, 3 meaning "more than two".
#[inline(always)]
pub fn strip_tags(from: &Vport, tags: u8) -> Result<u8, DropReason> {
    if tags > 2 || (tags > 0 && from.has(Vport::DROP_TAGGED)) {
        return Err(DropReason::InnerVlan);
    }
    Ok(tags)
}

/// Whether the port may use the CA. The first CA is in the vport itself.
#[inline(always)]
pub(super) fn owns<T: Tables>(tables: &T, port: &Vport, ca: [u8; 4]) -> bool {
    ca == port.ca || tables.port_has_ca(port.slot, ca)
}

#[inline(always)]
fn anti_spoof<T: Tables>(tables: &T, from: &Vport, headers: &Headers) -> Result<(), DropReason> {
    if headers.eth.src != from.mac {
        return Err(DropReason::SpoofMac);
    }
    match &headers.net {
        Net::Arp(arp) => arp::anti_spoof(tables, from, arp),
        Net::Ipv4 { header, .. } => {
            // A host without an address (DHCP) may broadcast from 0.0.0.0.
            let unaddressed = header.src == [0; 4] && headers.eth.dst.is_group();
            if unaddressed || owns(tables, from, header.src) {
                Ok(())
            } else {
                Err(DropReason::SpoofCa)
            }
        }
    }
}

#[inline(always)]
fn unicast(headers: &Headers) -> Result<(), DropReason> {
    if headers.eth.dst.is_group() {
        return Err(DropReason::BcastDisabled);
    }
    Ok(())
}

#[inline(always)]
fn lookup<'t, T: Tables>(
    tables: &'t T,
    from: &Vport,
    headers: &Headers,
    ca: [u8; 4],
) -> Result<&'t LookupRecord, Halt> {
    let absent = if headers.eth.dst == from.gateway_mac {
        DropReason::NoRoute
    } else {
        DropReason::NoLookupRecord
    };
    let Some(record) = tables.lookup(from.rdid, ca) else {
        return Err(absent_from(from, absent));
    };
    if record.has(LookupRecord::NEGATIVE) {
        return Err(absent.into());
    }
    if record.has(LookupRecord::GATEWAY) || record.vsid != from.vsid {
        return Err(DropReason::GatewayBound.into());
    }
    Ok(record)
}

/// No record of the CA: in the whole table there is none, of a partial one user space may know more.
#[inline(always)]
pub(super) fn absent_from(from: &Vport, reason: DropReason) -> Halt {
    if from.has(Vport::ON_DEMAND) {
        Halt::ask(Punt::Miss, DropReason::PuntFailed)
    } else {
        reason.into()
    }
}

#[inline(always)]
fn deliver<'t, T: Tables>(
    tables: &'t T,
    from: &Vport,
    headers: &Headers,
    record: &LookupRecord,
) -> Result<Deliver<'t>, DropReason> {
    let port = tables
        .vport(record.ifindex)
        .ok_or(DropReason::NoLocalPort)?;
    if port.slot == from.slot {
        return Err(DropReason::Hairpin);
    }
    fits_port(port, headers.segment)?;
    Ok(Deliver {
        ifindex: record.ifindex,
        port,
        dst_mac: record.mac,
    })
}

#[inline(always)]
fn next_hop<'t, T: Tables>(
    tables: &'t T,
    record: &LookupRecord,
) -> Result<&'t NextHop, DropReason> {
    let hop = tables
        .next_hop(record.pa_index)
        .ok_or(DropReason::PaNoRoute)?;
    match hop.state {
        NextHop::RESOLVED => Ok(hop),
        NextHop::NO_NEIGHBOUR => Err(DropReason::PaNeighUnresolved),
        _ => Err(DropReason::PaNoRoute),
    }
}

/// The packet, or each segment of it, fits the path with the outer header: an
/// NVE never fragments (RFC 7637, section 4.4).
#[inline(always)]
fn fits_path(hop: &NextHop, headers: &Headers) -> Result<(), Halt> {
    if headers.segment.wrapping_add(u32::from(MTU_COST)) > u32::from(hop.path_mtu) {
        return Err(Halt::ask(Punt::Oversize, DropReason::MtuExceeded));
    }
    Ok(())
}

#[inline(always)]
fn encap<T: Tables>(
    tables: &T,
    headers: &Headers,
    record: &LookupRecord,
    hop: &NextHop,
) -> Result<Encap, DropReason> {
    let config = tables.config().unwrap_or(&Config::DEFAULT);
    let total_len = headers
        .len
        .wrapping_add((ipv4::LEN as u32).wrapping_add(gre::LEN as u32));
    if total_len > u32::from(u16::MAX) {
        return Err(DropReason::EncapFailed);
    }
    let flow_id = if config.flow_id == 0 {
        0
    } else {
        flow::flow_id(&headers.net, config.seed)
    };
    let inner_tos = match &headers.net {
        Net::Ipv4 { header, .. } => header.tos(),
        Net::Arp(_) => 0,
    };
    let tos = ecn::outer_tos(inner_tos, config.dscp);
    Ok(Encap {
        ifindex: hop.ifindex,
        outer: OuterHeaders {
            eth: EthHeader::new(hop.dst_mac, hop.src_mac, ether::IPV4),
            ip: Ipv4Header::outer(
                tos,
                config.outer_ttl,
                total_len as u16,
                hop.src_v4(),
                hop.pa_v4(),
            ),
            gre: GreHeader::nvgre(record.vsid, flow_id),
        },
        dst_mac: record.mac,
    })
}

#[cfg(test)]
mod tests;
