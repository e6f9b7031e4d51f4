//! Other addresses in a packet (packet walk W7), and who asks for them.
//!
//! Whatever covers the addresses is updated by what they changed by (RFC 1624): the checksum of the IPv4
//! header, that of the upper layer, and in an ICMP error those of the packet that it quotes.

use dataplane_common::{
    forward::{
        self,
        neighbour::NeighbourReply,
        parse::{Frame as _, Headers, Kind},
        rewrite::{Pair, checksum_at},
    },
    id::{Address, Mac},
    reason::DropReason,
    wire::{
        checksum::Delta,
        ether::{self, EthHeader},
        icmp::{self, Advertisement},
        ipv4::{self, Ipv4Header},
        ipv6::{self, Addresses, Ipv6Header, Ipv6Start},
    },
};

use crate::{
    edit,
    maps::Maps,
    outcome::{self, Done, Outcome},
    packet::{Packet, tc::Skb},
    pipeline, scan,
};

/// Gives the packet, which begins at offset 0, the addresses and the Ethernet header that were decided.
/// For functions that are not inlined.
#[inline(always)]
pub fn readdress<P: Packet>(packet: &mut P) -> Result<(), DropReason> {
    let (headers, pair, eth) = scan::readdressed().ok_or(DropReason::Truncated)?;
    packet.store(0, *eth).ok_or(DropReason::Truncated)?;
    let v4 = headers.src.is_v4();
    let done = if v4 {
        edit::change_v4(packet, |ip| ip.with_addresses(pair.src, pair.dst))
    } else {
        let (src, dst) = (pair.src.to_bytes(), pair.dst.to_bytes());
        packet.rewrite(ether::LEN + ipv6::SRC, Addresses { src, dst })
    };
    done.ok_or(DropReason::Truncated)?;
    let at = checksum_at(v4, headers.protocol);
    if at != 0 && !headers.later {
        let change = change(headers, pair);
        let at = headers.upper(at);
        if at + size_of::<[u8; 2]>() > end(packet, v4) {
            return Err(DropReason::Truncated);
        }
        let done = if is_udp(headers.protocol) {
            resum_udp(packet, headers, at, change)
        } else {
            packet.resum(at, change, false)
        };
        done.ok_or(DropReason::Truncated)?;
    }
    if P::REQUOTES && headers.is_error() {
        return requote(packet, headers, pair).ok_or(DropReason::NatNotCarried);
    }
    Ok(())
}

/// Where the packet ends: behind that, a frame may have bytes that are nobody's.
#[inline(always)]
fn end<P: Packet>(packet: &P, v4: bool) -> usize {
    const V4_LEN: usize = ether::LEN + 2;
    const V6_LEN: usize = ether::LEN + 4;
    let (at, before) = if v4 { (V4_LEN, 0) } else { (V6_LEN, ipv6::LEN) };
    let len = match packet.load::<[u8; 2]>(at) {
        Some(len) => u16::from_be_bytes(len),
        None => 0,
    };
    ether::LEN + before + len as usize
}

/// The checksum of a UDP packet. Of a tunnel's, it is complete although the kernel says that the
/// packet's checksum is only begun, for it means the one inside. What is begun is the sum of the
/// pseudo-header; what is not that is complete.
#[inline(always)]
fn resum_udp<P: Packet>(packet: &mut P, headers: &Headers, at: usize, change: Delta) -> Option<()> {
    let [.., high, low, a, b]: [u8; 8] = packet.load(headers.upper(0))?;
    let (len, old) = (u16::from_be_bytes([high, low]), [a, b]);
    let whole = headers.protocol == ipv4::UDP && packet.gso_size() == 0;
    if whole && old != forward::rewrite::begun(headers, len) {
        return packet.rewrite(at, change.update_udp(old));
    }
    packet.resum(at, change, true)
}

/// What the new addresses change sums by.
#[inline(always)]
fn change(headers: &Headers, pair: &Pair) -> Delta {
    let src = Delta::of(headers.src, pair.src);
    src.and(Delta::of(headers.dst, pair.dst))
}

#[inline(always)]
const fn is_udp(protocol: u8) -> bool {
    protocol == ipv4::UDP || protocol == ipv4::UDP_LITE
}

/// The same change in the packet that an ICMP error quotes: it went the other way between the same
/// two. `None`: it did not.
#[inline(always)]
fn requote<P: Packet>(packet: &mut P, headers: &Headers, pair: &Pair) -> Option<()> {
    const CHECKSUM: usize = 2;
    let v4 = headers.src.is_v4();
    let quote = headers.upper(icmp::ERROR_LEN);
    let (upper, protocol) = if v4 {
        requote_v4(packet, quote, headers, pair)?
    } else {
        requote_v6(packet, quote, headers, pair)?
    };
    let change = change(headers, pair);
    let at = checksum_at(v4, protocol);
    let inner = at != 0 && requote_upper(packet, upper + at, (v4, is_udp(protocol)), change)?;
    // The error's own checksum covers the quote, in which the checksum of the IPv4 header made up for
    // its addresses, and that of the upper layer for both, if it was there.
    let own = match (v4, inner) {
        (true, false) | (false, true) => return Some(()),
        (true, true) => change.undone(),
        (false, false) => change,
    };
    packet.resum(headers.upper(CHECKSUM), own, false)
}

/// Where the quoted packet's upper-layer header is, and its protocol; 0 where it has none.
#[inline(always)]
fn requote_v4<P: Packet>(
    packet: &mut P,
    quote: usize,
    headers: &Headers,
    pair: &Pair,
) -> Option<(usize, u8)> {
    let ip: Ipv4Header = packet.load(quote)?;
    if ip.header_len() < ipv4::LEN as u16 {
        return None;
    }
    if Address::v4(ip.src) != headers.dst || Address::v4(ip.dst) != headers.src {
        return None;
    }
    packet.rewrite(quote, ip.with_addresses(pair.dst, pair.src))?;
    let protocol = if ip.is_later_fragment() {
        0
    } else {
        ip.protocol()
    };
    Some((quote + ip.header_len() as usize, protocol))
}

/// The same. Behind extension headers nothing is looked for.
#[inline(always)]
fn requote_v6<P: Packet>(
    packet: &mut P,
    quote: usize,
    headers: &Headers,
    pair: &Pair,
) -> Option<(usize, u8)> {
    let start: Ipv6Start = packet.load(quote)?;
    let quoted: Addresses = packet.load(quote + ipv6::SRC)?;
    if Address::v6(quoted.src) != headers.dst || Address::v6(quoted.dst) != headers.src {
        return None;
    }
    let (src, dst) = (pair.dst.to_bytes(), pair.src.to_bytes());
    packet.rewrite(quote + ipv6::SRC, Addresses { src, dst })?;
    Some((quote + ipv6::LEN, start.next_header()))
}

/// The checksum of the quoted upper layer; whether it changed.
#[inline(always)]
fn requote_upper<P: Packet>(
    packet: &mut P,
    at: usize,
    (v4, udp): (bool, bool),
    change: Delta,
) -> Option<bool> {
    let Some(old) = packet.load::<[u8; 2]>(at) else {
        return Some(false);
    };
    let nobodys = at + size_of::<[u8; 2]>() > end(packet, v4);
    if nobodys || (udp && old == [0; 2]) {
        return Some(false);
    }
    let new = if udp {
        change.update_udp(old)
    } else {
        change.update(old)
    };
    packet.rewrite(at, new)?;
    Some(true)
}

/// Who asks on an uplink for the PA of a port here gets an answer; whoever asks for another passes.
#[inline(always)]
pub fn asked(maps: &Maps, packet: &mut Skb) -> Outcome {
    let len = packet.len();
    outcome::of(answered(maps, packet), 0, 0, len)
}

#[inline(always)]
fn answered(maps: &Maps, packet: &mut Skb) -> Done {
    let Ok(headers) = packet.scan(0) else {
        return outcome::PASSED;
    };
    let Some(mac) = forward::rewrite::answer(maps, packet.ifindex(), headers) else {
        return outcome::PASSED;
    };
    if headers.kind == Kind::ArpRequest {
        let router = false;
        return pipeline::tell(packet, headers, &NeighbourReply { mac, router });
    }
    advertise(packet, headers, mac)?;
    Ok(pipeline::replied(packet))
}

/// Writes an advertisement over the solicitation, however long that is. Who has no address yet is
/// told with all others.
#[inline(always)]
fn advertise(packet: &mut Skb, question: &Headers, mac: Mac) -> Result<(), DropReason> {
    const LEN: usize = ether::LEN + ipv6::LEN + icmp::ADVERTISEMENT_LEN;
    if !packet.set_len(LEN as u32) {
        return Err(DropReason::Truncated);
    }
    let target = question.target;
    let nobody = question.src.is_unspecified();
    let (station, asker, message) = if nobody {
        let message = Advertisement::to_all(target, mac);
        (icmp::ALL_NODES_MAC, icmp::ALL_NODES, message)
    } else {
        let message = Advertisement::solicited(target, mac, false, question.src);
        (question.eth.src, question.src, message)
    };
    let eth = EthHeader::new(station, mac, ether::IPV6);
    packet.store(0, eth).ok_or(DropReason::Truncated)?;
    let len = icmp::ADVERTISEMENT_LEN as u16;
    let ip = Ipv6Header::new((0, 0), (ipv6::ICMP, 255), len, target, asker);
    edit::advertise(packet, (ip, message))
}
