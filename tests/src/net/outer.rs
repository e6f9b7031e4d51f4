//! What is on the underlay, read with no code of the product.

use super::{Frame, PacketSocket, Site, fabric::link_to};
use anyhow::Result;
use etherparse::{EtherType, IpNumber, NetSlice, SlicedPacket};
use std::net::IpAddr;

/// The length of an Ethernet header.
const ETHERNET: usize = 14;
/// The first GRE word of NVGRE.
const NVGRE: [u8; 4] = [0x20, 0, 0x65, 0x58];
/// The length of a GRE header with a key.
const GRE: usize = 8;

/// A packet between two NVEs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outer {
    /// MAC of who is to take it next.
    pub next_hop: [u8; 6],
    /// MAC of who has sent it.
    pub sender: [u8; 6],
    /// The provider address that it is from.
    pub from: IpAddr,
    /// The provider address, or group of them, that it is for.
    pub to: IpAddr,
    /// Its TTL or hop limit.
    pub ttl: u8,
    /// The virtual subnet.
    pub vsid: u32,
    /// The low byte of the key.
    pub flow: u8,
    /// Bytes of the outer packet that are not the tenant's packet: what comes off its MTU.
    pub overhead: usize,
    /// The tenant's frame.
    pub inner: Frame,
}

impl Outer {
    /// Reads a frame; `None` when it is no whole packet of NVGRE.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let (from, to, ttl, payload) = match SlicedPacket::from_ethernet(frame).ok()?.net? {
            NetSlice::Ipv4(ip) => {
                let header = ip.header();
                let (from, to) = (header.source_addr(), header.destination_addr());
                (from.into(), to.into(), header.ttl(), ip.payload().clone())
            }
            NetSlice::Ipv6(ip) => {
                let header = ip.header();
                let (from, to) = (header.source_addr(), header.destination_addr());
                (
                    from.into(),
                    to.into(),
                    header.hop_limit(),
                    ip.payload().clone(),
                )
            }
            NetSlice::Arp(_) => return None,
        };
        let gre = payload.payload;
        if payload.ip_number != IpNumber::GRE || payload.fragmented || !gre.starts_with(&NVGRE) {
            return None;
        }
        let (key, inner) = (gre.get(4..GRE)?, gre.get(GRE..)?);
        let key = u32::from_be_bytes(key.try_into().ok()?);
        let packet = inner.len().checked_sub(ETHERNET)?;
        Some(Self {
            next_hop: frame.get(..6)?.try_into().ok()?,
            sender: frame.get(6..12)?.try_into().ok()?,
            from,
            to,
            ttl,
            vsid: key >> 8,
            flow: key.to_le_bytes()[0],
            overhead: frame.len() - ETHERNET - packet,
            inner: inner.to_vec(),
        })
    }

    /// Whether the tenant's frame has this `EtherType`.
    pub fn bears(&self, ethertype: u16) -> bool {
        self.inner.get(12..ETHERNET) == Some(&ethertype.to_be_bytes())
    }
}

/// All packets of NVGRE among frames.
pub fn nvgre(frames: &[Frame]) -> Vec<Outer> {
    frames
        .iter()
        .filter_map(|frame| Outer::read(frame))
        .collect()
}

/// Those whose tenant's frame has this payload.
pub fn with_mark(frames: &[Frame], mark: &[u8]) -> Vec<Outer> {
    let mut packets = nvgre(frames);
    packets.retain(|packet| carries(&packet.inner, mark));
    packets
}

/// Whether the payload of a frame begins with a mark: behind the Ethernet header, or behind those of
/// UDP. An ICMP error that quotes the mark does not carry it.
pub fn carries(frame: &[u8], mark: &[u8]) -> bool {
    const PAYLOADS: [usize; 3] = [ETHERNET, ETHERNET + 20 + 8, ETHERNET + 40 + 8];
    let begins = |at: usize| frame.get(at..at + mark.len()) == Some(mark);
    PAYLOADS.into_iter().any(begins)
}

/// Whether bytes are among others.
pub fn contains(frame: &[u8], mark: &[u8]) -> bool {
    frame.windows(mark.len()).any(|bytes| bytes == mark)
}

/// Frames that are fragments of an outer packet.
pub fn fragments(frames: &[Frame]) -> Vec<Frame> {
    let is_fragment = |frame: &&Frame| {
        let sliced = SlicedPacket::from_ethernet(frame).ok();
        match sliced.and_then(|packet| packet.net) {
            Some(NetSlice::Ipv4(ip)) => ip.header().is_fragmenting_payload(),
            Some(NetSlice::Ipv6(ip)) => ip.is_payload_fragmented(),
            Some(NetSlice::Arp(_)) | None => false,
        }
    };
    frames.iter().filter(is_fragment).cloned().collect()
}

/// ARP frames of the underlay that are sent to everybody, and those inside NVGRE.
pub fn arp_broadcasts(frames: &[Frame]) -> Vec<Frame> {
    let is_arp = |frame: &[u8]| {
        frame.get(..6) == Some(&[0xFF; 6])
            && frame.get(12..ETHERNET) == Some(&EtherType::ARP.0.to_be_bytes())
    };
    let asked = |frame: &&Frame| {
        is_arp(frame) || Outer::read(frame).is_some_and(|packet| is_arp(&packet.inner))
    };
    frames.iter().filter(asked).cloned().collect()
}

impl Site {
    /// Sees what goes between a host and the middle, both ways.
    pub fn wire(&self, host: usize) -> Result<PacketSocket> {
        PacketSocket::open(self.middle(), link_to(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        packet::{received, udp, who_has},
        policy::BLUE,
    };

    #[test]
    fn a_packet_of_nvgre_is_read() {
        let inner = udp([10, 0, 0, 7], [10, 0, 0, 5], 30);
        let frame = received(BLUE, [192, 0, 2, 2], 0, &inner);
        let packet = Outer::read(&frame).expect("NVGRE");
        assert_eq!(
            (packet.vsid, packet.flow, packet.overhead),
            (BLUE, 0x42, 42)
        );
        assert_eq!(packet.inner, inner);
        assert!(packet.bears(0x0800) && Outer::read(&inner).is_none());
    }

    #[test]
    fn a_fragment_is_none_and_is_told_apart() {
        let whole = received(
            BLUE,
            [192, 0, 2, 2],
            0,
            &udp([10, 0, 0, 7], [10, 0, 0, 5], 30),
        );
        let part = crate::packet::patch_ip(&whole, 20, &[0x20, 0]);
        assert_eq!(Outer::read(&part), None);
        assert_eq!(fragments(&[whole, part.clone()]), [part]);
    }

    #[test]
    fn arp_is_found_outside_and_inside() {
        let asked = who_has([10, 0, 0, 5], [10, 0, 0, 7]);
        let carried = received(BLUE, [192, 0, 2, 2], 0, &asked);
        let other = received(
            BLUE,
            [192, 0, 2, 2],
            0,
            &udp([10, 0, 0, 7], [10, 0, 0, 5], 30),
        );
        assert_eq!(arp_broadcasts(&[asked, carried, other]).len(), 2);
    }
}
