//! Stations with PAs of their own, at random, and packets between those.

use std::net::IpAddr;

use dataplane_common::abi::{rewrite::RewriteEntry, vport::Vport};
use dataplane_user::policy::table_image::TableImage;

use super::{
    Dice,
    any::{question, tenants_frame},
    spoil,
};
use crate::{
    packet::{
        patch, ping, tcp, udp,
        upper::{error, raw, summed, unsummed},
    },
    policy::{
        BLUE_RDID, NAT_HOP_MAC, OUR_MAC, RED_RDID, SECOND, SENDER, UPLINK_DEVICE, nat, own_pa,
        second_ca, sender,
    },
};

/// Gives some stations PAs of their own.
pub(super) fn some(dice: &mut Dice, image: &mut TableImage) {
    const BLUES: [(u8, u8); 8] = [
        (0, SECOND),
        (0, 6),
        (0, 7),
        (0, 66),
        (0, 33),
        (0, 55),
        (1, 9),
        (1, 16),
    ];
    second_ca(image);
    if !dice.one_in(5) {
        nat(image, BLUE_RDID, (0, 5), 0);
    }
    let stations = BLUES.map(|station| (BLUE_RDID, station));
    let reds = [(RED_RDID, (0, 5)), (RED_RDID, (0, 7))];
    for (rdid, station) in stations.into_iter().chain(reds) {
        if !dice.one_in(5) {
            let flags = dice.of(&[0, 0, RewriteEntry::VM_MAC]);
            nat(image, rdid, station, flags);
        }
    }
    if dice.one_in(5) {
        sender(image).flags ^= Vport::VM_MAC;
    }
    let entries: Vec<u32> = image
        .rewrites
        .values()
        .map(|entry| entry.pa_index)
        .collect();
    for index in entries {
        let hop = image.underlay.get_mut(&index).expect("of an entry");
        if hop.ifindex == SENDER && dice.one_in(4) {
            hop.ifindex = UPLINK_DEVICE;
        }
    }
}

/// What an uplink gets from station to station.
pub(super) fn received(dice: &mut Dice) -> Vec<u8> {
    let v6 = dice.one_in(2);
    let tenant = |dice: &mut Dice| dice.of(&[BLUE_RDID, BLUE_RDID, BLUE_RDID, RED_RDID]);
    let rdid = tenant(dice);
    let (subnet, last) = dice.of(&[
        (0, 7),
        (0, 7),
        (0, 7),
        (1, 9),
        (0, 66),
        (0, 33),
        (0, 6),
        (0, 99),
    ]);
    let from = if dice.one_in(10) { tenant(dice) } else { rdid };
    let src = own_pa(v6, from, subnet, last);
    let (subnet, last) = dice.of(&[
        (0, 5),
        (0, 5),
        (0, 5),
        (0, SECOND),
        (1, 16),
        (0, 55),
        (0, 7),
    ]);
    let dst = own_pa(v6, rdid, subnet, last);
    let mut frame = if dice.one_in(5) {
        question(dice, src, dst)
    } else {
        tenants_frame(dice, src, dst)
    };
    if frame[0] & 1 == 0 {
        frame = patch(&frame, 0, &OUR_MAC.0);
    }
    if !dice.one_in(3) {
        frame = patch(&frame, 6, &NAT_HOP_MAC.0);
    }
    if dice.one_in(20) {
        spoil(dice, &mut frame, 100);
    }
    frame
}

/// An ICMP message about a packet that went the other way, mostly; whole or cut.
pub(super) fn about(dice: &mut Dice, src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let (from, to) = if dice.one_in(8) {
        (src, dst)
    } else {
        (dst, src)
    };
    let quoted = match dice.below(6) {
        0 => ping(from, to, dice.one_in(2)),
        1 | 2 => tcp(from, to, 30),
        3 => other(dice, from, to),
        4 => error(from, to, dice.of(&[1, 3]), &udp(to, from, 9)[14..]),
        _ => udp(from, to, 30),
    };
    let mut quoted = quoted[14..].to_vec();
    match dice.below(6) {
        0 => quoted.truncate(usize::from(dice.below(80))),
        1 if from.is_ipv4() => quoted[6..8].copy_from_slice(&dice.of(&[[0, 8], [0x20, 0]])),
        2 => spoil(dice, &mut quoted, 50),
        _ => {}
    }
    let kind = dice.of(&[1, 2, 3, 3, 4, 5, 11, 12, 0, 127, 137]);
    error(src, dst, kind, &quoted)
}

/// Protocols that tenants seldom have, and UDP without a checksum.
pub(super) fn other(dice: &mut Dice, src: IpAddr, dst: IpAddr) -> Vec<u8> {
    let payload = vec![dice.byte(); 8 + usize::from(dice.below(60))];
    match dice.below(6) {
        0 => summed(src, dst, 136, &payload, 6),
        1 => summed(src, dst, 33, &payload, 6),
        2 => raw(src, dst, 132, &payload),
        3 => raw(src, dst, dice.of(&[2, 47, 50, 99]), &payload),
        4 => unsummed(&udp(src, dst, payload.len())),
        _ => raw(src, dst, dice.of(&[6, 17, 58, 1, 33, 136]), &payload),
    }
}
