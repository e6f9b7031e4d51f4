//! What every way has in common: anti-spoofing, encapsulation, the underlay.

mod anti_spoof;
mod broadcast;
mod external_router;
mod gateway;
mod routing;
mod stations;

use super::*;
use crate::forward::{
    parse,
    testing::{
        BLUE, BLUE_IF, BLUE2_IF, Bytes, GATEWAY_MAC, HostTables, PEER, PEER6, RED, RED_IF, ca4,
        ca6, delivered, dropped, egress as decide, encapped, halted, mac, pa6, set, tcp, tcp6, to,
        udp,
    },
};
use crate::id::Address;

/// From blue's first port to this CA, in both families.
fn both(last: u8) -> [Vec<u8>; 2] {
    [tcp(ca4(5), ca4(last)), tcp6(5, last)]
}

#[test]
fn remote_ca_is_encapsulated_in_its_own_vsid() {
    let tables = HostTables::two_tenants();
    for (ifindex, vsid) in [(BLUE_IF, BLUE), (RED_IF, RED)] {
        for frame in both(7) {
            let encap = encapped(&tables, ifindex, &frame);
            assert_eq!(encap.ifindex, 2);
            assert_eq!(encap.outer.gre.vsid_bits(), vsid);
            assert_eq!(encap.outer.src, [192, 0, 2, 1].into());
            assert_eq!(encap.outer.dst, [192, 0, 2, 2].into());
            assert_eq!(encap.outer.inner_len as usize, frame.len());
            assert_eq!(encap.outer.ttl, 64);
            assert_eq!(encap.edit.eth.dst, mac(7));
        }
    }
}

#[test]
fn any_family_goes_over_any_family() {
    let mut tables = HostTables::two_tenants();
    for (pa_index, src, dst) in [
        (
            PEER,
            Address::v4([192, 0, 2, 1]),
            Address::v4([192, 0, 2, 2]),
        ),
        (PEER6, pa6(1), pa6(2)),
    ] {
        tables.remote_at(pa_index);
        for frame in both(7) {
            let outer = encapped(&tables, BLUE_IF, &frame).outer;
            assert_eq!((outer.src, outer.dst), (src, dst));
            assert_eq!(
                outer.dst_mac,
                crate::id::Mac([2, 0, 0, 0, 1, pa_index as u8])
            );
        }
    }
}

#[test]
fn the_path_must_carry_the_outer_header_too() {
    let mut tables = HostTables::two_tenants();
    for (pa_index, cost) in [(PEER, 42), (PEER6, 62)] {
        tables.remote_at(pa_index);
        for frame in both(7) {
            let exact = (frame.len() - 14) as u16 + cost;
            let mut path = |mtu| tables.underlay.get_mut(&pa_index).expect("hop").path_mtu = mtu;
            path(exact);
            encapped(&tables, BLUE_IF, &frame);
            let mut path = |mtu| tables.underlay.get_mut(&pa_index).expect("hop").path_mtu = mtu;
            path(exact - 1);
            let halt = halted(&tables, BLUE_IF, &frame);
            assert_eq!(halt, Halt::ask(Punt::Oversize, DropReason::MtuExceeded));
        }
    }
}

#[test]
fn the_underlay_decides_whether() {
    let mut tables = HostTables::two_tenants();
    for (state, reason) in [
        (NextHop::NO_NEIGHBOUR, DropReason::PaNeighUnresolved),
        (NextHop::NO_ROUTE, DropReason::PaNoRoute),
        (NextHop::EMPTY, DropReason::PaNoRoute),
    ] {
        tables.underlay.get_mut(&PEER).expect("hop").state = state;
        for frame in both(7) {
            assert_eq!(dropped(&tables, BLUE_IF, &frame), reason);
        }
    }
    tables.underlay.remove(&PEER);
    assert_eq!(
        dropped(&tables, BLUE_IF, &tcp6(5, 7)),
        DropReason::PaNoRoute
    );
}

#[test]
fn too_long_for_an_outer_header_is_dropped() {
    let mut tables = HostTables::two_tenants();
    for (pa_index, most) in [(PEER, 65_507), (PEER6, 65_527)] {
        tables.remote_at(pa_index);
        tables.underlay.get_mut(&pa_index).expect("hop").path_mtu = u16::MAX;
        let mut headers = parse::headers(&Bytes::new(&tcp(ca4(5), ca4(7))), 0).expect("valid");
        let from = tables.vport(BLUE_IF).expect("port");
        headers.len = most;
        assert!(egress(&tables, from, &headers).is_ok());
        headers.len = most + 1;
        let halt = egress(&tables, from, &headers);
        assert_eq!(halt, Err(DropReason::EncapFailed.into()));
    }
}

#[test]
fn flow_id_none_is_zero() {
    let mut tables = HostTables::two_tenants();
    let with = |tables: &HostTables| encapped(tables, BLUE_IF, &tcp6(5, 7)).outer.gre.flow_id();
    assert_ne!(with(&tables), 0);
    tables.config = Some(Config {
        flow_id: 0,
        ..Config::DEFAULT
    });
    assert_eq!(with(&tables), 0);
}

#[test]
fn the_outer_class_follows_the_inner_or_is_fixed() {
    let mut tables = HostTables::two_tenants();
    let frame = set(&tcp6(5, 7), 14, &[0x6B, 0x90]);
    assert_eq!(encapped(&tables, BLUE_IF, &frame).outer.tos, 0xB9);
    tables.config = Some(Config {
        dscp: 10,
        ..Config::DEFAULT
    });
    assert_eq!(encapped(&tables, BLUE_IF, &frame).outer.tos, (10 << 2) | 1);
}

#[test]
fn local_ca_goes_to_its_port() {
    let mut tables = HostTables::two_tenants();
    for frame in both(6) {
        // The record's MAC counts, whatever the sender wrote.
        let deliver = delivered(&tables, BLUE_IF, &to(GATEWAY_MAC, &frame));
        assert_eq!((deliver.ifindex, deliver.slot), (BLUE2_IF, 2));
        assert_eq!(deliver.edit.eth.dst, mac(6));
        assert_eq!((deliver.edit.eth.src, deliver.edit.ttl), (mac(5), 64));
        assert!(!deliver.peer);
    }
    tables.allow(BLUE2_IF, Vport::PEER);
    assert!(delivered(&tables, BLUE_IF, &tcp6(5, 6)).peer);
    for frame in both(5) {
        assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::Hairpin);
    }
    tables.vports.remove(&BLUE2_IF);
    assert_eq!(
        dropped(&tables, BLUE_IF, &tcp6(5, 6)),
        DropReason::NoLocalPort
    );
}

#[test]
fn too_large_for_a_local_port_is_told_the_sender() {
    let mut tables = HostTables::two_tenants();
    for (frame, exact) in both(6).iter().zip([40, 60]) {
        tables.port(BLUE2_IF).mtu = exact;
        delivered(&tables, BLUE_IF, frame);
        tables.port(BLUE2_IF).mtu = exact - 1;
        let halt = halted(&tables, BLUE_IF, frame);
        assert_eq!(halt, Halt::ask(Punt::Oversize, DropReason::PortMtu));
    }
}

#[test]
fn a_record_without_translation_is_for_its_own_host() {
    let mut tables = HostTables::two_tenants();
    tables.record(1, BLUE, 7, PEER, 0, LookupRecord::NO_TRANSLATION);
    let (flags, here) = (LookupRecord::NO_TRANSLATION | LookupRecord::LOCAL, 1);
    tables.record(1, BLUE, 6, here, BLUE2_IF, flags);
    for (far, near) in both(7).iter().zip(both(6)) {
        assert_eq!(dropped(&tables, BLUE_IF, far), DropReason::NoTranslation);
        delivered(&tables, BLUE_IF, &near);
    }
}

#[test]
fn segments_are_clamped_to_the_stricter_port() {
    let mut tables = HostTables::two_tenants();
    tables.port(BLUE_IF).mss = [1400, 1380];
    for (frame, most) in both(7).iter().zip([1400, 1380]) {
        assert_eq!(encapped(&tables, BLUE_IF, frame).edit.mss, most);
        assert_eq!(encapped(&tables, RED_IF, frame).edit.mss, 0);
    }
    for (to, want) in [([0, 0], [1400, 1380]), ([1300, 1390], [1300, 1380])] {
        tables.port(BLUE2_IF).mss = to;
        for (frame, most) in both(6).iter().zip(want) {
            assert_eq!(delivered(&tables, BLUE_IF, frame).edit.mss, most);
        }
    }
    tables.port(BLUE_IF).mss = [0, 0];
    assert_eq!(
        delivered(&tables, BLUE_IF, &tcp(ca4(5), ca4(6))).edit.mss,
        1300
    );
    // Only TCP has any, and only the first fragment a header.
    let datagram = udp(ca4(5), ca4(6), 1, 2);
    assert_eq!(delivered(&tables, BLUE_IF, &datagram).edit.mss, 0);
    let fragment = set(&tcp(ca4(5), ca4(6)), 20, &[0, 1]);
    assert_eq!(delivered(&tables, BLUE_IF, &fragment).edit.mss, 0);
}

#[test]
fn a_dhcp_answer_to_a_learning_port_is_looked_at() {
    let mut tables = HostTables::two_tenants();
    let answer = udp(ca4(5), ca4(6), 67, 68);
    delivered(&tables, BLUE_IF, &answer);
    tables.allow(BLUE2_IF, Vport::LEARNS);
    assert_eq!(halted(&tables, BLUE_IF, &answer).punt, Some(Punt::DhcpAck));
    delivered(&tables, BLUE_IF, &udp(ca4(5), ca4(6), 68, 67));
    delivered(&tables, BLUE_IF, &set(&answer, 23, &[6]));
}

#[test]
fn tags_are_stripped_or_dropped_by_the_subnet() {
    let tables = HostTables::two_tenants();
    let mut port = *tables.vport(BLUE_IF).expect("port");
    assert_eq!(strip_tags(&port, 2), Ok(2));
    assert_eq!(strip_tags(&port, 3), Err(DropReason::InnerVlan));
    port.flags = Vport::DROP_TAGGED;
    assert_eq!(strip_tags(&port, 0), Ok(0));
    assert_eq!(strip_tags(&port, 1), Err(DropReason::InnerVlan));
    let tagged = set(&tcp6(5, 7), 12, &[0x81, 0]);
    assert_eq!(dropped(&tables, BLUE_IF, &tagged), DropReason::InnerVlan);
}
