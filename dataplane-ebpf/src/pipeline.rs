//! The way of a packet. Read this first.
//!
//! Each step is one function with its own reasons to drop; the decisions are
//! `dataplane_common::forward`, the steps here only read and edit bytes.

use dataplane_common::{
    abi::vport::Vport,
    forward::{
        self, Deliver, Egress, Encap, Tables as _,
        arp::ArpReply,
        ingress::{self, Ingress, Tunnel},
        parse::{self, Headers, Net},
    },
    reason::DropReason,
    wire::{
        ether::{self, EthHeader},
        gre::GreHeader,
        ipv4::{self, Ipv4Header},
        outer,
    },
};

use crate::{maps::Maps, packet::Packet};

/// What was done with a packet; the entry point tells the kernel.
#[derive(Clone, Copy)]
pub enum Verdict {
    /// An outer header is in front; it goes out of the uplink.
    Encapped { ifindex: u32 },
    /// It goes to a port of this host, whose counters are in `slot`. `peer`: by
    /// `bpf_redirect_peer`.
    Delivered { ifindex: u32, slot: u32, peer: bool },
    /// It became an answer to its sender.
    Replied { ifindex: u32 },
    /// Untouched; at XDP, left to the TC program.
    Passed,
}

/// A verdict or a drop, and whose counters move.
pub struct Outcome {
    /// What was done, or why the packet ends here.
    pub verdict: Result<Verdict, DropReason>,
    /// Slot of the port; 0 while none is known.
    pub slot: u32,
    /// Bytes of the frame as it came.
    pub len: u32,
}

/// vport -> underlay or another port of this host.
#[inline(always)]
pub fn egress<P: Packet>(packet: &mut P) -> Outcome {
    let len = packet.len();
    let Some(port) = Maps.vport(packet.ifindex()) else {
        return Outcome {
            verdict: Ok(Verdict::Passed),
            slot: 0,
            len,
        };
    };
    let verdict = from_port(packet, port);
    Outcome {
        verdict,
        slot: port.slot,
        len,
    }
}

#[inline(always)]
fn from_port<P: Packet>(packet: &mut P, port: &Vport) -> Result<Verdict, DropReason> {
    let tags = forward::egress::strip_tags(port, packet.tags())?;
    if tags > 0 && !packet.strip(tags)? {
        return Ok(Verdict::Passed);
    }
    let headers = parse::headers(packet, 0)?;
    match forward::egress(&Maps, port, &headers)? {
        Egress::Encap(encap) => encapsulate(packet, &headers, &encap),
        Egress::Deliver(deliver) => {
            set_dst(packet, &headers.eth, &deliver)?;
            Ok(delivered(&deliver, true))
        }
        Egress::Reply(reply) => answer(packet, &reply),
    }
}

#[inline(always)]
fn encapsulate<P: Packet>(
    packet: &mut P,
    headers: &Headers,
    encap: &Encap,
) -> Result<Verdict, DropReason> {
    let eth = EthHeader::new(encap.dst_mac, headers.eth.src, headers.eth.ethertype());
    packet.push_outer(&encap.outer, eth)?;
    Ok(Verdict::Encapped {
        ifindex: encap.ifindex,
    })
}

#[inline(always)]
fn answer<P: Packet>(packet: &mut P, reply: &ArpReply) -> Result<Verdict, DropReason> {
    packet.store(0, reply.eth).ok_or(DropReason::Truncated)?;
    packet
        .store(ether::LEN, reply.arp)
        .ok_or(DropReason::Truncated)?;
    Ok(Verdict::Replied {
        ifindex: packet.ifindex(),
    })
}

/// underlay -> vport; everything that is not NVGRE to one of our PAs passes.
#[inline(always)]
pub fn ingress<P: Packet>(packet: &mut P) -> Outcome {
    let len = packet.len();
    let (verdict, slot) = match from_underlay(packet) {
        Ok(Some((tunnel, headers))) => to_port(packet, &tunnel, &headers),
        Ok(None) => (Ok(Verdict::Passed), 0),
        Err(reason) => (Err(reason), 0),
    };
    Outcome { verdict, slot, len }
}

/// The outer headers, checked; `None` when the packet is the host's.
#[inline(always)]
fn from_underlay<P: Packet>(packet: &mut P) -> Result<Option<(Tunnel, Headers)>, DropReason> {
    const GRE: usize = ether::LEN + ipv4::LEN;
    // A tagged frame belongs to a VLAN of the host, not to our underlay.
    if packet.tags() > 0 {
        return Ok(None);
    }
    let (Some(eth), Some(ip)) = (
        packet.load::<EthHeader>(0),
        packet.load::<Ipv4Header>(ether::LEN),
    ) else {
        return Ok(None);
    };
    if !ingress::is_ours(&Maps, &eth, &ip) {
        return Ok(None);
    }
    ingress::outer_valid(&ip, packet.len(), P::BEFORE_STACK)?;
    let word: [u8; 4] = packet.load(GRE).ok_or(DropReason::Truncated)?;
    if !ingress::is_nvgre(&Maps, &ip, &GreHeader::from_word(word))? {
        return Ok(None);
    }
    let gre: GreHeader = packet.load(GRE).ok_or(DropReason::Truncated)?;
    let tunnel = ingress::tunnel(&Maps, &ip, &gre, packet.load(outer::LEN))?;
    let headers = parse::headers(packet, outer::LEN)?;
    Ok(Some((tunnel, headers)))
}

#[inline(always)]
fn to_port<P: Packet>(
    packet: &mut P,
    tunnel: &Tunnel,
    headers: &Headers,
) -> (Result<Verdict, DropReason>, u32) {
    match ingress::ingress(&Maps, tunnel, headers) {
        Ok(accepted) => (
            decapsulate(packet, headers, &accepted),
            accepted.deliver.port.slot,
        ),
        Err(reason) => (Err(reason), 0),
    }
}

#[inline(always)]
fn decapsulate<P: Packet>(
    packet: &mut P,
    headers: &Headers,
    accepted: &Ingress<'_>,
) -> Result<Verdict, DropReason> {
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
fn delivered(deliver: &Deliver<'_>, may_peer: bool) -> Verdict {
    Verdict::Delivered {
        ifindex: deliver.ifindex,
        slot: deliver.port.slot,
        peer: may_peer && deliver.port.has(Vport::PEER),
    }
}
