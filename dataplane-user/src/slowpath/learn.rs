//! Addresses that are learned from what a port sends, where no policy names them.

use std::net::IpAddr;

use dataplane_common::id::Mac;
use etherparse::{ArpOperation, ArpPacketSlice, EtherType, Ethernet2Header};

use super::{
    neighbour::message::{Message, Subject},
    packet::{Packet, is_host, is_link_local},
};

mod claims;
mod found;
mod learned;

pub use claims::{Learning, Told};
pub use found::Found;
pub(super) use found::{acknowledged, sent};
pub use learned::{Claim, Decision, Learned, Limits, Owner, Refusal};

/// The MAC and the CA that an untagged frame claims for its sender.
///
/// It claims nothing where it asks whether an address is taken (RFC 5227, RFC 4862), where the MAC
/// in ARP or neighbour discovery is not the frame's, and where the address is not a host's or is of
/// the link only.
pub fn claimed(frame: &[u8]) -> Option<(Mac, IpAddr)> {
    let (link, bytes) = Ethernet2Header::from_slice(frame).ok()?;
    let mac = Mac(link.source);
    let address = if link.ether_type == EtherType::ARP {
        by_arp(mac, bytes)?
    } else {
        let (_, packet) = Packet::framed(frame)?;
        if Message::is_in(&packet) {
            by_discovery(mac, &Message::read(&packet)?)?
        } else {
            packet.source
        }
    };
    let usable = mac.is_station() && is_host(address) && !is_link_local(address);
    usable.then_some((mac, address))
}

/// The sender's address; 0.0.0.0 in a probe.
fn by_arp(mac: Mac, bytes: &[u8]) -> Option<IpAddr> {
    let packet = ArpPacketSlice::from_slice(bytes).ok()?.to_packet();
    let arp = packet.try_eth_ipv4().ok()?;
    let known = matches!(arp.operation, ArpOperation::REQUEST | ArpOperation::REPLY);
    (known && arp.sender_mac == mac.0).then(|| arp.sender_ipv4_addr().into())
}

/// Who asks has the source, unspecified in a probe; who tells of an address has that.
fn by_discovery(mac: Mac, message: &Message) -> Option<IpAddr> {
    let (address, claimed) = match message.subject {
        Subject::NeighbourAdvertisement(target) => (target, message.target_mac),
        Subject::NeighbourSolicitation(_) | Subject::RouterSolicitation => {
            (message.source, message.source_mac)
        }
    };
    (claimed.is_none_or(|claimed| claimed == mac)).then_some(address.into())
}

#[cfg(test)]
mod tests;
