//! The way of a packet. Read this first.
//!
//! Each step is one function with its own reasons to drop; the decisions are
//! `dataplane_common::forward`, the steps here only read and edit bytes.

use dataplane_common::{
    abi::{bucket, vport::Vport},
    forward::{
        self, Deliver, Egress, Encap, Halt, Tables as _,
        arp::ArpReply,
        ingress::{self, Tunnel},
        parse::{self, Headers, Net},
    },
    punt::Punt,
    reason::DropReason,
    wire::{
        ether::{self, EthHeader},
        gre::GreHeader,
        ipv4::{self, Ipv4Header},
        outer,
    },
};

use crate::{maps::Maps, packet::Packet};

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
    /// Left to user space.
    Punted,
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
    /// Index in `BUCKETS` of what pays for a punt.
    pub bucket: u32,
}

type Done = Result<(Verdict, Target), Halt>;

const PASSED: Done = Ok((Verdict::Passed, NOWHERE));
const NOWHERE: Target = Target {
    ifindex: 0,
    slot: 0,
    peer: 0,
};

#[inline(always)]
fn outcome(done: Done, slot: u32, bucket: u32, len: u32) -> Outcome {
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
pub fn handed(target: Target) -> Outcome {
    outcome(Ok((Verdict::Delivered, target)), 0, 0, 0)
}

/// vport -> underlay or another port of this host.
#[inline(always)]
pub fn egress<P: Packet>(packet: &mut P) -> Outcome {
    let len = packet.len();
    let Some(port) = Maps.vport(packet.ifindex()) else {
        return outcome(Err(DropReason::PortUnknown.into()), 0, 0, len);
    };
    let bucket = bucket::of_port(port.slot);
    outcome(from_port(packet, port), port.slot, bucket, len)
}

#[inline(always)]
fn from_port<P: Packet>(packet: &mut P, port: &Vport) -> Done {
    let tags = forward::egress::strip_tags(port, packet.tags())?;
    if tags > 0 && !packet.strip(tags)? {
        return PASSED;
    }
    let headers = parse::headers(packet, 0)?;
    match forward::egress(&Maps, port, &headers)? {
        Egress::Encap(encap) => encapsulate(packet, &headers, &encap),
        Egress::Deliver(deliver) => {
            set_dst(packet, &headers.eth, &deliver)?;
            packet.turn_inwards();
            Ok(delivered(&deliver, true))
        }
        Egress::Reply(reply) => answer(packet, &reply),
    }
}

#[inline(always)]
fn encapsulate<P: Packet>(packet: &mut P, headers: &Headers, encap: &Encap) -> Done {
    let eth = EthHeader::new(encap.dst_mac, headers.eth.src, headers.eth.ethertype());
    packet.push_outer(&encap.outer, eth)?;
    let target = Target {
        ifindex: encap.ifindex,
        ..NOWHERE
    };
    Ok((Verdict::Encapped, target))
}

#[inline(always)]
fn answer<P: Packet>(packet: &mut P, reply: &ArpReply) -> Done {
    packet.store(0, reply.eth).ok_or(DropReason::Truncated)?;
    packet
        .store(ether::LEN, reply.arp)
        .ok_or(DropReason::Truncated)?;
    let target = Target {
        ifindex: packet.ifindex(),
        ..NOWHERE
    };
    Ok((Verdict::Replied, target))
}

/// underlay -> vport; everything that is not NVGRE to one of our PAs passes.
#[inline(always)]
pub fn ingress<P: Packet>(packet: &mut P) -> Outcome {
    let len = packet.len();
    let mut bucket = 0;
    let done = match from_underlay(packet) {
        Ok(Some((tunnel, headers))) => {
            bucket = bucket::of_domain(tunnel.rdid);
            to_port(packet, &tunnel, &headers)
        }
        Ok(None) => PASSED,
        Err(reason) => Err(reason.into()),
    };
    outcome(done, 0, bucket, len)
}

/// The outer headers, checked; `None` when the packet is the host's.
#[inline(always)]
fn from_underlay<P: Packet>(packet: &mut P) -> Result<Option<(Tunnel, Headers)>, DropReason> {
    const GRE: usize = ether::LEN + ipv4::LEN;
    // A tagged frame belongs to a VLAN of the host, not to our underlay.
    if packet.tags() > 0 {
        return Ok(None);
    }
    match packet.load::<EthHeader>(0) {
        Some(eth) if eth.ethertype() == ether::IPV4 => {}
        _ => return Ok(None),
    }
    let Some(ip) = packet.load::<Ipv4Header>(ether::LEN) else {
        return Ok(None);
    };
    if !ingress::is_ours(&Maps, &ip) {
        return Ok(None);
    }
    let offset = ingress::gre_offset(&ip)?;
    let word: [u8; 4] = packet.load(offset).ok_or(DropReason::Truncated)?;
    if !ingress::is_nvgre(&Maps, &ip, &GreHeader::from_word(word))? {
        return Ok(None);
    }
    ingress::outer_valid(&ip, packet.len(), P::BEFORE_STACK)?;
    let gre: GreHeader = packet.load(GRE).ok_or(DropReason::Truncated)?;
    let tunnel = ingress::tunnel(&Maps, &ip, &gre, packet.load(outer::LEN))?;
    let headers = parse::headers(packet, outer::LEN)?;
    Ok(Some((tunnel, headers)))
}

#[inline(always)]
fn to_port<P: Packet>(packet: &mut P, tunnel: &Tunnel, headers: &Headers) -> Done {
    let accepted = ingress::ingress(&Maps, tunnel, headers)?;
    packet.pop_outer(headers.eth)?;
    if let Some(ip) = accepted.marked {
        packet
            .store(ether::LEN, ip)
            .ok_or(DropReason::DecapFailed)?;
    }
    // Decapsulation leaves the skb's protocol as the outer IP; only a device's
    // own transmit path sets it right for ARP.
    let ip = matches!(headers.net, Net::Ipv4 { .. });
    Ok(delivered(&accepted.deliver, ip))
}

#[inline(always)]
fn set_dst<P: Packet>(
    packet: &mut P,
    eth: &EthHeader,
    deliver: &Deliver<'_>,
) -> Result<(), DropReason> {
    let eth = EthHeader::new(deliver.dst_mac, eth.src, eth.ethertype());
    packet.store(0, eth).ok_or(DropReason::Truncated)
}

#[inline(always)]
fn delivered(deliver: &Deliver<'_>, may_peer: bool) -> (Verdict, Target) {
    let peer = may_peer && deliver.port.has(Vport::PEER);
    let target = Target {
        ifindex: deliver.ifindex,
        slot: deliver.port.slot,
        peer: u32::from(peer),
    };
    (Verdict::Delivered, target)
}
