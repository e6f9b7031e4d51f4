//! vport -> underlay or another port (packet walks W0 to W3).

use super::{
    Deliver, Edit, Halt, Tables,
    anti_spoof::{anti_spoof, is_gateway},
    ecn, fits_port, flow, mss_of,
    neighbour::{self, NeighbourReply},
    parse::{Headers, Kind},
    rewrite::{self, Rewrite},
    stricter, way,
};
use crate::{
    abi::{config::Config, lookup::LookupRecord, underlay::NextHop, vport::Vport},
    punt::Punt,
    reason::DropReason,
    wire::{
        gre::GreHeader,
        outer::{OuterHeaders, OverV4, OverV6, Tunnelled, mtu_cost},
    },
};

pub use super::broadcast::flood;

/// What becomes of a frame that a port sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// To another host.
    Encap(Encap),
    /// To another host, without an outer header.
    Rewrite(Rewrite),
    /// To another port of this host.
    Deliver(Deliver),
    /// Back to the sender: who has the CA.
    Neighbour(NeighbourReply),
    /// Back to the sender: the gateway is there.
    Echo,
    /// To all whom [`flood`] says.
    Flood,
}

/// A frame for another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encap {
    /// The underlay interface.
    pub ifindex: u32,
    /// What to put in front.
    pub outer: Tunnelled,
    /// What changes in the frame before.
    pub edit: Edit,
}

/// Takes what was decided; one of its methods is called, once. Programs write it where they have
/// room: of an enum that is not whole, the verifier refuses the unwritten part.
pub trait Taker {
    /// See [`Egress::Encap`].
    fn encap(&mut self, encap: Encap);
    /// See [`Egress::Rewrite`]: the index of the destination's PA, and what changes but the addresses.
    /// [`rewrite::egress`] is the step that follows.
    fn rewrite(&mut self, pa_index: u32, edit: Edit);
    /// See [`Egress::Deliver`].
    fn deliver(&mut self, deliver: Deliver);
    /// See [`Egress::Neighbour`].
    fn neighbour(&mut self, reply: NeighbourReply);
    /// See [`Egress::Echo`].
    fn echo(&mut self);
    /// See [`Egress::Flood`].
    fn flood(&mut self);
}

/// What was taken.
enum Taken {
    Nothing,
    Whole(Egress),
    /// See [`Taker::rewrite`].
    Rewrite(u32, Edit),
}

impl Taker for Taken {
    fn encap(&mut self, encap: Encap) {
        *self = Self::Whole(Egress::Encap(encap));
    }
    fn rewrite(&mut self, pa_index: u32, edit: Edit) {
        *self = Self::Rewrite(pa_index, edit);
    }
    fn deliver(&mut self, deliver: Deliver) {
        *self = Self::Whole(Egress::Deliver(deliver));
    }
    fn neighbour(&mut self, reply: NeighbourReply) {
        *self = Self::Whole(Egress::Neighbour(reply));
    }
    fn echo(&mut self) {
        *self = Self::Whole(Egress::Echo);
    }
    fn flood(&mut self) {
        *self = Self::Whole(Egress::Flood);
    }
}

/// Decides about a frame from the port `from`.
pub fn egress<T: Tables>(tables: &T, from: &Vport, headers: &Headers) -> Result<Egress, Halt> {
    let mut taken = Taken::Nothing;
    decide(tables, from, headers, &mut taken)?;
    match taken {
        Taken::Whole(decided) => Ok(decided),
        Taken::Rewrite(pa_index, edit) => {
            rewrite::egress(tables, from, headers, (pa_index, edit)).map(Egress::Rewrite)
        }
        Taken::Nothing => Err(DropReason::PortUnknown.into()),
    }
}

/// The same, told to a taker.
#[inline(always)]
pub fn decide<T: Tables>(
    tables: &T,
    from: &Vport,
    headers: &Headers,
    taker: &mut impl Taker,
) -> Result<(), Halt> {
    anti_spoof(tables, from, headers)?;
    if headers.kind.is_neighbour()
        && let Some(reply) = neighbour::answer(tables, from, headers)?
    {
        taker.neighbour(reply);
        return Ok(());
    }
    if headers.kind == Kind::NonIp && !from.has(Vport::NON_IP) {
        return Err(DropReason::NonIp.into());
    }
    if headers.eth.dst.is_group() {
        flood(tables, from, headers)?;
        taker.flood();
        return Ok(());
    }
    if is_gateway(from, headers.dst) {
        return echo(headers, taker);
    }
    let record = way::find(tables, from, headers)?;
    if record.has(LookupRecord::GATEWAY) {
        return echo(headers, taker);
    }
    let edit = route(from, headers, &record)?;
    if record.has(LookupRecord::LOCAL) {
        taker.deliver(deliver(tables, from, headers, &record, edit)?);
        return Ok(());
    }
    if record.has(LookupRecord::NO_TRANSLATION) {
        return Err(DropReason::NoTranslation.into());
    }
    let rewrites = record.has(LookupRecord::REWRITE);
    if rewrites != from.has(Vport::REWRITES) {
        return Err(DropReason::RuleMismatch.into());
    }
    let hop = next_hop(tables, record.pa_index)?;
    if rewrites {
        fits(hop, headers, 0)?;
        rewrite::carries(headers, &record)?;
        taker.rewrite(record.pa_index, edit);
        return Ok(());
    }
    fits_path(hop, headers)?;
    taker.encap(Encap {
        ifindex: hop.ifindex,
        outer: tunnelled(tables, headers, record.vsid, hop)?,
        edit,
    });
    Ok(())
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

/// No record of the CA: in the whole table there is none, of a partial one user space may know more.
#[inline(always)]
pub(super) fn absent_from(from: &Vport, reason: DropReason) -> Halt {
    if from.has(Vport::ON_DEMAND) {
        Halt::ask(Punt::Miss, DropReason::PuntFailed)
    } else {
        reason.into()
    }
}

/// The gateway is in every host; it answers pings.
#[inline(always)]
fn echo(headers: &Headers, taker: &mut impl Taker) -> Result<(), Halt> {
    if headers.is_echo_request() && !headers.src.is_unspecified() {
        taker.echo();
        return Ok(());
    }
    if !headers.kind.is_routable() {
        return Err(DropReason::GatewayBound.into());
    }
    Err(Halt::ask(Punt::ToGateway, DropReason::GatewayBound))
}

/// Between subnets, and to a next hop, the packet passes the distributed router: one hop.
#[inline(always)]
fn route(from: &Vport, headers: &Headers, record: &LookupRecord) -> Result<Edit, Halt> {
    let mut edit = Edit::to(headers, record.mac, headers.eth.src);
    edit.mss = mss_of(from, headers);
    // A next hop in the sender's own subnet is one hop further if the sender left it to the gateway.
    let routed = record.has(LookupRecord::VIA)
        && !from.has(Vport::EXTERNAL_ROUTER)
        && headers.eth.dst == from.gateway_mac;
    if record.vsid == from.vsid && !routed {
        return Ok(edit);
    }
    // Nor do packets of a link-local address leave its link (RFC 4291, section 2.5.6).
    if !headers.kind.is_routable() || headers.src.is_link_local() {
        return Err(DropReason::NoRoute.into());
    }
    if headers.ttl <= 1 {
        return Err(Halt::ask(Punt::TtlExceeded, DropReason::TtlExceeded));
    }
    edit.eth = Edit::to(headers, record.mac, from.gateway_mac).eth;
    edit.ttl = headers.ttl.wrapping_sub(1);
    Ok(edit)
}

#[inline(always)]
fn deliver<T: Tables>(
    tables: &T,
    from: &Vport,
    headers: &Headers,
    record: &LookupRecord,
    mut edit: Edit,
) -> Result<Deliver, Halt> {
    let port = tables
        .vport(record.ifindex)
        .ok_or(DropReason::NoLocalPort)?;
    if port.slot == from.slot {
        return Err(DropReason::Hairpin.into());
    }
    if let Err(reason) = fits_port(port, headers.segment) {
        return Err(Halt::ask(Punt::Oversize, reason));
    }
    if port.has(Vport::LEARNS) && headers.is_from_dhcp_server() {
        return Err(Halt::ask(Punt::DhcpAck, DropReason::PuntFailed));
    }
    edit.mss = stricter(edit.mss, mss_of(port, headers));
    Ok(Deliver {
        ifindex: record.ifindex,
        slot: port.slot,
        peer: port.has(Vport::PEER),
        edit,
    })
}

/// How the underlay reaches the PA, if it does.
#[inline(always)]
pub fn next_hop<T: Tables>(tables: &T, pa_index: u32) -> Result<&NextHop, DropReason> {
    let hop = tables.next_hop(pa_index).ok_or(DropReason::PaNoRoute)?;
    match hop.state {
        NextHop::RESOLVED => Ok(hop),
        NextHop::NO_NEIGHBOUR => Err(DropReason::PaNeighUnresolved),
        _ => Err(DropReason::PaNoRoute),
    }
}

/// The packet, or each segment of it, fits the path with the outer header: an
/// NVE never fragments (RFC 7637, section 4.4).
#[inline(always)]
pub fn fits_path(hop: &NextHop, headers: &Headers) -> Result<(), Halt> {
    fits(hop, headers, u32::from(mtu_cost(&hop.pa)))
}

/// The same, with `cost` bytes in front.
#[inline(always)]
fn fits(hop: &NextHop, headers: &Headers, cost: u32) -> Result<(), Halt> {
    if headers.segment.wrapping_add(cost) > u32::from(hop.path_mtu) {
        return Err(Halt::ask(Punt::Oversize, DropReason::MtuExceeded));
    }
    Ok(())
}

/// What the outer headers of the frame say on its way to the PA.
#[inline(always)]
pub fn tunnelled<T: Tables>(
    tables: &T,
    headers: &Headers,
    vsid: u32,
    hop: &NextHop,
) -> Result<Tunnelled, DropReason> {
    let config = tables.config().unwrap_or(&Config::DEFAULT);
    let most = if hop.pa.is_v4() {
        OverV4::MOST
    } else {
        OverV6::MOST
    };
    if headers.len > most {
        return Err(DropReason::EncapFailed);
    }
    let flow_id = if config.flow_id == 0 {
        0
    } else {
        flow::flow_id(headers, config.seed)
    };
    Ok(Tunnelled {
        dst_mac: hop.dst_mac,
        src_mac: hop.src_mac,
        src: hop.src,
        dst: hop.pa,
        tos: ecn::outer_tos(headers.tos, config.dscp),
        ttl: config.outer_ttl,
        gre: GreHeader::nvgre(vsid, flow_id),
        inner_len: headers.len,
    })
}

#[cfg(test)]
mod tests;
