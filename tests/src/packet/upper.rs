//! Packets of any protocol, ICMP errors, and whether checksums are right.

use std::net::IpAddr;

use etherparse::IpNumber;

use super::{ip, patch, sum};

/// A packet from VM to VM of any protocol.
pub fn raw(src: IpAddr, dst: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let written = ip(src, dst).write(&mut frame, IpNumber(protocol), payload);
    written.expect("a vector takes it");
    frame
}

/// The same with the checksum at `at` of the payload filled in, over all of it and the addresses.
pub fn summed(src: IpAddr, dst: IpAddr, protocol: u8, payload: &[u8], at: usize) -> Vec<u8> {
    let payload = patch(payload, at, &[0; 2]);
    let sum = !sum(&covered(src, dst, protocol, &payload));
    raw(src, dst, protocol, &patch(&payload, at, &sum.to_be_bytes()))
}

/// What a checksum covers: the pseudo-header (RFC 793, 8200) and the payload.
fn covered(src: IpAddr, dst: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [
        &octets(src)[..],
        &octets(dst),
        &len,
        &[0, 0, 0, protocol],
        payload,
    ]
    .concat()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// An ICMP error of this type about a packet: an IP header and what is behind it.
pub fn error(src: IpAddr, dst: IpAddr, kind: u8, quoted: &[u8]) -> Vec<u8> {
    let step = ip(src, dst);
    let mut frame = Vec::new();
    let rest = [0, 0, 5, 0];
    let written = if src.is_ipv4() {
        let step = step.icmpv4_raw(kind, 4, rest);
        step.write(&mut frame, quoted)
    } else {
        let step = step.icmpv6_raw(kind, 0, rest);
        step.write(&mut frame, quoted)
    };
    written.expect("a vector takes it");
    frame
}

/// A UDP frame without a checksum.
pub fn unsummed(frame: &[u8]) -> Vec<u8> {
    let at = if frame[12..14] == [8, 0] { 40 } else { 60 };
    patch(frame, at, &[0; 2])
}

/// The addresses of an IP packet without options.
pub fn addresses(frame: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match frame.get(12..14)? {
        [8, 0] => {
            let src: [u8; 4] = frame.get(26..30)?.try_into().ok()?;
            let dst: [u8; 4] = frame.get(30..34)?.try_into().ok()?;
            Some((src.into(), dst.into()))
        }
        [0x86, 0xDD] => {
            let src: [u8; 16] = frame.get(22..38)?.try_into().ok()?;
            let dst: [u8; 16] = frame.get(38..54)?.try_into().ok()?;
            Some((src.into(), dst.into()))
        }
        _ => None,
    }
}

/// Whether the checksums of a whole frame without IP options and extension headers are right, summed
/// anew: of the IPv4 header, of what is behind it, and of what that quotes in whole.
pub fn is_right(frame: &[u8]) -> bool {
    is_packet_right(&frame[14..])
}

fn is_packet_right(packet: &[u8]) -> bool {
    let v4 = packet.first().is_some_and(|byte| byte >> 4 == 4);
    if packet.len() < if v4 { 20 } else { 40 } || (v4 && packet[0] != 0x45) {
        return false;
    }
    let (len, total, protocol) = if v4 {
        let total = u16::from_be_bytes([packet[2], packet[3]]);
        (20, usize::from(total), packet[9])
    } else {
        let payload = u16::from_be_bytes([packet[4], packet[5]]);
        (40, 40 + usize::from(payload), packet[6])
    };
    let header = !v4 || sum(&packet[..20]) == 0xFFFF;
    // Of a quote the end may be missing; nothing is known of its checksum then.
    let Some(payload) = packet.get(len..total) else {
        return header;
    };
    header && is_upper_right(&packet[..len], protocol, payload)
}

fn is_upper_right(header: &[u8], protocol: u8, payload: &[u8]) -> bool {
    let v4 = header.len() == 20;
    let (src, dst): (IpAddr, IpAddr) = if v4 {
        let at = |at: usize| <[u8; 4]>::try_from(&header[at..at + 4]).expect("four");
        (at(12).into(), at(16).into())
    } else {
        let at = |at: usize| <[u8; 16]>::try_from(&header[at..at + 16]).expect("sixteen");
        (at(8).into(), at(24).into())
    };
    if payload.len() < 8 {
        return true;
    }
    let covered = covered(src, dst, protocol, payload);
    let error = matches!(
        (v4, protocol, payload[0]),
        (true, 1, 3 | 11 | 12) | (false, 58, 1..=4)
    );
    let quote = !error || is_packet_right(&payload[8..]);
    let right = match (protocol, v4) {
        (17 | 136, true) if payload[6..8] == [0; 2] => true,
        (17 | 136, _) if payload[6..8] == [0; 2] => false,
        (6 | 17 | 33 | 136, _) | (58, false) => sum(&covered) == 0xFFFF,
        (1, true) => sum(payload) == 0xFFFF,
        _ => true,
    };
    right && quote
}
