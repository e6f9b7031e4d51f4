//! What a gateway tells a tenant about a packet that it does not forward (RFC 792, RFC 1191,
//! RFC 4443).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dataplane_common::id::Mac;
use etherparse::{
    Ethernet2Header, Icmpv4Type, Icmpv6Type, IpDscp, IpHeaders, IpNumber, Ipv4Extensions,
    Ipv4Header, Ipv6Extensions, Ipv6Header, PacketBuilder, icmpv4, icmpv4::DestUnreachableHeader,
    icmpv6,
};

use super::packet::{Packet, Part, is_host};

/// Bytes of an answer over IPv4 at most (RFC 1812, section 4.3.2.3).
const IPV4_ANSWER: usize = 576;
/// Bytes of an answer over IPv6 at most, and the smallest MTU of a link (RFC 4443, section 2.4(c)).
const IPV6_ANSWER: usize = 1280;
/// Bytes of IP and ICMP headers in front of what is quoted.
const IPV4_HEADERS: usize = 20 + 8;
const IPV6_HEADERS: usize = 40 + 8;
const HOP_LIMIT: u8 = 64;
/// Precedence of network control (RFC 1812, section 4.3.2.5): DSCP CS6.
const DSCP: u8 = 48;

/// Who answers a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its MAC in the routing domain.
    pub mac: Mac,
    /// Its CA in the tenant's subnet, of the packet's family.
    pub ca: IpAddr,
}

/// What a tenant is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The packet may not be cut, and does not fit: the largest packet that does has so many bytes.
    ///
    /// Over IPv6 never less than 1280 is told: no link carries less (RFC 8200, section 5), and a
    /// host takes no notice of less (RFC 8201, section 4).
    TooBig(u16),
    /// The packet's TTL or hop limit ended here.
    TimeExceeded,
    /// The gateway itself was meant, where nothing listens.
    PortUnreachable,
}

/// The answer to `frame`, an untagged frame of a tenant.
///
/// `None` where RFC 1122, section 3.2.2 or RFC 4443, section 2.4(e) forbid one: to an ICMP error or
/// a redirect, to a later fragment over IPv4, to or from a group or nobody. RFC 4443 lets "too big"
/// answer packets to groups, which a gateway does not route. `None` too where the frame is no IP
/// packet, or one of the other family.
pub fn answer(frame: &[u8], gateway: &Gateway, told: Told) -> Option<Vec<u8>> {
    let (link, packet) = Packet::framed(frame)?;
    if !may_be_answered(&link, &packet) {
        return None;
    }
    let builder = PacketBuilder::ethernet2(gateway.mac.0, link.source);
    let mut bytes = Vec::new();
    match (gateway.ca, packet.source) {
        (IpAddr::V4(from), IpAddr::V4(to)) => builder
            .ip(ipv4(from, to)?)
            .icmpv4(icmpv4_type(told))
            .write(&mut bytes, cut(packet.bytes, IPV4_ANSWER - IPV4_HEADERS)),
        (IpAddr::V6(from), IpAddr::V6(to)) => builder
            .ip(ipv6(from, to))
            .icmpv6(icmpv6_type(told))
            .write(&mut bytes, cut(packet.bytes, IPV6_ANSWER - IPV6_HEADERS)),
        _ => return None,
    }
    .ok()?;
    Some(bytes)
}

/// What another router said, as the gateway says it: type and code, the four bytes behind the
/// checksum, and what it quotes, for the station with this MAC and CA.
///
/// `None` where the CAs are of two families.
pub fn relayed(
    gateway: &Gateway,
    (mac, ca): (Mac, IpAddr),
    ([kind, code], rest): ([u8; 2], [u8; 4]),
    quote: &[u8],
) -> Option<Vec<u8>> {
    let builder = PacketBuilder::ethernet2(gateway.mac.0, mac.0);
    let mut bytes = Vec::new();
    match (gateway.ca, ca) {
        (IpAddr::V4(from), IpAddr::V4(to)) => builder
            .ip(ipv4(from, to)?)
            .icmpv4_raw(kind, code, rest)
            .write(&mut bytes, cut(quote, IPV4_ANSWER - IPV4_HEADERS)),
        (IpAddr::V6(from), IpAddr::V6(to)) => builder
            .ip(ipv6(from, to))
            .icmpv6_raw(kind, code, rest)
            .write(&mut bytes, cut(quote, IPV6_ANSWER - IPV6_HEADERS)),
        _ => return None,
    }
    .ok()?;
    Some(bytes)
}

fn may_be_answered(link: &Ethernet2Header, packet: &Packet<'_>) -> bool {
    let stations = Mac(link.source).is_station() && !Mac(link.destination).is_group();
    stations && is_host(packet.source) && is_host(packet.destination) && may_be_told_of(packet)
}

/// Whether it is known to be no error: of a later fragment of ICMP it is not.
fn may_be_told_of(packet: &Packet<'_>) -> bool {
    let is_icmp = match packet.source {
        IpAddr::V4(_) => packet.protocol == IpNumber::ICMP,
        IpAddr::V6(_) => packet.protocol == IpNumber::IPV6_ICMP,
    };
    if packet.part == Part::Later {
        return packet.source.is_ipv6() && !is_icmp;
    }
    let kind = packet.payload.first().copied();
    !is_icmp || kind.is_some_and(|kind| !is_error(packet.source, kind))
}

const fn is_error(family: IpAddr, kind: u8) -> bool {
    match family {
        IpAddr::V4(_) => matches!(
            kind,
            icmpv4::TYPE_DEST_UNREACH
                | icmpv4::TYPE_SOURCE_QUENCH
                | icmpv4::TYPE_REDIRECT
                | icmpv4::TYPE_TIME_EXCEEDED
                | icmpv4::TYPE_PARAMETER_PROBLEM
        ),
        // The upper half are informational messages (RFC 4443, section 2.1).
        IpAddr::V6(_) => kind < 128 || kind == icmpv6::TYPE_REDIRECT_MESSAGE,
    }
}

fn cut(quote: &[u8], room: usize) -> &[u8] {
    quote.get(..room).unwrap_or(quote)
}

const fn icmpv4_type(told: Told) -> Icmpv4Type {
    Icmpv4Type::DestinationUnreachable(match told {
        Told::TooBig(next_hop_mtu) => DestUnreachableHeader::FragmentationNeeded { next_hop_mtu },
        Told::PortUnreachable => DestUnreachableHeader::Port,
        Told::TimeExceeded => {
            return Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit);
        }
    })
}

fn icmpv6_type(told: Told) -> Icmpv6Type {
    match told {
        Told::TooBig(mtu) => Icmpv6Type::PacketTooBig {
            mtu: u32::from(mtu).max(1280),
        },
        Told::PortUnreachable => {
            Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port)
        }
        Told::TimeExceeded => Icmpv6Type::TimeExceeded(icmpv6::TimeExceededCode::HopLimitExceeded),
    }
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr) -> Option<IpHeaders> {
    let (from, to) = (from.octets(), to.octets());
    let mut header = Ipv4Header::new(0, HOP_LIMIT, IpNumber::ICMP, from, to).ok()?;
    header.dscp = IpDscp::try_new(DSCP).ok()?;
    header.dont_fragment = false;
    Some(IpHeaders::Ipv4(header, Ipv4Extensions::default()))
}

fn ipv6(from: Ipv6Addr, to: Ipv6Addr) -> IpHeaders {
    let header = Ipv6Header {
        traffic_class: DSCP << 2,
        hop_limit: HOP_LIMIT,
        next_header: IpNumber::IPV6_ICMP,
        source: from.octets(),
        destination: to.octets(),
        ..Ipv6Header::default()
    };
    IpHeaders::Ipv6(header, Ipv6Extensions::default())
}

#[cfg(test)]
mod tests;
