//! Changes inside a tenant's frame, which begins at offset 0.

use dataplane_common::{
    forward::{
        Edit,
        parse::{Headers, Kind},
    },
    reason::DropReason,
    wire::{
        ether::{self, EthHeader},
        icmp::{Advertisement, IcmpHeader},
        ipv4::Ipv4Header,
        ipv6::{self, Ipv6Header},
    },
};

use crate::packet::Packet;

/// TTL of what the gateway sends.
const TTL: u8 = 64;

/// Does what the decision says, but for the Ethernet header.
#[inline(always)]
pub fn apply<P: Packet>(packet: &mut P, headers: &Headers, edit: &Edit) -> Result<(), DropReason> {
    if edit.ttl != headers.ttl || edit.tos != headers.tos {
        let done = if headers.eth.ethertype() == ether::IPV4 {
            change_v4(packet, |ip| ip.with_ttl(edit.ttl).with_tos(edit.tos))
        } else {
            change_v6(packet, |ip| ip.with_hop_limit(edit.ttl).with_tos(edit.tos))
        };
        done.ok_or(DropReason::Truncated)?;
    }
    if edit.mss != 0 {
        packet.clamp(headers.l4, u32::from(edit.mss));
    }
    Ok(())
}

/// A ping of the gateway becomes the gateway's answer.
#[inline(always)]
pub fn echo<P: Packet>(packet: &mut P, headers: &Headers) -> Result<(), DropReason> {
    let eth = EthHeader::new(headers.eth.src, headers.eth.dst, headers.eth.ethertype());
    packet.store(0, eth).ok_or(DropReason::Truncated)?;
    // Swapped addresses sum to the same, in the header and in the pseudo-header.
    let (turned, kind) = if headers.kind == Kind::Ipv4 {
        (change_v4(packet, |ip| ip.turned().with_ttl(TTL)), 0)
    } else {
        (change_v6(packet, |ip| ip.turned().with_hop_limit(TTL)), 129)
    };
    turned.ok_or(DropReason::Truncated)?;
    let at = headers.upper(0);
    let icmp: IcmpHeader = packet.load(at).ok_or(DropReason::Truncated)?;
    let stored = packet.store(at, icmp.with_kind(kind));
    stored.ok_or(DropReason::Truncated)
}

/// Writes an advertisement where the solicitation stood.
#[inline(always)]
pub fn advertise<P: Packet>(
    packet: &mut P,
    (ip, message): (Ipv6Header, Advertisement),
) -> Result<(), DropReason> {
    const UPPER: usize = ether::LEN + ipv6::LEN;
    packet.store(ether::LEN, ip).ok_or(DropReason::Truncated)?;
    packet.store(UPPER, message).ok_or(DropReason::Truncated)
}

/// Changes the IPv4 header.
#[inline(always)]
pub fn change_v4<P: Packet>(
    packet: &mut P,
    change: impl FnOnce(Ipv4Header) -> Ipv4Header,
) -> Option<()> {
    let ip = packet.load(ether::LEN)?;
    packet.rewrite(ether::LEN, change(ip))
}

#[inline(always)]
fn change_v6<P: Packet>(
    packet: &mut P,
    change: impl FnOnce(Ipv6Header) -> Ipv6Header,
) -> Option<()> {
    let ip = packet.load(ether::LEN)?;
    packet.rewrite(ether::LEN, change(ip))
}

/// Options of a SYN that are looked at; others than the first few know no segment size.
const OPTIONS: u32 = 6;

/// Lowers the segment size that a SYN announces. What cannot be read stays as it is. For functions
/// that are not inlined.
#[inline(always)]
pub fn clamp<P: Packet>(packet: &mut P, l4: u32, most: u32) {
    const FLAGS: usize = 13;
    const SYN: u8 = 0x02;
    const CHECKSUM: usize = 16;
    const HEADER: usize = 20;
    // No larger, as the parser saw and the verifier does not.
    let (l4, most) = ((l4 & 0x3FFF) as usize, most as u16);
    let Some([flags]) = packet.load::<[u8; 1]>(l4 + FLAGS) else {
        return;
    };
    if flags & SYN == 0 {
        return;
    }
    let mut at = l4 + HEADER;
    for _ in 0..OPTIONS {
        let Some([kind, len, high, low]) = packet.load::<[u8; 4]>(at) else {
            return;
        };
        match (kind, len) {
            (0, _) => return,
            (1, _) => at += 1,
            (2, 4) => {
                if u16::from_be_bytes([high, low]) > most {
                    packet.replace(l4 + CHECKSUM, at + 2, [high, low], most.to_be_bytes());
                }
                return;
            }
            (_, len) if len >= 2 => at += len as usize,
            _ => return,
        }
    }
}
