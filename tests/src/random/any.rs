//! Everything that tables and frames can have, at random.

use std::net::{IpAddr, Ipv6Addr};

use dataplane_common::abi::{flood::Flood, vport::Vport, vsid::VirtualSubnet};
use dataplane_user::policy::table_image::TableImage;

use super::{Dice, ipv4, rewrite, spoil};
use crate::{
    fixtures::families::extended,
    packet::{
        arp, eth, icmp, patch, patch_ip, peer, ping, received, syn, tagged, tcp, udp, with_ttl,
    },
    policy::{
        BLUE, BLUE_OTHER, BLUE_RDID, GATEWAY_MAC, GROUP, PA_GROUP, RED, SECOND, SENDER, STRANGER,
        broadcasting, ca, external_router, forwarding, on_demand, switched, two_tenants, vm,
    },
};

/// Flags of ports that are set or not.
const FLAGS: [u16; 8] = [
    Vport::DROP_TAGGED,
    Vport::NON_IP,
    Vport::FORWARDS,
    Vport::LEARNS,
    Vport::BROADCAST,
    Vport::UNKNOWN_CAS,
    Vport::ADVERTISES,
    Vport::PEER,
];

/// Tables of any kind, whole.
pub fn any_policy(dice: &mut Dice) -> TableImage {
    let mut image = match dice.below(7) {
        0 | 6 => broadcasting(&[2]),
        1 => broadcasting(&[2, 3, 8, 9]),
        2 => switched(),
        3 => forwarding(),
        4 => external_router(),
        _ => two_tenants(),
    };
    if dice.one_in(2) {
        rewrite::some(dice, &mut image);
    }
    image.config.flow_id = dice.of(&[0, 1]);
    image.config.seed = u32::from(dice.byte());
    image.config.outer_ttl = dice.of(&[1, 64, 255]);
    image.config.dscp = dice.of(&[0xFF, 0, 46]);
    image.config.drop_foreign_gre = dice.of(&[0, 0, 0, 1]);
    for hop in image.underlay.values_mut() {
        hop.path_mtu = dice.of(&[130, 576, 1400, 1500, 1600]);
    }
    for port in image.vports.values_mut() {
        port.mtu = dice.of(&[576, 1500, 3000]);
        port.mss = [dice.of(&[0, 0, 536, 1300]), dice.of(&[0, 0, 1220, 1300])];
        for flag in FLAGS {
            if dice.one_in(6) {
                port.flags |= flag;
            }
        }
    }
    for subnet in image.subnets.values_mut() {
        for flag in [VirtualSubnet::NON_IP, VirtualSubnet::BROADCAST] {
            if dice.one_in(4) {
                subnet.flags |= flag;
            }
        }
    }
    if dice.one_in(3) {
        on_demand(&mut image, BLUE_RDID);
    }
    if dice.one_in(8) {
        image.floods.insert(BLUE, Flood::new(&[SENDER], &[2], true));
    }
    image
}

/// A frame that blue's first port sends.
pub fn any_sent(dice: &mut Dice) -> Vec<u8> {
    let v6 = dice.one_in(2);
    let src = if dice.one_in(12) {
        somebody(dice, v6)
    } else {
        ca(v6, 0, dice.of(&[5, 5, 5, 5, 5, SECOND]))
    };
    let dst = somebody(dice, v6);
    let frame = tenants_frame(dice, src, dst);
    let mut frame = patch(&frame, 6, &vm(5).0);
    if dice.one_in(40) {
        frame = patch(&frame, 6, &vm(6).0);
    }
    if dice.one_in(12) {
        let tags = [[0x81, 0, 0, 1], [0x88, 0xA8, 0, 2], [0x81, 0, 0, 3]];
        return tagged(&frame, &tags[..usize::from(dice.below(4))]);
    }
    cut(dice, frame)
}

/// A frame that comes from the underlay.
pub fn any_received(dice: &mut Dice) -> Vec<u8> {
    if dice.one_in(25) {
        return of_the_host(dice);
    }
    if dice.one_in(5) {
        let frame = rewrite::received(dice);
        return cut(dice, frame);
    }
    let v6 = dice.one_in(2);
    let over6 = dice.one_in(3);
    let src = if dice.one_in(3) {
        somebody(dice, v6)
    } else {
        ca(v6, 0, if over6 { 66 } else { 7 })
    };
    let (subnet, last) = dice.of(&[(0, 5), (0, 5), (0, 6), (1, 16), (0, 7)]);
    let dst = if dice.one_in(8) {
        somebody(dice, v6)
    } else {
        ca(v6, subnet, last)
    };
    let mut inner = tenants_frame(dice, src, dst);
    if !dice.one_in(4) && inner[0] & 1 == 0 {
        inner = patch(&inner, 0, &vm(last).0);
    }
    let home = if subnet == 1 { BLUE_OTHER } else { BLUE };
    let vsid = dice.of(&[
        home, home, home, home, home, home, home, RED, BLUE_OTHER, 9999, 0,
    ]);
    let right = dice.of(&[2, 2, 2, 2, 2, 2, 3, 1]);
    let pa = if over6 {
        peer(true)
    } else {
        [192, 0, 2, right].into()
    };
    let mut frame = received(vsid, pa, dice.of(&[0, 0, 0, 2, 3]), &inner);
    if pa.is_ipv4() && dice.one_in(20) {
        frame = patch_ip(&frame, 30, &PA_GROUP);
    }
    if pa.is_ipv6() && dice.one_in(20) {
        let at = dice.of(&[0, 1, 9]);
        frame = extended(&frame, &[dice.of(&[44, 60])], &[&[0, 0, at, 0, 0, 0, 9]]);
    }
    if dice.one_in(20) {
        spoil(dice, &mut frame, 100);
    }
    cut(dice, frame)
}

/// What a router of the underlay or somebody else sends to the host.
fn of_the_host(dice: &mut Dice) -> Vec<u8> {
    let router = peer(dice.one_in(2));
    let ours = crate::packet::sent_to(router, BLUE, 0, &udp([10, 0, 0, 5], [10, 0, 0, 7], 40));
    let mut frame = icmp::too_big(router, 1280, &ours);
    if dice.one_in(3) {
        spoil(dice, &mut frame, 90);
    }
    frame
}

/// Now and then the end is missing, or there is more behind it.
fn cut(dice: &mut Dice, mut frame: Vec<u8>) -> Vec<u8> {
    match dice.below(25) {
        0 => frame.truncate(14 + usize::from(dice.below(120))),
        1 => {
            let more = usize::from(dice.below(20));
            frame.resize(frame.len() + more, 0);
        }
        _ => {}
    }
    frame
}

/// A station, a gateway, a destination of routes, a group.
fn somebody(dice: &mut Dice, v6: bool) -> IpAddr {
    const LASTS: [u8; 14] = [1, 5, 5, 6, 7, 7, 66, 8, 9, 33, 44, 55, 77, STRANGER];
    if dice.one_in(3) {
        return elsewhere(dice, v6);
    }
    ca(v6, 0, dice.of(&LASTS))
}

fn elsewhere(dice: &mut Dice, v6: bool) -> IpAddr {
    if !v6 {
        let far: [[u8; 4]; 10] = [
            [10, 0, 1, 9],
            [10, 0, 1, 16],
            [10, 0, 1, 1],
            [203, 0, 113, 9],
            [192, 88, 99, 9],
            [198, 18, 0, 9],
            [100, 64, 0, 9],
            [198, 51, 100, 9],
            GROUP,
            [0; 4],
        ];
        return dice.of(&far).into();
    }
    let far = [
        "fd00:1::9",
        "fd00:1::10",
        "fd00:1::1",
        "2001:db8:a::9",
        "2001:db8:b::9",
        "2001:db8:c::9",
        "fe80::ee:ff:fe00:1",
        "fe80::5",
        "fe80::7",
        "ff02::1",
        "::",
    ];
    let far: Ipv6Addr = dice.of(&far).parse().expect("an address");
    far.into()
}

pub(super) fn tenants_frame(dice: &mut Dice, src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let mut frame = match dice.below(14) {
        0 | 1 => question(dice, src, dst),
        2 => other(dice),
        3 => ping(src, dst, dice.one_in(4)),
        4 => opening(dice, src, dst),
        5 | 6 => tcp(src, dst, usize::from(dice.below(1600))),
        8 => rewrite::about(dice, src, dst),
        9 => rewrite::other(dice, src, dst),
        7 => match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4(dice, src.octets(), dst.octets()),
            _ => chained(dice, src, dst),
        },
        _ => udp(src, dst, usize::from(dice.below(1600))),
    };
    let is_ip = matches!(frame[12..14], [8, 0] | [0x86, 0xDD]);
    if is_ip && dice.one_in(5) {
        frame = with_ttl(&frame, dice.of(&[0, 1, 2, 255]));
    }
    if is_ip && dice.one_in(5) {
        let byte = dice.byte();
        frame = if frame[12] == 8 {
            patch_ip(&frame, 15, &[byte])
        } else {
            patch(&frame, 14, &[0x60 | byte >> 4, byte << 4])
        };
    }
    if dice.one_in(10) {
        frame = patch(
            &frame,
            0,
            &dice.of(&[[0xFF; 6], [1, 0, 0x5E, 7, 7, 7], [0x33; 6]]),
        );
    } else if dice.one_in(8) {
        frame = patch(&frame, 0, &GATEWAY_MAC.0);
    }
    if dice.one_in(20) {
        spoil(dice, &mut frame, 90);
    }
    frame
}

/// ARP or neighbour discovery.
pub(super) fn question(dice: &mut Dice, src: IpAddr, dst: IpAddr) -> Vec<u8> {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let (src, dst) = (src.octets(), dst.octets());
            let op = dice.of(&[1, 1, 1, 2, 3]);
            let to = dice.of(&[dataplane_common::id::Mac::BROADCAST, vm(dst[3])]);
            let own = dice.of(&[vm(5), vm(5), vm(src[3])]);
            let frame = arp(op, to, (own, src), (vm(dst[3]), dst));
            patch(&frame, 6, &vm(src[3]).0)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => match dice.below(6) {
            0 | 1 => icmp::solicit(src, dst),
            2 => icmp::solicit_unicast(src, dst, vm(dst.octets()[15])),
            3 => icmp::probe(5, dst),
            4 => icmp::router_solicitation(src),
            _ => icmp::advertise((src, vm(src.octets()[15])), dice.one_in(2), dst),
        },
        _ => unreachable!("both are of one family"),
    }
}

/// A frame that is not IP.
fn other(dice: &mut Dice) -> Vec<u8> {
    let to = vm(dice.of(&[5, 6, 7, 66, 99, 8]));
    let from = vm(dice.of(&[5, 7, 7, 66, 99]));
    let mut frame = eth(to, from, dice.of(&[0x88CC, 0x8863, 0x0027]));
    frame.resize(14 + 20 + usize::from(dice.below(200)), 0x5C);
    frame
}

/// A SYN, with options at random.
fn opening(dice: &mut Dice, src: IpAddr, dst: IpAddr) -> Vec<u8> {
    const OPTIONS: [&[u8]; 8] = [
        &[1],
        &[1],
        &[2, 4, 0x05, 0xB4],
        &[2, 4, 0x01, 0x00],
        &[3, 3, 7],
        &[4, 2],
        &[8, 10, 1, 2, 3, 4, 0, 0, 0, 0],
        &[0],
    ];
    let mut options = Vec::new();
    while options.len() < 24 && !dice.one_in(6) {
        options.extend(dice.of(&OPTIONS));
    }
    options.resize(options.len().next_multiple_of(4), 0);
    let mut frame = syn(src, dst, &options);
    if dice.one_in(8) {
        let at = frame.len() - 1 - usize::from(dice.below(20));
        frame[at] = dice.byte();
    }
    frame
}

/// IPv6 with extension headers.
fn chained(dice: &mut Dice, src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let frame = match dice.below(3) {
        0 => ping(src, dst, false),
        1 => question(dice, src, dst),
        _ => tcp(src, dst, 50),
    };
    let count = usize::from(1 + dice.below(6));
    let kinds: Vec<u8> = (0..count).map(|_| dice.of(&[0, 43, 44, 51, 60])).collect();
    let bodies: Vec<Vec<u8>> = kinds
        .iter()
        .map(|kind| match kind {
            44 => vec![0, 0, dice.of(&[0, 1, 9]), 0, 0, 0, 9],
            51 => vec![1, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1],
            _ => vec![0, 1, 4, 0, 0, 0, 0],
        })
        .collect();
    let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    extended(&frame, &kinds, &bodies)
}
