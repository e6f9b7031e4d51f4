//! What user space reads of a packet that it answers or learns from, for both families.
//!
//! Nothing here trusts a length: a field is there or the packet is not read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    EtherType, Ethernet2Header, Icmpv6Slice, IpNumber, Ipv6ExtensionSlice, LaxIpSlice,
    LaxIpv6Slice, checksum::Sum16BitWords,
};

/// Bytes of an IPv6 header without extensions.
const IPV6_LEN: usize = 40;

/// Which part of a packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The fragment with the upper layer's header.
    First,
    /// Another fragment.
    Later,
}

/// An IP packet, perhaps cut off at its end, as in a quotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'f> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// The upper layer's protocol.
    pub protocol: IpNumber,
    /// Whether it is a fragment.
    pub part: Part,
    /// Whether all bytes are there that its header speaks of.
    pub complete: bool,
    /// Header and payload, without padding of the link.
    pub bytes: &'f [u8],
    /// What follows the IP headers.
    pub payload: &'f [u8],
}

impl<'f> Packet<'f> {
    /// Reads the packet at the beginning of `bytes`.
    pub fn read(bytes: &'f [u8]) -> Option<Self> {
        let total = total_len(bytes)?;
        let complete = total <= bytes.len();
        let bytes = bytes.get(..total.min(bytes.len()))?;
        let (ip, stopped) = LaxIpSlice::from_slice(bytes).ok()?;
        if stopped.is_some() {
            return None;
        }
        let payload = ip.payload();
        Some(Self {
            source: ip.source_addr(),
            destination: ip.destination_addr(),
            hop_limit: hop_limit(&ip),
            protocol: payload.ip_number,
            part: part(&ip),
            complete,
            bytes,
            payload: payload.payload,
        })
    }

    /// Reads the packet in an untagged frame.
    pub fn framed(frame: &'f [u8]) -> Option<(Ethernet2Header, Self)> {
        let (link, bytes) = Ethernet2Header::from_slice(frame).ok()?;
        let packet = Self::read(bytes)?;
        let expected = match packet.source {
            IpAddr::V4(_) => EtherType::IPV4,
            IpAddr::V6(_) => EtherType::IPV6,
        };
        (link.ether_type == expected).then_some((link, packet))
    }

    /// Whether its payload is a message as its sender made it: neither a fragment nor cut off.
    pub fn is_whole(&self) -> bool {
        self.complete && self.part == Part::Whole
    }

    /// Whether it is a whole ICMP message, or one of `ICMPv6` over IPv6, whose checksums are right.
    pub fn is_intact_icmp(&self) -> bool {
        if !self.is_whole() {
            return false;
        }
        match (self.source, self.destination) {
            (IpAddr::V4(_), IpAddr::V4(_)) if self.protocol == IpNumber::ICMP => {
                let header = self.bytes.len().checked_sub(self.payload.len());
                let header = header.and_then(|len| self.bytes.get(..len));
                header.is_some_and(sums_to_zero) && sums_to_zero(self.payload)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) if self.protocol == IpNumber::IPV6_ICMP => {
                let icmp = Icmpv6Slice::from_slice(self.payload);
                icmp.is_ok_and(|icmp| icmp.is_checksum_valid(from.octets(), to.octets()))
            }
            _ => false,
        }
    }
}

/// Whether a single host may have the address: no group, nobody, no loopback. An IPv4 address
/// written as IPv6 (RFC 4291, section 2.5.5.2) is on no wire.
pub const fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            first != 0 && first != 127 && first < 224
        }
        IpAddr::V6(address) => {
            !address.is_unspecified()
                && !address.is_loopback()
                && !address.is_multicast()
                && address.to_ipv4_mapped().is_none()
        }
    }
}

/// Whether the address is of one link only.
pub const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => Ipv4Addr::is_link_local(&address),
        IpAddr::V6(address) => Ipv6Addr::is_unicast_link_local(&address),
    }
}

/// Bytes of the packet by its header. An IPv6 payload of zero bytes is one: what looks like a
/// jumbogram is padding of the link.
fn total_len(bytes: &[u8]) -> Option<usize> {
    let number = |at: usize| {
        let field = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(usize::from(u16::from_be_bytes(field)))
    };
    match bytes.first()? >> 4 {
        4 => number(2),
        6 => Some(IPV6_LEN + number(4)?),
        _ => None,
    }
}

/// Whether the checksum in the bytes is right; what it does not know of, such as the length of
/// RFC 4884, is in it.
fn sums_to_zero(bytes: &[u8]) -> bool {
    Sum16BitWords::new().add_slice(bytes).ones_complement() == 0
}

fn hop_limit(ip: &LaxIpSlice<'_>) -> u8 {
    match ip {
        LaxIpSlice::Ipv4(ip) => ip.header().ttl(),
        LaxIpSlice::Ipv6(ip) => ip.header().hop_limit(),
    }
}

fn part(ip: &LaxIpSlice<'_>) -> Part {
    let at_start = match ip {
        LaxIpSlice::Ipv4(ip) => ip.header().fragments_offset().value() == 0,
        LaxIpSlice::Ipv6(ip) => is_at_start(ip),
    };
    match (ip.is_fragmenting_payload(), at_start) {
        (false, _) => Part::Whole,
        (true, true) => Part::First,
        (true, false) => Part::Later,
    }
}

fn is_at_start(ip: &LaxIpv6Slice<'_>) -> bool {
    let mut extensions = ip.extensions().clone().into_iter();
    extensions.all(|extension| match extension {
        Ipv6ExtensionSlice::Fragment(fragment) => fragment.fragment_offset().value() == 0,
        Ipv6ExtensionSlice::HopByHop(_)
        | Ipv6ExtensionSlice::Routing(_)
        | Ipv6ExtensionSlice::DestinationOptions(_)
        | Ipv6ExtensionSlice::Authentication(_) => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slowpath::testing::{never_panics, udp};

    #[test]
    fn both_families_are_read_without_padding() {
        for (from, to) in [("10.0.0.5", "10.0.0.7"), ("2001:db8::5", "2001:db8::7")] {
            let mut frame = udp(from, to, 9);
            let bytes = frame[14..].to_vec();
            frame.extend([0; 20]);
            let (link, packet) = Packet::framed(&frame).unwrap();
            assert_eq!(link.source, [2, 0, 0, 0, 0, 5]);
            assert_eq!(packet.source, from.parse::<IpAddr>().unwrap());
            assert_eq!(packet.destination, to.parse::<IpAddr>().unwrap());
            assert_eq!((packet.protocol, packet.hop_limit), (IpNumber::UDP, 64));
            assert_eq!((packet.bytes, packet.payload.len()), (&bytes[..], 8 + 9));
            assert!(packet.is_whole());
            let cut = Packet::read(&bytes[..bytes.len() - 1]).unwrap();
            assert!(!cut.complete && cut.part == Part::Whole);
            frame[12..14].copy_from_slice(&[8, 6]);
            assert!(Packet::framed(&frame).is_none(), "another EtherType");
        }
    }

    #[test]
    fn fragments_are_told_apart() {
        let v4 = udp("10.0.0.5", "10.0.0.7", 16);
        for (flags, part) in [([0x40, 0], Part::Whole), ([0x20, 0], Part::First)] {
            let mut frame = v4.clone();
            frame[20..22].copy_from_slice(&flags);
            assert_eq!(Packet::framed(&frame).unwrap().1.part, part);
        }
        let mut v6 = udp("2001:db8::5", "2001:db8::7", 16);
        let mut later = v4;
        later[21] = 1;
        assert_eq!(Packet::framed(&later).unwrap().1.part, Part::Later);
        v6[20] = 44;
        for (flags, part) in [(0, Part::Whole), (1, Part::First), (8, Part::Later)] {
            v6[54..62].copy_from_slice(&[17, 0, 0, flags, 0, 0, 0, 7]);
            let (_, packet) = Packet::framed(&v6).unwrap();
            assert_eq!((packet.part, packet.protocol), (part, IpNumber::UDP));
        }
    }

    #[test]
    fn an_empty_ipv6_packet_has_no_payload() {
        let mut frame = udp("2001:db8::5", "2001:db8::7", 16);
        frame[18..20].fill(0);
        assert!(Packet::framed(&frame).unwrap().1.payload.is_empty());
    }

    #[test]
    fn hosts_have_these_addresses() {
        for host in ["10.0.0.1", "169.254.0.1", "2001:db8::1", "fe80::1"] {
            assert!(is_host(host.parse().unwrap()), "{host}");
        }
        let nobody = [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
        ];
        for other in nobody
            .into_iter()
            .chain(["::", "::1", "ff02::1", "::ffff:10.0.0.1"])
        {
            assert!(!is_host(other.parse().unwrap()), "{other}");
        }
        assert!(is_link_local("169.254.0.1".parse().unwrap()));
        assert!(is_link_local("fe80::1".parse().unwrap()));
        assert!(!is_link_local("fd00::1".parse().unwrap()));
    }

    #[test]
    fn whatever_comes_is_survived() {
        for (from, to) in [("10.0.0.5", "10.0.0.7"), ("2001:db8::5", "2001:db8::7")] {
            never_panics(&udp(from, to, 40), |frame| {
                let _ = Packet::framed(frame);
            });
        }
    }
}
