//! What is valid of neighbour discovery (RFC 4861, sections 6.1 and 7.1).

use std::net::{IpAddr, Ipv6Addr};

use dataplane_common::id::Mac;
use etherparse::{
    Icmpv6Slice, IpNumber,
    icmpv6::{
        NdpOptionSlice, NdpOptionsIterator, TYPE_NEIGHBOR_ADVERTISEMENT,
        TYPE_NEIGHBOR_SOLICITATION, TYPE_ROUTER_SOLICITATION,
    },
};

use crate::slowpath::packet::{Packet, is_host};

/// Whoever is behind a router would have less (RFC 4861, section 3.1).
pub(super) const HOP_LIMIT: u8 = 255;
/// In the first byte of an advertisement's flags.
const SOLICITED: u8 = 0x40;
/// Bytes of type, code, checksum and flags.
const HEADER_LEN: usize = 8;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Is there a router?
    RouterSolicitation,
    /// Who has the address?
    NeighbourSolicitation(Ipv6Addr),
    /// The sender has the address.
    NeighbourAdvertisement(Ipv6Addr),
}

/// A message that nodes send each other; a router's own are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Unspecified where the sender has no address yet.
    pub source: Ipv6Addr,
    /// What it is about.
    pub subject: Subject,
    /// Source link-layer address option.
    pub source_mac: Option<Mac>,
    /// Target link-layer address option.
    pub target_mac: Option<Mac>,
}

impl Message {
    /// Whether the packet is said to be one, valid or not.
    pub fn is_in(packet: &Packet<'_>) -> bool {
        let is_kind = |kind: &u8| {
            matches!(
                *kind,
                TYPE_ROUTER_SOLICITATION | TYPE_NEIGHBOR_SOLICITATION | TYPE_NEIGHBOR_ADVERTISEMENT
            )
        };
        packet.protocol == IpNumber::IPV6_ICMP && packet.payload.first().is_some_and(is_kind)
    }

    /// Reads the packet's message; `None`: it has none, or one that nobody may heed.
    pub fn read(packet: &Packet<'_>) -> Option<Self> {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (packet.source, packet.destination)
        else {
            return None;
        };
        if packet.protocol != IpNumber::IPV6_ICMP || !packet.is_whole() {
            return None;
        }
        let icmp = Icmpv6Slice::from_slice(packet.payload).ok()?;
        let heeded = packet.hop_limit == HOP_LIMIT
            && icmp.code_u8() == 0
            && icmp.is_checksum_valid(source.octets(), destination.octets())
            && (source.is_unspecified() || is_host(packet.source));
        let (subject, options) = body(&icmp)?;
        let (source_mac, target_mac) = link_layers(options)?;
        let message = Self {
            source,
            subject,
            source_mac,
            target_mac,
        };
        (heeded && message.may_go_to(destination, &icmp)).then_some(message)
    }

    /// The rules about the destination, and about a sender without address.
    fn may_go_to(&self, destination: Ipv6Addr, icmp: &Icmpv6Slice<'_>) -> bool {
        let nobody = self.source.is_unspecified();
        match self.subject {
            Subject::RouterSolicitation => !nobody || self.source_mac.is_none(),
            Subject::NeighbourSolicitation(target) => {
                let silent = self.source_mac.is_none() && is_solicited_node(destination);
                !target.is_multicast() && (!nobody || silent)
            }
            Subject::NeighbourAdvertisement(target) => {
                let [flags, ..] = icmp.bytes5to8();
                let one = !destination.is_multicast() || flags & SOLICITED == 0;
                !target.is_multicast() && !nobody && one
            }
        }
    }
}

/// The subject, and the options.
fn body<'f>(icmp: &Icmpv6Slice<'f>) -> Option<(Subject, &'f [u8])> {
    let rest = icmp.slice().get(HEADER_LEN..)?;
    let about = |subject: fn(Ipv6Addr) -> Subject| {
        let (target, options) = rest.split_first_chunk::<16>()?;
        Some((subject(Ipv6Addr::from(*target)), options))
    };
    match icmp.type_u8() {
        TYPE_ROUTER_SOLICITATION => Some((Subject::RouterSolicitation, rest)),
        TYPE_NEIGHBOR_SOLICITATION => about(Subject::NeighbourSolicitation),
        TYPE_NEIGHBOR_ADVERTISEMENT => about(Subject::NeighbourAdvertisement),
        _ => None,
    }
}

/// The MACs of source and target; `None`: an option is malformed, or no MAC.
fn link_layers(options: &[u8]) -> Option<(Option<Mac>, Option<Mac>)> {
    let (mut source, mut target) = (None, None);
    for option in NdpOptionsIterator::from_slice(options) {
        let option = option.ok()?;
        if let NdpOptionSlice::SourceLinkLayerAddress(option) = option {
            source = Some(mac(option.link_layer_address())?);
        } else if let NdpOptionSlice::TargetLinkLayerAddress(option) = option {
            target = Some(mac(option.link_layer_address())?);
        }
    }
    Some((source, target))
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}

/// Whether the address is in `ff02::1:ff00:0/104`.
fn is_solicited_node(address: Ipv6Addr) -> bool {
    matches!(
        address.segments(),
        [0xFF02, 0, 0, 0, 0, 1, high, _] if high >> 8 == 0xFF
    )
}
