//! ICMP of tenants and of the underlay: pings, neighbour discovery, "too big".

use std::net::{IpAddr, Ipv6Addr};

use dataplane_common::id::Mac;
use etherparse::{Icmpv6Header, Icmpv6Type};

use super::{ip, last, patch};
use crate::policy::vm;

/// A ping from VM to VM, or its answer.
pub fn ping(src: impl Into<IpAddr>, dst: impl Into<IpAddr>, answer: bool) -> Vec<u8> {
    let (src, dst) = (src.into(), dst.into());
    let (id, seq, payload) = (0x1234, 7, [0x77; 32]);
    let step = ip(src, dst);
    let mut frame = Vec::new();
    let written = match (src.is_ipv4(), answer) {
        (true, false) => step
            .icmpv4_echo_request(id, seq)
            .write(&mut frame, &payload),
        (true, true) => step.icmpv4_echo_reply(id, seq).write(&mut frame, &payload),
        (false, false) => step
            .icmpv6_echo_request(id, seq)
            .write(&mut frame, &payload),
        (false, true) => step.icmpv6_echo_reply(id, seq).write(&mut frame, &payload),
    };
    written.expect("a vector takes it");
    frame
}

/// An `ICMPv6` message with a right checksum.
pub fn icmpv6(
    (to, from): (Mac, Mac),
    (src, dst): (Ipv6Addr, Ipv6Addr),
    hop_limit: u8,
    message: &[u8],
) -> Vec<u8> {
    let kind = Icmpv6Type::Unknown {
        type_u8: message[0],
        code_u8: message[1],
        bytes5to8: message[4..8].try_into().expect("four"),
    };
    let rest = &message[8..];
    let header = Icmpv6Header::with_checksum(kind, src.octets(), dst.octets(), rest);
    let header = header.expect("short");
    let mut frame = super::eth(to, from, 0x86DD);
    let mut ip = match super::ip_headers(src.into(), dst.into(), hop_limit) {
        etherparse::IpHeaders::Ipv6(ip, _) => ip,
        etherparse::IpHeaders::Ipv4(..) => unreachable!("two IPv6 addresses"),
    };
    ip.next_header = etherparse::IpNumber::IPV6_ICMP;
    ip.payload_length = u16::try_from(message.len()).expect("short");
    ip.write(&mut frame).expect("a vector takes it");
    header.write(&mut frame).expect("a vector takes it");
    frame.extend(rest);
    frame
}

/// Bytes of a neighbour message: type, flags, target, option and MAC.
fn neighbour(kind: u8, flags: u8, target: Ipv6Addr, option: Option<(u8, Mac)>) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, flags, 0, 0, 0];
    message.extend(target.octets());
    if let Some((kind, mac)) = option {
        message.extend([kind, 1]);
        message.extend(mac.0);
    }
    message
}

/// The group that stations listen to for questions about an address (RFC 4291, section 2.7.1), and
/// its MAC.
pub fn solicited_node(target: Ipv6Addr) -> (Ipv6Addr, Mac) {
    let [.., a, b, c] = target.octets();
    let mut group = [0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF, 0, 0, 0];
    group[13..].copy_from_slice(&[a, b, c]);
    (group.into(), Mac([0x33, 0x33, 0xFF, a, b, c]))
}

/// "Who has `target`", from the VM `sender`, to all who may have it.
pub fn solicit(sender: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let from = vm(last(sender.into()));
    let (group, mac) = solicited_node(target);
    let message = neighbour(135, 0, target, Some((1, from)));
    icmpv6((mac, from), (sender, group), 255, &message)
}

/// The same to the one who is believed to have it.
pub fn solicit_unicast(sender: Ipv6Addr, target: Ipv6Addr, mac: Mac) -> Vec<u8> {
    let from = vm(last(sender.into()));
    let message = neighbour(135, 0, target, Some((1, from)));
    icmpv6((mac, from), (sender, target), 255, &message)
}

/// "Does anybody have `target`", from the VM `last` that would have it.
pub fn probe(last: u8, target: Ipv6Addr) -> Vec<u8> {
    let (group, mac) = solicited_node(target);
    let message = neighbour(135, 0, target, None);
    icmpv6(
        (mac, vm(last)),
        (Ipv6Addr::UNSPECIFIED, group),
        255,
        &message,
    )
}

/// "`mac` has `target`", told to the VM `asker` because it asked.
pub fn advertise((target, mac): (Ipv6Addr, Mac), router: bool, asker: Ipv6Addr) -> Vec<u8> {
    let flags = if router { 0xE0 } else { 0x60 };
    let message = neighbour(136, flags, target, Some((2, mac)));
    let to = vm(last(asker.into()));
    icmpv6((to, mac), (target, asker), 255, &message)
}

/// "`mac` has `target`", told to all because somebody without an address asked.
pub fn advertise_to_all(target: Ipv6Addr, mac: Mac) -> Vec<u8> {
    let message = neighbour(136, 0x20, target, Some((2, mac)));
    let all = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 1);
    icmpv6(
        (Mac([0x33, 0x33, 0, 0, 0, 1]), mac),
        (target, all),
        255,
        &message,
    )
}

/// A router solicitation.
pub fn router_solicitation(sender: Ipv6Addr) -> Vec<u8> {
    let from = vm(last(sender.into()));
    let mut message = vec![133, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    message.extend(from.0);
    let all_routers = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 2);
    let mac = Mac([0x33, 0x33, 0, 0, 0, 2]);
    icmpv6((mac, from), (sender, all_routers), 255, &message)
}

/// "Too big" from a router of the underlay about a packet that we `sent`.
pub fn too_big(router: impl Into<IpAddr>, mtu: u16, sent: &[u8]) -> Vec<u8> {
    use crate::policy::{HOP_MAC, OUR_MAC, US, US6};
    let quoted = &sent[14..sent.len().min(14 + 128)];
    match router.into() {
        IpAddr::V6(router) => {
            let mut message = vec![2, 0, 0, 0, 0, 0];
            message.extend(mtu.to_be_bytes());
            message.extend(quoted);
            icmpv6((OUR_MAC, HOP_MAC), (router, US6.into()), 64, &message)
        }
        router @ IpAddr::V4(_) => {
            let header = etherparse::icmpv4::DestUnreachableHeader::FragmentationNeeded {
                next_hop_mtu: mtu,
            };
            let kind = etherparse::Icmpv4Type::DestinationUnreachable(header);
            let mut frame = Vec::new();
            let step = ip(router, US.into()).icmpv4(kind);
            step.write(&mut frame, quoted).expect("a vector takes it");
            patch(&patch(&frame, 0, &OUR_MAC.0), 6, &HOP_MAC.0)
        }
    }
}
