mod spoofing;

use super::*;
use crate::{
    forward::{
        Egress,
        testing::{
            self, BLUE, BLUE_IF, BLUE2_IF, Bytes, GATEWAY_MAC, HostTables, address, advertisement,
            arp, arp_request, ask, ca4, ca6, delivered, dropped, egress, encapped, halted,
            link_layer, mac, neighbour_with, probe, set, solicitation, to,
        },
    },
    id::Address,
    wire::arp as wire_arp,
};

fn answered(tables: &HostTables, frame: &[u8]) -> NeighbourReply {
    match egress(tables, BLUE_IF, frame) {
        Ok(Egress::Neighbour(reply)) => reply,
        other => panic!("{other:?}"),
    }
}

fn parsed(frame: &[u8]) -> Headers {
    crate::forward::parse::headers(&Bytes::new(frame), 0).expect("valid")
}

fn gateways() -> Address {
    Address::link_local_of(GATEWAY_MAC)
}

#[test]
fn questions_are_answered_from_the_records() {
    let tables = HostTables::two_tenants();
    for (last, mac, router) in [
        (7, mac(7), false),
        (6, mac(6), false),
        (1, GATEWAY_MAC, true),
    ] {
        for question in [arp_request(ca4(5), ca4(last)), solicitation(5, last)] {
            let reply = answered(&tables, &question);
            assert_eq!((reply.mac, reply.router), (mac, router));
            let eth = reply.eth(&parsed(&question));
            assert_eq!((eth.dst, eth.src), (testing::mac(5), mac));
        }
    }
    // Nobody has it; it is another subnet's; it is another tenant's.
    for last in [8, 26, 21] {
        for question in [arp_request(ca4(5), ca4(last)), solicitation(5, last)] {
            assert_eq!(
                dropped(&tables, BLUE_IF, &question),
                DropReason::ArpNoRecord
            );
        }
    }
}

#[test]
fn the_answer_says_what_was_asked() {
    let tables = HostTables::two_tenants();
    let question = arp_request(ca4(5), ca4(7));
    let reply = answered(&tables, &question).arp(&parsed(&question));
    assert_eq!((reply.sender_mac, reply.sender), (mac(7), ca4(7)));
    assert_eq!((reply.target_mac, reply.target), (mac(5), ca4(5)));
    assert_eq!(reply.op(), wire_arp::REPLY);
    let question = solicitation(5, 1);
    let (ip, message) = answered(&tables, &question).advertisement(&parsed(&question));
    assert_eq!((ip.src(), ip.dst(), ip.hop_limit()), (ca6(1), ca6(5), 255));
    let told = neighbour_with(136, ca6(1), ca6(5), ca6(1), &link_layer(2, GATEWAY_MAC));
    let bytes = testing::bytes_of(&message);
    // Router, solicited, override.
    assert_eq!(bytes[4..8], [0xE0, 0, 0, 0]);
    assert_eq!(bytes[8..], told[62..]);
    assert_eq!(usize::from(ip.payload_len()), bytes.len());
}

#[test]
fn who_probes_an_address_is_told_of_others_only() {
    let tables = HostTables::two_tenants();
    let arp_probe = |target| set(&arp_request(ca4(5), target), 28, &[0; 4]);
    assert_eq!(answered(&tables, &arp_probe(ca4(7))).mac, mac(7));
    assert_eq!(
        dropped(&tables, BLUE_IF, &arp_probe(ca4(5))),
        DropReason::GarpIgnored
    );
    assert_eq!(
        dropped(&tables, BLUE_IF, &arp_probe(ca4(8))),
        DropReason::ArpNoRecord
    );
    // The answer goes to all nodes, and so does not fit in the question's place.
    let taken = halted(&tables, BLUE_IF, &probe(mac(5), ca6(7)));
    assert_eq!(taken, Halt::ask(Punt::Neighbour, DropReason::PuntFailed));
    assert_eq!(
        dropped(&tables, BLUE_IF, &probe(mac(5), ca6(5))),
        DropReason::GarpIgnored
    );
    assert_eq!(
        dropped(&tables, BLUE_IF, &probe(mac(5), ca6(8))),
        DropReason::ArpNoRecord
    );
    let taken = halted(&tables, BLUE_IF, &probe(mac(5), gateways()));
    assert_eq!(taken.punt, Some(Punt::Neighbour));
}

#[test]
fn announcements_are_nobodys_business() {
    let tables = HostTables::two_tenants();
    let all = address("ff02::1");
    for frame in [
        arp_request(ca4(5), ca4(5)),
        arp(wire_arp::REPLY, Mac::BROADCAST, ca4(5), ca4(5)),
        arp(wire_arp::REPLY, Mac::BROADCAST, ca4(5), ca4(7)),
        solicitation(5, 5),
        advertisement(ca6(5), all, ca6(5), mac(5)),
    ] {
        assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::GarpIgnored);
    }
    let mut tables = HostTables::two_tenants();
    tables.allow(BLUE_IF, Vport::BROADCAST | Vport::UNKNOWN_CAS);
    let told = advertisement(ca6(5), all, ca6(5), mac(5));
    assert_eq!(dropped(&tables, BLUE_IF, &told), DropReason::GarpIgnored);
}

#[test]
fn a_question_of_another_form_is_answered_elsewhere() {
    let tables = HostTables::two_tenants();
    let group = testing::solicited_node(ca6(7));
    let bare = neighbour_with(icmp::SOLICITATION, ca6(5), group, ca6(7), &[]);
    let punt = halted(&tables, BLUE_IF, &bare).punt;
    assert_eq!(punt, Some(Punt::Neighbour));
}

#[test]
fn unicast_messages_travel_like_data() {
    let tables = HostTables::two_tenants();
    let asks = [
        arp(wire_arp::REQUEST, mac(7), ca4(5), ca4(7)),
        arp(wire_arp::REPLY, mac(7), ca4(5), ca4(7)),
        neighbour_with(135, ca6(5), ca6(7), ca6(7), &link_layer(1, mac(5))),
        advertisement(ca6(5), ca6(7), ca6(5), mac(5)),
    ];
    for frame in &asks {
        let encap = encapped(&tables, BLUE_IF, frame);
        assert_eq!(encap.outer.gre.vsid_bits(), BLUE);
        assert_eq!(encap.edit.eth.dst, mac(7));
    }
    let local = advertisement(ca6(5), ca6(6), ca6(5), mac(5));
    assert_eq!(delivered(&tables, BLUE_IF, &local).ifindex, BLUE2_IF);
    // The gateway is here.
    let gateway = arp(wire_arp::REQUEST, GATEWAY_MAC, ca4(5), ca4(1));
    assert_eq!(answered(&tables, &gateway).mac, GATEWAY_MAC);
    let gateway = neighbour_with(135, ca6(5), ca6(1), ca6(1), &link_layer(1, mac(5)));
    assert!(answered(&tables, &to(GATEWAY_MAC, &gateway)).router);
}

#[test]
fn link_local_targets_are_the_gateways_or_looked_for() {
    let mut tables = HostTables::two_tenants();
    let reply = answered(&tables, &ask(ca6(5), mac(5), gateways()));
    assert_eq!((reply.mac, reply.router), (GATEWAY_MAC, true));
    let other = ask(ca6(5), mac(5), address("fe80::7"));
    assert_eq!(dropped(&tables, BLUE_IF, &other), DropReason::ArpNoRecord);
    tables
        .floods
        .insert(BLUE, crate::abi::flood::Flood::new(&[BLUE2_IF], &[], false));
    tables.allow(BLUE_IF, Vport::BROADCAST);
    assert_eq!(egress(&tables, BLUE_IF, &other), Ok(Egress::Flood));
    let unicast = neighbour_with(135, ca6(5), address("fe80::7"), address("fe80::7"), &[]);
    assert_eq!(
        encapped(&tables, BLUE_IF, &to(mac(7), &unicast))
            .edit
            .eth
            .dst,
        mac(7)
    );
    // With a router of its own, the subnet's gateway is one of the stations.
    tables.allow(BLUE_IF, Vport::EXTERNAL_ROUTER);
    let asked = ask(ca6(5), mac(5), gateways());
    assert_eq!(egress(&tables, BLUE_IF, &asked), Ok(Egress::Flood));
}

#[test]
fn a_station_whose_addresses_nobody_knows_is_looked_for() {
    let mut tables = HostTables::two_tenants();
    tables.floods.insert(
        BLUE,
        crate::abi::flood::Flood::new(&[BLUE2_IF], &[2], false),
    );
    tables.allow(BLUE_IF, Vport::UNKNOWN_CAS);
    for question in [
        arp_request(ca4(5), ca4(8)),
        solicitation(5, 8),
        probe(mac(5), ca6(8)),
    ] {
        assert_eq!(egress(&tables, BLUE_IF, &question), Ok(Egress::Flood));
    }
    assert_eq!(answered(&tables, &arp_request(ca4(5), ca4(7))).mac, mac(7));
    // Questions only: the subnet does not allow broadcast.
    let data = to(Mac::BROADCAST, &testing::tcp(ca4(5), ca4(8)));
    assert_eq!(dropped(&tables, BLUE_IF, &data), DropReason::BcastDisabled);
}

#[test]
fn on_demand_asks_who_has_it() {
    let mut tables = HostTables::two_tenants();
    tables.allow(BLUE_IF, Vport::ON_DEMAND);
    for question in [
        arp_request(ca4(5), ca4(8)),
        solicitation(5, 8),
        probe(mac(5), ca6(8)),
    ] {
        assert_eq!(halted(&tables, BLUE_IF, &question).punt, Some(Punt::Miss));
    }
    tables.record(1, BLUE, 8, 0, 0, LookupRecord::NEGATIVE);
    for question in [arp_request(ca4(5), ca4(8)), solicitation(5, 8)] {
        assert_eq!(
            dropped(&tables, BLUE_IF, &question),
            DropReason::ArpNoRecord
        );
    }
}
