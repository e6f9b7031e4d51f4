//! Neighbour messages as bytes.

use std::vec::Vec;

use super::{address, bytes_of, ca6, from, ipv6 as packet6, mac, set, to};
use crate::{
    id::{Address, Mac},
    wire::{
        arp::{self, ArpPacket},
        ether::{self, EthHeader},
        icmp, ipv6,
    },
};

/// A neighbour message without options: type, flags, target.
pub(crate) fn neighbour(kind: u8, src: Address, dst: Address, target: Address) -> Vec<u8> {
    neighbour_with(kind, src, dst, target, &[])
}

/// The same with options.
pub(crate) fn neighbour_with(
    kind: u8,
    src: Address,
    dst: Address,
    target: Address,
    options: &[u8],
) -> Vec<u8> {
    let mut payload = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    payload.extend(target.to_bytes());
    payload.extend(options);
    let frame = packet6(src, dst, (ipv6::ICMP, 255), &payload);
    if !dst.is_group() {
        return frame;
    }
    let bytes = dst.to_bytes();
    to(
        Mac([0x33, 0x33, bytes[12], bytes[13], bytes[14], bytes[15]]),
        &frame,
    )
}

/// A link-layer address option.
pub(crate) fn link_layer(kind: u8, mac: Mac) -> Vec<u8> {
    [&[kind, 1][..], &mac.0].concat()
}

/// The group in which the address is asked for (RFC 4291, section 2.7.1).
pub(crate) fn solicited_node(target: Address) -> Address {
    let bytes = target.to_bytes();
    let mut group = address("ff02::1:ff00:0").to_bytes();
    group[13..].copy_from_slice(&bytes[13..]);
    Address::v6(group)
}

/// "Who has the second?", from the first, to all, with the source's MAC.
pub(crate) fn solicitation(src: u8, target: u8) -> Vec<u8> {
    ask(ca6(src), mac(src), ca6(target))
}

/// The same about any address.
pub(crate) fn ask(src: Address, station: Mac, target: Address) -> Vec<u8> {
    let (kind, group) = (icmp::SOLICITATION, solicited_node(target));
    let frame = neighbour_with(kind, src, group, target, &link_layer(1, station));
    from(station, &frame)
}

/// "I have the target", told to another.
pub(crate) fn advertisement(src: Address, dst: Address, target: Address, station: Mac) -> Vec<u8> {
    let option = link_layer(2, station);
    neighbour_with(icmp::ADVERTISEMENT, src, dst, target, &option)
}

/// "Has anybody the address?", from a station without one.
pub(crate) fn probe(station: Mac, target: Address) -> Vec<u8> {
    let (kind, group) = (icmp::SOLICITATION, solicited_node(target));
    from(
        station,
        &neighbour(kind, Address::UNSPECIFIED, group, target),
    )
}

pub(crate) fn arp(op: u16, dst: Mac, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let packet = ArpPacket::reply(mac(sender[3]), sender, Mac([0; 6]), target);
    let mut frame = bytes_of(&EthHeader::new(dst, mac(sender[3]), ether::ARP));
    frame.extend(bytes_of(&packet));
    set(&frame, 20, &op.to_be_bytes())
}

pub(crate) fn arp_request(sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    arp(arp::REQUEST, Mac::BROADCAST, sender, target)
}
