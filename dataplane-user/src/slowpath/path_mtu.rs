//! What the underlay tells of a path that does not carry our packets (RFC 1191, RFC 8201).

use std::net::IpAddr;

use dataplane_common::wire::gre;
use etherparse::{IpNumber, icmpv4, icmpv6};

use super::packet::{Packet, Part};

/// The smallest MTU of a path (RFC 791, section 3.2; RFC 8200, section 5). Less is a mistake or an
/// attack, and zero a router older than RFC 1191, which has nothing to tell.
const IPV4_MIN: u16 = 68;
const IPV6_MIN: u16 = 1280;
/// Bytes of the ICMP header, of both families.
const ICMP_LEN: usize = 8;
/// Code of "destination unreachable": fragmentation needed.
const FRAGMENTATION_NEEDED: u8 = 4;

/// An NVGRE packet was too big for a link on its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// The PA that sent it.
    pub ours: IpAddr,
    /// The PA that it was sent to.
    pub pa: IpAddr,
    /// The VSID in it, 24 bits, whether known here or not.
    pub vsid: u32,
    /// Bytes of the largest packet that the link carries, outer headers included.
    pub mtu: u16,
}

/// Reads an untagged frame from the underlay.
///
/// `None`: it is no "too big" about an NVGRE packet, was damaged, or tells nothing. Whether the
/// packet can have been ours is left to whoever knows PAs and VSIDs.
pub fn quoted(frame: &[u8]) -> Option<TooBig> {
    let (_, packet) = Packet::framed(frame)?;
    if !packet.is_intact_icmp() {
        return None;
    }
    let (header, quote) = packet.payload.split_first_chunk::<ICMP_LEN>()?;
    let mtu = match packet.source {
        IpAddr::V4(_) => icmpv4_mtu(*header)?,
        IpAddr::V6(_) => icmpv6_mtu(*header)?,
    };
    let quote = Packet::read(quote)?;
    // The error goes to whoever sent the packet.
    let vsid = vsid(&quote).filter(|_| quote.source == packet.destination)?;
    Some(TooBig {
        ours: quote.source,
        pa: quote.destination,
        vsid,
        mtu,
    })
}

fn icmpv4_mtu(header: [u8; ICMP_LEN]) -> Option<u16> {
    let [kind, code, _, _, _, _, high, low] = header;
    let is_ours = (kind, code) == (icmpv4::TYPE_DEST_UNREACH, FRAGMENTATION_NEEDED);
    let mtu = u16::from_be_bytes([high, low]);
    (is_ours && mtu >= IPV4_MIN).then_some(mtu)
}

/// The code is not looked at (RFC 4443, section 3.2).
fn icmpv6_mtu(header: [u8; ICMP_LEN]) -> Option<u16> {
    let [kind, _, _, _, mtu @ ..] = header;
    let mtu = u16::try_from(u32::from_be_bytes(mtu)).ok()?;
    (kind == icmpv6::TYPE_PACKET_TOO_BIG && mtu >= IPV6_MIN).then_some(mtu)
}

/// The VSID in what may be quoted of an NVGRE packet: the first eight bytes are enough (RFC 792).
fn vsid(quote: &Packet<'_>) -> Option<u32> {
    let (first, rest) = quote.payload.split_first_chunk::<4>()?;
    let (key, _) = rest.split_first_chunk::<4>()?;
    let [flags, protocol] = [gre::FLAGS, gre::PROTOCOL].map(u16::to_be_bytes);
    let is_nvgre = quote.protocol == IpNumber::GRE
        && quote.part != Part::Later
        && *first == [flags[0], flags[1], protocol[0], protocol[1]];
    is_nvgre.then_some(u32::from_be_bytes(*key) >> 8)
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;
    use crate::slowpath::testing::{headers, never_panics};

    const FAMILIES: [[&str; 3]; 2] = [
        ["192.0.2.1", "192.0.2.9", "198.51.100.1"],
        ["2001:db8::1", "2001:db8::9", "2001:db8:f::1"],
    ];
    const GRE: [u8; 8] = [0x20, 0, 0x65, 0x58, 0x00, 0x17, 0x71, 0xAB];

    /// The outer packet that we sent, as a router has it, with so many bytes behind the header.
    fn sent([ours, pa, _]: [&str; 3], gre: &[u8]) -> Vec<u8> {
        let mut ip = headers(ours, pa, IpNumber::GRE, 61);
        // What was sent is longer than what is quoted.
        let set = ip.set_payload_len(1480);
        set.unwrap();
        let mut packet = Vec::new();
        ip.write(&mut packet).unwrap();
        packet.extend(gre);
        packet
    }

    /// A router's message about it: the type and code of the family, or another.
    fn told(family: [&str; 3], kind: Option<(u8, u8)>, mtu: u32, quote: &[u8]) -> Vec<u8> {
        let [ours, _, router] = family;
        let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 5], [2, 0, 0, 0, 0, 7]);
        let (mut frame, rest) = (Vec::new(), mtu.to_be_bytes());
        if ours.contains(':') {
            let (kind, code) = kind.unwrap_or((2, 0));
            let ip = link.ip(headers(router, ours, IpNumber::IPV6_ICMP, 60));
            let built = ip.icmpv6_raw(kind, code, rest);
            built.write(&mut frame, quote).unwrap();
        } else {
            let (kind, code) = kind.unwrap_or((3, 4));
            let ip = link.ip(headers(router, ours, IpNumber::ICMP, 60));
            let built = ip.icmpv4_raw(kind, code, rest);
            built.write(&mut frame, quote).unwrap();
        }
        frame
    }

    #[test]
    fn both_families_tell_path_and_mtu() {
        for family in FAMILIES {
            // All that RFC 792 asks for, and a router that quotes more.
            for gre in [GRE.to_vec(), [&GRE[..], &[7; 101]].concat()] {
                let frame = told(family, None, 1400, &sent(family, &gre));
                let [ours, pa] = [family[0], family[1]].map(|a| a.parse().unwrap());
                let read = TooBig {
                    ours,
                    pa,
                    vsid: 6001,
                    mtu: 1400,
                };
                assert_eq!(quoted(&frame), Some(read));
            }
        }
    }

    #[test]
    fn the_length_of_rfc_4884_does_not_break_the_checksum() {
        let frame = told(
            FAMILIES[0],
            None,
            0x0020_0578,
            &sent(FAMILIES[0], &[&GRE[..], &[0; 100]].concat()),
        );
        assert_eq!(quoted(&frame).map(|read| read.mtu), Some(1400));
    }

    #[test]
    fn what_no_path_has_is_not_believed() {
        for (family, mtus) in FAMILIES.into_iter().zip([[0, 67], [1279, 0x1_0578]]) {
            for mtu in mtus {
                let frame = told(family, None, mtu, &sent(family, &GRE));
                assert_eq!(quoted(&frame), None, "{mtu}");
            }
        }
    }

    #[test]
    fn other_messages_tell_nothing() {
        for family in FAMILIES {
            let quote = sent(family, &GRE);
            for kind in [(3, 3), (11, 0), (1, 0), (3, 1), (128, 0), (8, 0)] {
                assert_eq!(quoted(&told(family, Some(kind), 1400, &quote)), None);
            }
            // Each of the eight bytes is needed, and each of the first four says NVGRE.
            assert_eq!(
                quoted(&told(family, None, 1400, &sent(family, &GRE[..7]))),
                None
            );
            for at in 0..4 {
                let mut gre = GRE;
                gre[at] ^= 0x10;
                assert_eq!(quoted(&told(family, None, 1400, &sent(family, &gre))), None);
            }
            let [ours, pa, router] = family;
            let forged = sent([pa, ours, router], &GRE);
            assert_eq!(
                quoted(&told(family, None, 1400, &forged)),
                None,
                "another's packet"
            );
        }
        let mut later = sent(FAMILIES[0], &GRE);
        later[7] = 1;
        assert_eq!(quoted(&told(FAMILIES[0], None, 1400, &later)), None);
        let mut udp = sent(FAMILIES[0], &GRE);
        udp[9] = 17;
        assert_eq!(quoted(&told(FAMILIES[0], None, 1400, &udp)), None);
    }

    #[test]
    fn damage_is_seen_wherever_it_is() {
        for family in FAMILIES {
            let frame = told(family, None, 1400, &sent(family, &GRE));
            assert!(quoted(&frame).is_some());
            for at in 14..frame.len() {
                let mut damaged = frame.clone();
                damaged[at] ^= 4;
                // IPv6 has no checksum over traffic class, flow label and hop limit.
                let unsummed = family[0].contains(':') && matches!(at - 14, 0..4 | 7);
                assert!(quoted(&damaged).is_none() || unsummed, "{at}");
                assert_eq!(quoted(&frame[..at]), None, "cut at {at}");
            }
            never_panics(&frame, |frame| {
                let _ = quoted(frame);
            });
        }
    }
}
