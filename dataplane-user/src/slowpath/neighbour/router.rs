//! What a gateway tells of itself (RFC 4861, section 6.2), asked and unasked.

use std::net::Ipv6Addr;

use dataplane_common::id::Mac;
use etherparse::{
    Icmpv6Type,
    icmpv6::{
        NdpOptionType, PrefixInformation, RouterAdvertisementHeader, RouterAdvertisementPayload,
    },
};
use ipnet::Ipv6Net;

use super::{
    ALL_NODES, ALL_NODES_MAC, Answer, link_layer_option,
    message::{Message, Subject},
};
use crate::slowpath::packet::Packet;

/// How long the gateway is one, seconds: the most that RFC 4861, section 6.2.1 allows. A host does not
/// ask again when it ends, so it has to be told in time by [`unsolicited_router_advertisement`].
const LIFETIME: u16 = 9000;
/// What hosts put into their packets.
const CUR_HOP_LIMIT: u8 = 64;
/// A lifetime without end (RFC 4861, section 4.6.2).
const INFINITE: u32 = u32::MAX;
/// The smallest MTU that a host heeds (RFC 8200, section 5).
const MIN_MTU: u16 = 1280;
/// Prefixes that fit with all else into an advertisement of [`MIN_MTU`] bytes. What is left out is
/// reached by the gateway.
const MOST_PREFIXES: usize = (1280 - 40 - 16 - 8 - 8) / PrefixInformation::LEN;

/// The link-local address of whoever has the MAC: `fe80::` and its modified EUI-64 (RFC 4291,
/// appendix A).
pub const fn link_local(mac: Mac) -> Ipv6Addr {
    let [universal, m1, m2, m3, m4, m5] = mac.0;
    let bytes = [universal ^ 2, m1, m2, 0xFF, 0xFE, m3, m4, m5];
    let interface = u64::from_be_bytes(bytes) as u128;
    Ipv6Addr::from_bits(0xFE80 << 112 | interface)
}

/// What the gateway with the MAC tells who looks for a router: that it is one, which prefixes are on
/// the link, and the link's MTU. Nobody makes addresses of the prefixes: they are the policy's.
///
/// `None`: the frame is no router solicitation, or not a valid one.
pub fn router_advertisement(
    solicitation: &[u8],
    gateway: Mac,
    prefixes: &[Ipv6Net],
    mtu: u16,
) -> Option<Vec<u8>> {
    let (link, packet) = Packet::framed(solicitation)?;
    let message = Message::read(&packet)?;
    if message.subject != Subject::RouterSolicitation {
        return None;
    }
    let answer = Answer::to(&link, &message, (gateway, link_local(gateway)))?;
    advertisement(answer, prefixes, mtu)
}

/// The same for all hosts of the subnet, who did not ask: for those whose knowledge grows old, to be
/// sent at least once in 1800 seconds (RFC 4861, section 6.2.1).
pub fn unsolicited_router_advertisement(
    gateway: Mac,
    prefixes: &[Ipv6Net],
    mtu: u16,
) -> Option<Vec<u8>> {
    let answer = Answer {
        from: (gateway, link_local(gateway)),
        to: (ALL_NODES_MAC, ALL_NODES),
    };
    advertisement(answer, prefixes, mtu)
}

fn advertisement(answer: Answer, prefixes: &[Ipv6Net], mtu: u16) -> Option<Vec<u8>> {
    let told = Icmpv6Type::RouterAdvertisement(RouterAdvertisementHeader {
        cur_hop_limit: CUR_HOP_LIMIT,
        managed_address_config: false,
        other_config: false,
        router_lifetime: LIFETIME,
    });
    let timers = RouterAdvertisementPayload {
        reachable_time: 0,
        retrans_timer: 0,
    };
    let mut payload = timers.to_bytes().to_vec();
    payload.extend(link_layer_option(
        NdpOptionType::SOURCE_LINK_LAYER_ADDRESS,
        answer.from.0,
    ));
    if mtu >= MIN_MTU {
        payload.extend(mtu_option(mtu));
    }
    payload.extend(prefixes.iter().take(MOST_PREFIXES).flat_map(on_link));
    answer.write(told, &payload)
}

fn mtu_option(mtu: u16) -> [u8; 8] {
    let [high, low] = mtu.to_be_bytes();
    [NdpOptionType::MTU.0, 1, 0, 0, 0, 0, high, low]
}

fn on_link(prefix: &Ipv6Net) -> [u8; PrefixInformation::LEN] {
    let option = PrefixInformation {
        prefix_length: prefix.prefix_len(),
        on_link: true,
        autonomous_address_configuration: false,
        valid_lifetime: INFINITE,
        preferred_lifetime: INFINITE,
        prefix: prefix.network().octets(),
    };
    option.to_bytes()
}
