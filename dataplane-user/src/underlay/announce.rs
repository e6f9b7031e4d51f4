//! PAs of ports here are announced when they come or move, so that neighbours and switches follow.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use dataplane_common::{id::Mac, wire::icmp::ALL_NODES_MAC};
use etherparse::{
    ArpEthIpv4Packet, ArpOperation, Icmpv6Type, IpHeaders, IpNumber, Ipv6Extensions, Ipv6Header,
    PacketBuilder,
    icmpv6::{NdpOptionType, NeighborAdvertisementHeader},
};

use super::presence::{Present, Station};

/// How often, and with what between two: `ANNOUNCE_NUM` and `ANNOUNCE_INTERVAL` (RFC 5227,
/// section 1.1) ...
const ARP: (u8, Duration) = (2, Duration::from_secs(2));
/// ... and `MAX_NEIGHBOR_ADVERTISEMENT` and `RETRANS_TIMER` (RFC 4861, sections 7.2.6 and 10).
const DISCOVERY: (u8, Duration) = (3, Duration::from_secs(1));

/// Frames at once at most, and a pause after them: a port with many addresses is no storm.
const BATCH: usize = 64;
const PAUSE: Duration = Duration::from_millis(50);

/// Says when which PA is announced.
#[derive(Debug, Default)]
pub struct Announcer {
    /// The last that neighbours know.
    known: Present,
    due: BTreeMap<IpAddr, Due>,
    /// Nothing is sent before.
    pause: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    left: u8,
}

impl Announcer {
    /// One that says nothing of what an earlier nved announced.
    pub fn adopt(known: Present) -> Self {
        Self {
            known,
            ..Self::default()
        }
    }

    /// Announces from now on what is new or elsewhere, and nothing of what is gone.
    pub fn follow(&mut self, present: Present, now: Instant) {
        self.due.retain(|pa, _| present.contains_key(pa));
        for (pa, station) in &present {
            if self.known.get(pa) != Some(station) {
                let (left, _) = rhythm(*pa);
                self.due.insert(*pa, Due { at: now, left });
            }
        }
        self.known = present;
    }

    /// When the next are due.
    pub fn due(&self) -> Option<Instant> {
        let next = self.due.values().map(|due| due.at).min()?;
        Some(self.pause.map_or(next, |pause| next.max(pause)))
    }

    /// What is due now, and is taken as sent.
    pub fn take(&mut self, now: Instant) -> Vec<(IpAddr, Station)> {
        if self.pause.is_some_and(|pause| pause > now) {
            return Vec::new();
        }
        let ready = self.due.iter_mut().filter(|(_, due)| due.at <= now);
        let mut taken = Vec::new();
        for (pa, due) in ready.take(BATCH) {
            due.left = due.left.saturating_sub(1);
            due.at = now + rhythm(*pa).1;
            taken.extend(self.known.get(pa).map(|station| (*pa, *station)));
        }
        self.due.retain(|_, due| due.left > 0);
        self.pause = Some(now + PAUSE);
        taken
    }
}

fn rhythm(pa: IpAddr) -> (u8, Duration) {
    if pa.is_ipv4() { ARP } else { DISCOVERY }
}

/// "`mac` has `pa`", told to all: an ARP announcement, or an unsolicited neighbour advertisement.
pub fn announcement(pa: IpAddr, mac: Mac) -> Vec<u8> {
    match pa {
        IpAddr::V4(pa) => arp(pa, mac),
        IpAddr::V6(pa) => advertisement(pa, mac),
    }
}

/// A request for what its sender has (RFC 5227, section 2.3).
fn arp(pa: Ipv4Addr, mac: Mac) -> Vec<u8> {
    let packet = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: mac.0,
        sender_ipv4: pa.octets(),
        target_mac: [0; 6],
        target_ipv4: pa.octets(),
    };
    let frame = PacketBuilder::ethernet2(mac.0, [0xFF; 6]).arp(packet.into());
    let mut bytes = Vec::with_capacity(frame.size());
    frame.write(&mut bytes).expect("memory takes it");
    bytes
}

/// With the flag that overrides what its readers know (RFC 4861, section 7.2.6).
fn advertisement(pa: Ipv6Addr, mac: Mac) -> Vec<u8> {
    let header = Ipv6Header {
        hop_limit: 255,
        next_header: IpNumber::IPV6_ICMP,
        source: pa.octets(),
        destination: Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 1).octets(),
        ..Ipv6Header::default()
    };
    let told = NeighborAdvertisementHeader {
        router: false,
        solicited: false,
        r#override: true,
    };
    let option = [NdpOptionType::TARGET_LINK_LAYER_ADDRESS.0, 1];
    let payload = [&pa.octets()[..], &option, &mac.0].concat();
    let frame = PacketBuilder::ethernet2(mac.0, ALL_NODES_MAC.0)
        .ip(IpHeaders::Ipv6(header, Ipv6Extensions::default()))
        .icmpv6(Icmpv6Type::NeighborAdvertisement(told));
    let mut bytes = Vec::with_capacity(frame.size(payload.len()));
    frame.write(&mut bytes, &payload).expect("it is short");
    bytes
}

#[cfg(test)]
mod tests;
