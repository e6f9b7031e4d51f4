//! Which addresses a packet gets, and which it does not get.

mod asked;
mod back;

use super::*;
use crate::{
    abi::{lookup::LookupKey, underlay::NextHop},
    forward::{
        Egress, parse,
        testing::{
            BLUE, BLUE_B_IF, BLUE_IF, BLUE2_IF, Bytes, GATEWAY_MAC, HERE, HostTables, PEER, RED_IF,
            address, advertisement, arp, arp_request, ca4, ca6, delivered, dropped, egress, from,
            halted, icmpv6, link_layer, lldp, mac, neighbour_with, set, tcp, tcp6, tcp6_between,
            to,
        },
    },
};

/// Of packets to PAs: the next hop's, and of this host's uplink.
const HOP_MAC: Mac = Mac([2, 0, 0, 0, 2, 2]);
const OUR_MAC: Mac = Mac([2, 0, 0, 0, 1, 1]);
const UPLINK: u32 = 2;

/// The PA of an IPv4 CA of this routing domain.
fn pa4(rdid: u8, last: u8) -> [u8; 4] {
    [198, 51, 100 + rdid, last]
}

/// The PA of an IPv6 CA.
fn pa6(rdid: u8, last: u8) -> Address {
    address(&format!("2001:db8:{rdid}::{last:x}"))
}

/// Gives the station with this last byte PAs of its own.
fn nat(tables: &mut HostTables, rdid: u8, last: u8) {
    let domain = u32::from(rdid);
    for (ca, pa) in [
        (Address::v4(ca4(last)), Address::v4(pa4(rdid, last))),
        (ca6(last), pa6(rdid, last)),
    ] {
        let index = 100 + tables.underlay.len() as u32;
        let mut hop = NextHop::unrouted(pa, pa);
        (hop.ifindex, hop.state, hop.path_mtu) = (UPLINK, NextHop::RESOLVED, 1500);
        (hop.src_mac, hop.dst_mac) = (OUR_MAC, HOP_MAC);
        tables.underlay.insert(index, hop);
        let key = LookupKey { rdid: domain, ca };
        let record = tables.lookup.get_mut(&key).expect("record");
        record.pa_index = index;
        record.flags |= LookupRecord::REWRITE;
        let local = record.has(LookupRecord::LOCAL);
        let entry = RewriteEntry {
            rdid: domain,
            vsid: record.vsid,
            ifindex: record.ifindex,
            pa_index: index,
            ca,
            mac: record.mac,
            flags: if local { RewriteEntry::LOCAL } else { 0 },
        };
        tables.rewrites.insert(pa, entry);
        if let Some(port) = tables.vports.get_mut(&entry.ifindex) {
            port.flags |= Vport::REWRITES;
            for place in 0..2 {
                if port.cas[place] == ca {
                    port.pas[place] = pa;
                }
            }
        }
    }
}

/// Blue's 5 and 26 here and 7 and 27 there, and red's 5 and 7, have PAs of their own; blue's 6 here has
/// none.
fn rewriting() -> HostTables {
    let mut tables = HostTables::two_tenants();
    for (rdid, last) in [(1, 5), (1, 7), (1, 26), (1, 27), (2, 5), (2, 7)] {
        nat(&mut tables, rdid, last);
    }
    tables
}

fn rewritten(tables: &HostTables, ifindex: u32, frame: &[u8]) -> Rewrite {
    match egress(tables, ifindex, frame) {
        Ok(Egress::Rewrite(rewrite)) => rewrite,
        other => panic!("{other:?}"),
    }
}

/// From blue's first port to this CA, in both families.
fn both(last: u8) -> [Vec<u8>; 2] {
    [tcp(ca4(5), ca4(last)), tcp6(5, last)]
}

/// The PAs of two CAs of a routing domain, in both families.
fn pairs(rdid: u8, src: u8, dst: u8) -> [Pair; 2] {
    [
        Pair {
            src: Address::v4(pa4(rdid, src)),
            dst: Address::v4(pa4(rdid, dst)),
        },
        Pair {
            src: pa6(rdid, src),
            dst: pa6(rdid, dst),
        },
    ]
}

#[test]
fn a_packet_bears_the_pas_of_its_own_tenant() {
    let tables = rewriting();
    for (rdid, ifindex) in [(1, BLUE_IF), (2, RED_IF)] {
        for (frame, pair) in both(7).iter().zip(pairs(rdid, 5, 7)) {
            let got = rewritten(&tables, ifindex, frame);
            assert_eq!((got.ifindex, got.pair), (UPLINK, pair));
            assert_eq!((got.edit.eth.dst, got.edit.eth.src), (HOP_MAC, OUR_MAC));
            assert_eq!((got.edit.ttl, got.edit.tos), (64, 0));
        }
    }
}

#[test]
fn the_wire_sees_the_vms_mac_where_the_port_wants_it() {
    let mut tables = rewriting();
    tables.allow(BLUE_IF, Vport::VM_MAC);
    for frame in both(7) {
        let eth = rewritten(&tables, BLUE_IF, &frame).edit.eth;
        assert_eq!((eth.dst, eth.src), (HOP_MAC, mac(5)));
    }
}

#[test]
fn further_cas_have_pas_of_their_own() {
    let mut tables = rewriting();
    tables.record(1, BLUE, 15, HERE, BLUE_IF, LookupRecord::LOCAL);
    let slot = tables.port(BLUE_IF).slot;
    for ca in [Address::v4(ca4(15)), ca6(15)] {
        tables
            .port_cas
            .insert(crate::abi::port_ca::PortCaKey { slot, ca });
        let key = LookupKey { rdid: 1, ca };
        tables.lookup.get_mut(&key).expect("record").mac = mac(5);
    }
    let frames = [tcp(ca4(15), ca4(7)), tcp6(15, 7)].map(|frame| from(mac(5), &frame));
    for frame in &frames {
        assert_eq!(dropped(&tables, BLUE_IF, frame), DropReason::NatNoSrcPa);
    }
    nat(&mut tables, 1, 15);
    for (frame, pair) in frames.iter().zip(pairs(1, 15, 7)) {
        assert_eq!(rewritten(&tables, BLUE_IF, frame).pair, pair);
    }
    // A record that is another station's says nothing of the port's own.
    for ca in [Address::v4(ca4(15)), ca6(15)] {
        let key = LookupKey { rdid: 1, ca };
        tables.lookup.get_mut(&key).expect("record").mac = mac(6);
    }
    for frame in &frames {
        assert_eq!(dropped(&tables, BLUE_IF, frame), DropReason::NatNoSrcPa);
    }
}

#[test]
fn both_ends_have_the_same_rule() {
    let mut tables = rewriting();
    tables.record(1, BLUE, 9, PEER, 0, 0);
    for frame in both(9) {
        assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::RuleMismatch);
    }
    for frame in [tcp(ca4(6), ca4(7)), tcp6(6, 7)] {
        assert_eq!(dropped(&tables, BLUE2_IF, &frame), DropReason::RuleMismatch);
    }
}

#[test]
fn on_one_host_nothing_is_rewritten() {
    let tables = rewriting();
    for frame in both(6) {
        let got = delivered(&tables, BLUE_IF, &frame);
        assert_eq!((got.ifindex, got.edit.eth.dst), (BLUE2_IF, mac(6)));
    }
    for frame in both(26) {
        let got = delivered(&tables, BLUE_IF, &to(GATEWAY_MAC, &frame));
        assert_eq!((got.ifindex, got.edit.ttl), (BLUE_B_IF, 63));
    }
}

#[test]
fn the_router_between_subnets_counts_a_hop() {
    let tables = rewriting();
    for (frame, pair) in both(27).iter().zip(pairs(1, 5, 27)) {
        let frame = to(GATEWAY_MAC, frame);
        let got = rewritten(&tables, BLUE_IF, &frame);
        assert_eq!((got.pair, got.edit.ttl), (pair, 63));
        assert_eq!((got.edit.eth.dst, got.edit.eth.src), (HOP_MAC, OUR_MAC));
        let ttl = if frame[12] == 8 { 22 } else { 21 };
        let halt = halted(&tables, BLUE_IF, &set(&frame, ttl, &[1]));
        assert_eq!(halt, Halt::ask(Punt::TtlExceeded, DropReason::TtlExceeded));
    }
}

#[test]
fn the_path_carries_the_packet_and_nothing_else() {
    let mut tables = rewriting();
    for frame in both(7) {
        let exact = (frame.len() - 14) as u16;
        let mut path = |mtu| {
            tables
                .underlay
                .values_mut()
                .for_each(|hop| hop.path_mtu = mtu);
        };
        path(exact);
        rewritten(&tables, BLUE_IF, &frame);
        let mut path = |mtu| {
            tables
                .underlay
                .values_mut()
                .for_each(|hop| hop.path_mtu = mtu);
        };
        path(exact - 1);
        let halt = halted(&tables, BLUE_IF, &frame);
        assert_eq!(halt, Halt::ask(Punt::Oversize, DropReason::MtuExceeded));
    }
}

#[test]
fn the_underlay_must_reach_the_pa() {
    let mut tables = rewriting();
    for (state, reason) in [
        (NextHop::NO_NEIGHBOUR, DropReason::PaNeighUnresolved),
        (NextHop::NO_ROUTE, DropReason::PaNoRoute),
    ] {
        tables
            .underlay
            .values_mut()
            .for_each(|hop| hop.state = state);
        for frame in both(7) {
            assert_eq!(dropped(&tables, BLUE_IF, &frame), reason);
        }
    }
}

#[test]
fn only_own_cas_have_pas() {
    let mut tables = rewriting();
    let link_local = from(mac(5), &tcp6_between(address("fe80::5"), ca6(7)));
    assert_eq!(
        dropped(&tables, BLUE_IF, &link_local),
        DropReason::NatNoSrcPa
    );
    // Nor has what it forwards for others.
    tables.allow(BLUE_IF, Vport::FORWARDS);
    tables.add_route("198.18.0.0", 15, 5);
    let routed = set(&tcp(ca4(5), ca4(7)), 26, &[198, 18, 0, 9]);
    assert_eq!(dropped(&tables, BLUE_IF, &routed), DropReason::NatNoSrcPa);
}

#[test]
fn a_pa_stands_for_its_own_ca_only() {
    let mut tables = rewriting();
    tables.add_route("203.0.113.0", 24, 7);
    let routed = set(&tcp(ca4(5), ca4(7)), 30, &[203, 0, 113, 9]);
    assert_eq!(
        dropped(&tables, BLUE_IF, &routed),
        DropReason::NatNotCarried
    );
    tables.allow(BLUE_IF, Vport::NON_IP);
    for record in tables.stations.values_mut() {
        record.flags |= LookupRecord::REWRITE;
    }
    let lldp = lldp(mac(7), mac(5));
    assert_eq!(dropped(&tables, BLUE_IF, &lldp), DropReason::NatNotCarried);
    let link_local = to(mac(7), &tcp6_between(ca6(5), address("fe80::7")));
    assert_eq!(
        dropped(&tables, BLUE_IF, &link_local),
        DropReason::NatNotCarried
    );
}

#[test]
fn neighbour_messages_are_answered_here_or_go_nowhere() {
    let tables = rewriting();
    let solicitation = neighbour_with(
        icmp::SOLICITATION,
        ca6(5),
        ca6(7),
        ca6(7),
        &link_layer(1, mac(5)),
    );
    for question in [arp(1, mac(7), ca4(5), ca4(7)), solicitation] {
        match egress(&tables, BLUE_IF, &question) {
            Ok(Egress::Neighbour(reply)) => assert_eq!((reply.mac, reply.router), (mac(7), false)),
            other => panic!("{other:?}"),
        }
    }
    let told = advertisement(ca6(5), ca6(7), ca6(5), mac(5));
    for told in [arp(2, mac(7), ca4(5), ca4(7)), told] {
        assert_eq!(dropped(&tables, BLUE_IF, &told), DropReason::NatNotCarried);
    }
    // On one host they travel, as all else does.
    delivered(&tables, BLUE_IF, &arp(1, mac(6), ca4(5), ca4(6)));
}

#[test]
fn checksums_that_cover_addresses_are_known() {
    for (protocol, v4, v6) in [
        (ipv4::TCP, 16, 16),
        (ipv4::UDP, 6, 6),
        (ipv4::UDP_LITE, 6, 6),
        (ipv4::DCCP, 6, 6),
        (ipv6::ICMP, 0, 2),
        (icmp::V4, 0, 0),
        (132, 0, 0),
        (0, 0, 0),
    ] {
        let found = [true, false].map(|is_v4| checksum_at(is_v4, protocol));
        assert_eq!(found, [v4, v6], "{protocol}");
    }
}

/// The first CAs' PAs stand in the vport, but the record of the destination does not.
#[test]
fn nothing_is_sent_by_a_record_that_cannot_be_read() {
    let mut tables = rewriting();
    tables.busy = true;
    for frame in both(7) {
        assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::LookupBusy);
    }
    // Of another CA of the port, the record says which PA it has.
    let port = tables.port(BLUE_IF).to_owned();
    let headers = parse::headers(&Bytes::new(&tcp(ca4(6), ca4(7))), 0).expect("headers");
    let edit = Edit::to(&headers, port.mac, port.mac);
    let own = super::egress(&tables, &port, &headers, (PEER, edit)).expect_err("no PA");
    assert_eq!(own, DropReason::LookupBusy.into());
}
