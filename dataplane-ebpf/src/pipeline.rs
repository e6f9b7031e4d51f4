//! The way of a packet. Read this first.
//!
//! Each step is one function with its own reasons to drop; the decisions are
//! `dataplane_common::forward`, the steps here only read and edit bytes.

use dataplane_common::{
    abi::{bucket, config::Config, rewrite::RewriteEntry, vport::Vport},
    forward::{
        self, Edit, Halt, Tables as _,
        ingress::Ingress,
        neighbour::NeighbourReply,
        outer::{self, Tunnel},
        parse::{Headers, Kind},
    },
    punt::Punt,
    reason::DropReason,
    wire::{
        ether,
        gre::GreHeader,
        outer::{OverV4, OverV6, Tunnelled},
    },
};

use crate::{
    edit,
    maps::Maps,
    outcome::{self, ASKED, Done, NOWHERE, Outcome, PASSED, PLAIN, Target, Verdict},
    packet::Packet,
    scan::{self, Found},
};

/// vport -> underlay or another port of this host.
#[inline(always)]
pub fn egress<P: Packet>(maps: &Maps, packet: &mut P) -> Outcome {
    let len = packet.len();
    let Some(port) = maps.vport(packet.ifindex()) else {
        return outcome::of(Err(DropReason::PortUnknown.into()), 0, 0, len);
    };
    outcome::of(from_port(packet, port), port.slot, 0, len)
}

#[inline(always)]
fn from_port<P: Packet>(packet: &mut P, port: &Vport) -> Done {
    if port.has(Vport::PLAIN) {
        return PLAIN;
    }
    let tags = forward::egress::strip_tags(port, packet.tags())?;
    if tags > 0 && !packet.strip(tags)? {
        return PASSED;
    }
    let (headers, found) = scan::egress(packet, port)?;
    match found {
        Found::Encap(outer, ifindex, edit) => encapsulate(packet, headers, outer, ifindex, edit),
        Found::Rewrite(ifindex, edit) => readdress(packet, headers, ifindex, edit),
        Found::Deliver(ifindex, slot, peer, edit) => {
            edit::apply(packet, headers, edit)?;
            let eth = edit.eth;
            packet.store(0, eth).ok_or(DropReason::Truncated)?;
            packet.turn_inwards();
            let peer = peer && packet.may_peer(&eth);
            Ok(delivered(ifindex, slot, peer))
        }
        Found::Neighbour(reply) => tell(packet, headers, &reply),
        Found::Echo => {
            edit::echo(packet, headers)?;
            Ok(replied(packet))
        }
        Found::Flood => Ok((Verdict::Flood, NOWHERE)),
    }
}

#[inline(always)]
fn encapsulate<P: Packet>(
    packet: &mut P,
    headers: &Headers,
    outer: &Tunnelled,
    ifindex: u32,
    edit: &Edit,
) -> Done {
    edit::apply(packet, headers, edit)?;
    let eth = edit.eth;
    if outer.dst.is_v4() {
        packet.push_outer::<OverV4>(outer, eth)?;
    } else {
        packet.push_outer::<OverV6>(outer, eth)?;
    }
    let target = Target { ifindex, ..NOWHERE };
    Ok((Verdict::Encapped, target))
}

/// PAs in place of the CAs.
#[inline(always)]
fn readdress<P: Packet>(packet: &mut P, headers: &Headers, ifindex: u32, edit: &Edit) -> Done {
    if headers.is_error() && !P::REQUOTES {
        return PASSED;
    }
    edit::apply(packet, headers, edit)?;
    packet.readdress()?;
    let target = Target { ifindex, ..NOWHERE };
    Ok((Verdict::Rewritten, target))
}

/// Who has the CA that the port asked about.
#[inline(always)]
pub fn tell<P: Packet>(packet: &mut P, question: &Headers, reply: &NeighbourReply) -> Done {
    let eth = reply.eth(question);
    packet.store(0, eth).ok_or(DropReason::Truncated)?;
    if question.kind == Kind::ArpRequest {
        packet
            .store(ether::LEN, reply.arp(question))
            .ok_or(DropReason::Truncated)?;
    } else {
        edit::advertise(packet, reply.advertisement(question))?;
    }
    Ok(replied(packet))
}

/// It goes back where it came from.
#[inline(always)]
pub fn replied<P: Packet>(packet: &P) -> (Verdict, Target) {
    let target = Target {
        ifindex: packet.ifindex(),
        ..NOWHERE
    };
    (Verdict::Replied, target)
}

/// underlay -> vport; what is neither NVGRE to one of our PAs nor for the PA of a port passes.
#[inline(always)]
pub fn ingress<P: Packet>(maps: &Maps, packet: &mut P) -> Outcome {
    let len = packet.len();
    // A tagged frame belongs to a VLAN, of the host or of ports, not to our underlay.
    if packet.tags() > 0 {
        return outcome::of(PLAIN, 0, 0, len);
    }
    let (done, rdid) = match from_underlay(maps, packet) {
        Ok(tunnel) => (decapsulate(maps, packet, tunnel), tunnel.rdid),
        Err(stop) if stop.pass => bare(maps, packet),
        Err(stop) => (Err(stop.halt), 0),
    };
    outcome::of(done, 0, bucket::of_domain(rdid), len)
}

/// Without an outer header: for the PA of a port here, or the host's. And the domain that it is of.
#[inline(always)]
fn bare<P: Packet>(maps: &Maps, packet: &mut P) -> (Done, u32) {
    let config = maps.config().unwrap_or(&Config::DEFAULT);
    if config.rewrites == 0 {
        return (PASSED, 0);
    }
    if forward::rewrite::is_question(packet) {
        return (ASKED, 0);
    }
    let Some(ip) = outer::ip(packet) else {
        return (PASSED, 0);
    };
    match forward::rewrite::receiver(maps, packet, &ip) {
        Some(to) => (rewrite_back(packet, to), to.rdid),
        None => (PASSED, 0),
    }
}

/// CAs in place of the PAs.
#[inline(always)]
fn rewrite_back<P: Packet>(packet: &mut P, to: &RewriteEntry) -> Done {
    let headers = packet.scan(0)?;
    if headers.is_error() && !P::REQUOTES {
        return PASSED;
    }
    let back = scan::back(to)?;
    edit::apply(packet, headers, back.edit)?;
    packet.readdress()?;
    packet.turn_inwards();
    let peer = back.peer && packet.may_peer(&back.edit.eth);
    Ok(delivered(back.ifindex, back.slot, peer))
}

/// Why a packet of an uplink is not looked into. All of it always written: see [`Verdict`].
#[derive(Clone, Copy)]
pub struct Stop {
    /// It is the host's.
    pub pass: bool,
    /// It ends here.
    pub halt: Halt,
}

const PASS: Stop = Stop {
    pass: true,
    halt: Halt {
        reason: DropReason::BcastFailed,
        punt: None,
    },
};

impl<T: Into<Halt>> From<T> for Stop {
    #[inline(always)]
    fn from(halt: T) -> Self {
        let (pass, halt) = (false, halt.into());
        Self { pass, halt }
    }
}

/// The outer headers, checked. The frame has no tags.
#[inline(always)]
pub fn from_underlay<P: Packet>(maps: &Maps, packet: &P) -> Result<&'static Tunnel, Stop> {
    let ip = outer::ip(packet).ok_or(PASS)?;
    if !outer::is_ours(maps, &ip) {
        return Err(if outer::is_too_big(maps, packet, &ip) {
            Halt::ask(Punt::PathMtu, DropReason::PuntFailed).into()
        } else {
            PASS
        });
    }
    let offset = outer::gre_offset(&ip)?;
    let word: [u8; 4] = packet.load(offset).ok_or(DropReason::Truncated)?;
    if !outer::is_nvgre(maps, &ip, &GreHeader::from_word(word))? {
        return Err(PASS);
    }
    outer::valid(packet, &ip, P::BEFORE_STACK)?;
    let gre: GreHeader = packet.load(offset).ok_or(DropReason::Truncated)?;
    let inner = outer::inner(packet, offset);
    Ok(scan::keep_tunnel(outer::tunnel(maps, &ip, &gre, &inner)?)?)
}

#[inline(always)]
fn decapsulate<P: Packet>(maps: &Maps, packet: &mut P, tunnel: &Tunnel) -> Done {
    let headers = packet.scan_inner(scan::offset_of_inner(tunnel)?)?;
    match forward::ingress::ingress(maps, tunnel, headers)? {
        Ingress::Deliver(deliver) => {
            strip_outer(packet, tunnel, headers)?;
            edit::apply(packet, headers, &deliver.edit)?;
            let peer = deliver.peer && packet.may_peer(&headers.eth);
            Ok(delivered(deliver.ifindex, deliver.slot, peer))
        }
        Ingress::Flood => Ok((Verdict::Flood, NOWHERE)),
    }
}

/// Takes the outer headers away.
#[inline(always)]
pub fn strip_outer<P: Packet>(
    packet: &mut P,
    tunnel: &Tunnel,
    headers: &Headers,
) -> Result<(), DropReason> {
    if tunnel.pa.is_v4() {
        packet.pop_outer::<OverV4>(headers.eth)
    } else {
        packet.pop_outer::<OverV6>(headers.eth)
    }
}

#[inline(always)]
fn delivered(ifindex: u32, slot: u32, peer: bool) -> (Verdict, Target) {
    let target = Target {
        ifindex,
        slot,
        peer: u32::from(peer),
    };
    (Verdict::Delivered, target)
}

/// One copy of a broadcast that user space spreads: to the PA with this index.
#[inline(always)]
pub fn copy_encapped<P: Packet>(
    maps: &Maps,
    packet: &mut P,
    port: &Vport,
    pa_index: u32,
) -> Outcome {
    let len = packet.len();
    outcome::of(copy(maps, packet, port, pa_index), port.slot, 0, len)
}

#[inline(always)]
fn copy<P: Packet>(maps: &Maps, packet: &mut P, port: &Vport, pa_index: u32) -> Done {
    let headers = packet.scan(0)?;
    let hop = forward::egress::next_hop(maps, pa_index)?;
    forward::egress::fits_path(hop, headers).map_err(|halt| halt.reason)?;
    let outer = forward::egress::tunnelled(maps, headers, port.vsid, hop)?;
    let edit = forward::Edit::to(headers, headers.eth.dst, headers.eth.src);
    encapsulate(packet, headers, scan::keep(outer)?, hop.ifindex, &edit)
}
