//! The way of a packet. Read this first.
//!
//! Each step is one function with its own reasons to drop; the decisions are
//! `dataplane_common::forward`, the steps here only read and edit bytes.

use dataplane_common::{
    abi::{bucket, vport::Vport},
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
    packet::Packet,
    scan::{self, Found},
};

/// What was done with a packet; the entry point tells the kernel. One word: a
/// variant with fields of its own would leave registers unwritten on the other
/// ways, and the verifier refuses a program that so much as copies one.
#[derive(Clone, Copy)]
pub enum Verdict {
    /// An outer header is in front; it goes out of the uplink.
    Encapped,
    /// It goes to a port of this host.
    Delivered,
    /// It became an answer to its sender.
    Replied,
    /// Untouched; at XDP, left to the TC program.
    Passed,
    /// As it is, or with a VLAN tag, out of an interface.
    Sent,
    /// Another program decides: of a port that is not virtualized, or with a VLAN tag from the
    /// underlay.
    Plain,
    /// Left to user space.
    Punted,
    /// Copies are to be made, by another program.
    Flood,
    /// Copies of it were sent.
    Flooded,
    /// It ends here.
    Dropped(DropReason),
}

/// Where a packet goes; all zero when nowhere.
#[derive(Clone, Copy, Default)]
pub struct Target {
    /// Device.
    pub ifindex: u32,
    /// Slot of the port that gets it.
    pub slot: u32,
    /// 1: by `bpf_redirect_peer`.
    pub peer: u32,
}

/// What was done, and whose counters move.
#[derive(Clone, Copy)]
pub struct Outcome {
    /// What was done.
    pub verdict: Verdict,
    /// Why user space shall have the packet instead, if it can be reached.
    pub punt: Option<Punt>,
    /// Where it goes.
    pub target: Target,
    /// Slot of the port that sent it; 0 when it came from the underlay.
    pub slot: u32,
    /// Bytes of the frame as it came.
    pub len: u32,
    /// Index in `BUCKETS` of what pays for a punt, if that is not the port that sent it.
    pub bucket: u32,
}

impl Outcome {
    /// Index in `BUCKETS` of what pays for a punt.
    #[inline(always)]
    pub const fn payer(&self) -> u32 {
        if self.slot == 0 {
            self.bucket
        } else {
            bucket::of_port(self.slot)
        }
    }
}

/// What a way through the pipeline ends with.
pub type Done = Result<(Verdict, Target), Halt>;

const PASSED: Done = Ok((Verdict::Passed, NOWHERE));
const PLAIN: Done = Ok((Verdict::Plain, NOWHERE));
/// Of a packet that does not go on itself.
pub const NOWHERE: Target = Target {
    ifindex: 0,
    slot: 0,
    peer: 0,
};

/// Of what a way ended with: whose counters move.
#[inline(always)]
pub fn outcome(done: Done, slot: u32, bucket: u32, len: u32) -> Outcome {
    let mut punt = None;
    let (verdict, target) = match done {
        Ok(done) => done,
        Err(halt) => {
            punt = halt.punt;
            (Verdict::Dropped(halt.reason), NOWHERE)
        }
    };
    Outcome {
        verdict,
        punt,
        target,
        slot,
        len,
        bucket,
    }
}

/// A frame that ends here for a reason of no port's.
#[inline(always)]
pub fn dropped(reason: DropReason, len: u32) -> Outcome {
    outcome(Err(reason.into()), 0, 0, len)
}

/// A frame that user space made for a port.
#[inline(always)]
pub fn handed(target: Target, len: u32) -> Outcome {
    outcome(Ok((Verdict::Delivered, target)), 0, 0, len)
}

/// vport -> underlay or another port of this host.
#[inline(always)]
pub fn egress<P: Packet>(maps: &Maps, packet: &mut P) -> Outcome {
    let len = packet.len();
    let Some(port) = maps.vport(packet.ifindex()) else {
        return outcome(Err(DropReason::PortUnknown.into()), 0, 0, len);
    };
    outcome(from_port(packet, port), port.slot, 0, len)
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
    let headers = packet.scan(0)?;
    match scan::egress(port)? {
        Found::Encap(outer, ifindex, edit) => encapsulate(packet, headers, outer, ifindex, edit),
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

/// Who has the CA that the port asked about.
#[inline(always)]
fn tell<P: Packet>(packet: &mut P, question: &Headers, reply: &NeighbourReply) -> Done {
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

#[inline(always)]
fn replied<P: Packet>(packet: &P) -> (Verdict, Target) {
    let target = Target {
        ifindex: packet.ifindex(),
        ..NOWHERE
    };
    (Verdict::Replied, target)
}

/// underlay -> vport; everything that is not NVGRE to one of our PAs passes.
#[inline(always)]
pub fn ingress<P: Packet>(maps: &Maps, packet: &mut P) -> Outcome {
    let len = packet.len();
    // A tagged frame belongs to a VLAN, of the host or of ports, not to our underlay.
    if packet.tags() > 0 {
        return outcome(PLAIN, 0, 0, len);
    }
    let (done, rdid) = match from_underlay(maps, packet) {
        Ok(tunnel) => (decapsulate(maps, packet, &tunnel), tunnel.rdid),
        Err(stop) if stop.pass => (PASSED, 0),
        Err(stop) => (Err(stop.halt), 0),
    };
    outcome(done, 0, bucket::of_domain(rdid), len)
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
pub fn from_underlay<P: Packet>(maps: &Maps, packet: &P) -> Result<Tunnel, Stop> {
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
    let inner = outer::inner_ethertype(packet, offset);
    Ok(outer::tunnel(maps, &ip, &gre, inner)?)
}

#[inline(always)]
fn decapsulate<P: Packet>(maps: &Maps, packet: &mut P, tunnel: &Tunnel) -> Done {
    let headers = packet.scan(tunnel.outer_len())?;
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
    outcome(copy(maps, packet, port, pa_index), port.slot, 0, len)
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
