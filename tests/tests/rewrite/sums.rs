//! Checksums as RFC 1071 has them, and what of a packet they cover.

use crate::packets::FRAGMENT;
use std::net::IpAddr;

/// Source and destination.
pub(crate) type Pair = [IpAddr; 2];

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

/// The number of a packet that a source sent, and where in its datagram it begins.
pub(crate) fn number(packet: &[u8], from: IpAddr) -> Option<(u16, u16)> {
    let word = |at: usize| Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?));
    let own = octets(from);
    if from.is_ipv4() {
        let sent = packet.first()? >> 4 == 4 && packet.get(12..16)? == own;
        return sent.then_some((word(4)?, word(6)? & 0x1FFF));
    }
    let sent = packet.starts_with(&[0x60, 0]) && packet.get(8..24)? == own;
    let at = if packet.get(6)? == &FRAGMENT {
        word(42)? >> 3
    } else {
        0
    };
    sent.then_some((word(2)?, at))
}

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// Where the checksum is that covers addresses, if there is one.
pub(crate) fn checksum_at(protocol: u8) -> Option<usize> {
    match protocol {
        TCP => Some(16),
        UDP => Some(6),
        ICMPV6 => Some(2),
        _ => None,
    }
}

/// The sum that the checksum of a message is the complement of.
pub(crate) fn covered(pair: Pair, protocol: u8, upper: &[u8]) -> u16 {
    if protocol == ICMP {
        return sum(upper);
    }
    let len = u32::try_from(upper.len()).expect("short").to_be_bytes();
    let addresses = pair.map(octets).concat();
    let pseudo = [&addresses[..], &len, &[0, 0, 0, protocol]].concat();
    added(sum(&pseudo), sum(upper))
}

/// Ones-complement sum of 16-bit words (RFC 1071).
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0, |total, pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        added(total, u16::from_be_bytes([pair[0], low]))
    })
}

pub(crate) fn added(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}
