//! Answers to who asks for a neighbour or a router (RFC 4861).

use std::net::Ipv6Addr;

use dataplane_common::id::Mac;
use etherparse::{
    Ethernet2Header, Icmpv6Type, IpHeaders, IpNumber, Ipv6Extensions, Ipv6Header, PacketBuilder,
    icmpv6::{NdpOptionType, NeighborAdvertisementHeader, NeighborAdvertisementPayload},
};

use super::packet::Packet;
use message::{HOP_LIMIT, Message, Subject};

pub mod message;
mod router;

pub use router::{link_local, router_advertisement, unsolicited_router_advertisement};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 1);
/// The MAC of [`ALL_NODES`] (RFC 2464, section 7).
const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

/// Whose MAC a neighbour solicitation asks for; `None`: the frame is none, or not a valid one.
pub fn asked(solicitation: &[u8]) -> Option<Ipv6Addr> {
    let (_, packet) = Packet::framed(solicitation)?;
    target(&Message::read(&packet)?)
}

/// "`mac` has the address", told to who asks for it (RFC 4861, section 7.2.4); `router`: it is the
/// gateway.
///
/// A solicitation from nobody asks whether the address is taken (RFC 4862, section 5.4.3): answer it
/// only where another than its sender has the address. `None` as in [`asked`].
pub fn neighbour_advertisement(solicitation: &[u8], mac: Mac, router: bool) -> Option<Vec<u8>> {
    let (link, packet) = Packet::framed(solicitation)?;
    let message = Message::read(&packet)?;
    let target_address = target(&message)?;
    let header = NeighborAdvertisementHeader {
        router,
        solicited: !message.source.is_unspecified(),
        r#override: true,
    };
    let payload = [
        &NeighborAdvertisementPayload { target_address }.to_bytes()[..],
        &link_layer_option(NdpOptionType::TARGET_LINK_LAYER_ADDRESS, mac),
    ];
    let told = Icmpv6Type::NeighborAdvertisement(header);
    let answer = Answer::to(&link, &message, (mac, target_address))?;
    answer.write(told, &payload.concat())
}

fn target(message: &Message) -> Option<Ipv6Addr> {
    match message.subject {
        Subject::NeighbourSolicitation(target) => Some(target),
        Subject::NeighbourAdvertisement(_) | Subject::RouterSolicitation => None,
    }
}

/// Where an answer comes from and goes to.
struct Answer {
    from: (Mac, Ipv6Addr),
    to: (Mac, Ipv6Addr),
}

impl Answer {
    /// To the sender of a message, or to all nodes where that has no address yet.
    fn to(link: &Ethernet2Header, message: &Message, from: (Mac, Ipv6Addr)) -> Option<Self> {
        let sender = Mac(link.source);
        let to = if message.source.is_unspecified() {
            (ALL_NODES_MAC, ALL_NODES)
        } else {
            (sender, message.source)
        };
        sender.is_station().then_some(Self { from, to })
    }

    fn write(self, told: Icmpv6Type, payload: &[u8]) -> Option<Vec<u8>> {
        let header = Ipv6Header {
            hop_limit: HOP_LIMIT,
            next_header: IpNumber::IPV6_ICMP,
            source: self.from.1.octets(),
            destination: self.to.1.octets(),
            ..Ipv6Header::default()
        };
        let answer = PacketBuilder::ethernet2(self.from.0.0, self.to.0.0)
            .ip(IpHeaders::Ipv6(header, Ipv6Extensions::default()))
            .icmpv6(told);
        let mut bytes = Vec::with_capacity(answer.size(payload.len()));
        answer.write(&mut bytes, payload).ok()?;
        Some(bytes)
    }
}

/// An option with a MAC: one unit of eight bytes.
fn link_layer_option(kind: NdpOptionType, mac: Mac) -> [u8; 8] {
    let mut option = [0; 8];
    let (header, address) = option.split_at_mut(2);
    header.copy_from_slice(&[kind.0, 1]);
    address.copy_from_slice(&mac.0);
    option
}

#[cfg(test)]
mod tests;
