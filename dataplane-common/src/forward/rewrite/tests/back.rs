//! From the underlay, to the port that the PA is of.

use super::*;
use crate::forward::{
    outer, parse,
    testing::{BLUE_B, Bytes, icmpv4},
};

fn decided(tables: &HostTables, frame: &[u8]) -> Result<Back, Halt> {
    let frame = Bytes::new(frame);
    let ip = outer::ip(&frame).expect("IP");
    let to = receiver(tables, &frame, &ip).expect("a port's");
    ingress(tables, to, &parse::headers(&frame, 0).expect("valid"))
}

fn back(tables: &HostTables, frame: &[u8]) -> Back {
    decided(tables, frame).expect("delivered")
}

fn refused(tables: &HostTables, frame: &[u8]) -> DropReason {
    let halt = decided(tables, frame).expect_err("refused");
    assert_eq!(halt.punt, None, "asked about");
    halt.reason
}

fn ours(tables: &HostTables, frame: &[u8]) -> bool {
    let frame = Bytes::new(frame);
    receiver(tables, &frame, &outer::ip(&frame).expect("IP")).is_some()
}

/// Between PAs of a routing domain, in both families.
fn between(rdid: u8, src: u8, dst: u8) -> [Vec<u8>; 2] {
    [
        tcp(pa4(rdid, src), pa4(rdid, dst)),
        tcp6_between(pa6(rdid, src), pa6(rdid, dst)),
    ]
}

#[test]
fn the_pa_says_whose_the_packet_is() {
    let tables = rewriting();
    for (rdid, ifindex) in [(1, BLUE_IF), (2, RED_IF)] {
        for (frame, ca) in between(rdid, 7, 5)
            .iter()
            .zip([Address::v4(ca4(7)), ca6(7)])
        {
            assert!(ours(&tables, frame));
            let got = back(&tables, frame);
            assert_eq!((got.deliver.ifindex, got.pair.src), (ifindex, ca));
            assert_eq!(
                got.pair.dst,
                tables.vports[&ifindex].cas[usize::from(!ca.is_v4())]
            );
            let edit = got.deliver.edit;
            assert_eq!((edit.eth.dst, edit.eth.src, edit.ttl), (mac(5), mac(7), 64));
        }
    }
}

#[test]
fn what_is_no_ports_is_the_hosts() {
    let tables = rewriting();
    for frame in between(1, 5, 7).into_iter().chain(between(1, 7, 9)) {
        assert!(!ours(&tables, &frame));
    }
    for frame in between(1, 7, 5) {
        assert!(!ours(&tables, &to(Mac::BROADCAST, &frame)));
        assert!(!ours(&tables, &to(Mac([1, 0, 0x5E, 0, 0, 1]), &frame)));
    }
}

#[test]
fn between_subnets_it_comes_from_the_gateway() {
    let tables = rewriting();
    for frame in between(1, 27, 5) {
        let edit = back(&tables, &frame).deliver.edit;
        assert_eq!(
            (edit.eth.dst, edit.eth.src, edit.ttl),
            (mac(5), GATEWAY_MAC, 64)
        );
    }
}

#[test]
fn the_source_is_a_station_of_the_same_tenant_elsewhere() {
    let tables = rewriting();
    let mixed = [
        tcp(pa4(2, 7), pa4(1, 5)),
        tcp6_between(pa6(2, 7), pa6(1, 5)),
    ];
    for frame in mixed.into_iter().chain(between(1, 99, 5)) {
        assert_eq!(refused(&tables, &frame), DropReason::NatSrcUnknown);
    }
    for frame in between(1, 26, 5).into_iter().chain(between(1, 5, 5)) {
        assert_eq!(refused(&tables, &frame), DropReason::PaMismatch);
    }
}

#[test]
fn the_port_must_be_there_and_take_the_packet() {
    let mut tables = rewriting();
    for frame in between(1, 7, 5) {
        let exact = (frame.len() - 14) as u16;
        tables.port(BLUE_IF).mtu = exact;
        back(&tables, &frame);
        tables.port(BLUE_IF).mtu = exact - 1;
        assert_eq!(refused(&tables, &frame), DropReason::PortMtu);
    }
    tables.vports.remove(&BLUE_IF);
    for frame in between(1, 7, 5) {
        assert_eq!(refused(&tables, &frame), DropReason::NoLocalPort);
    }
}

/// A device may change its port before the tables of the other are all there.
#[test]
fn the_device_is_still_the_ports() {
    for change in [
        |port: &mut Vport| port.mac = mac(6),
        |port: &mut Vport| port.vsid = BLUE_B,
        |port: &mut Vport| port.rdid = 2,
    ] {
        let mut tables = rewriting();
        change(tables.port(BLUE_IF));
        for frame in between(1, 7, 5) {
            assert_eq!(refused(&tables, &frame), DropReason::NoLocalPort);
        }
    }
}

#[test]
fn hosts_route_only_where_they_are_the_router() {
    let mut tables = rewriting();
    tables.allow(BLUE_IF, Vport::EXTERNAL_ROUTER);
    for frame in between(1, 27, 5) {
        assert_eq!(refused(&tables, &frame), DropReason::NatSrcUnknown);
    }
    for frame in between(1, 7, 5) {
        back(&tables, &frame);
    }
}

#[test]
fn a_syn_is_clamped_as_the_port_says() {
    let mut tables = rewriting();
    tables.port(BLUE_IF).mss = [1300, 1280];
    let found = between(1, 7, 5).map(|frame| back(&tables, &frame).deliver.edit.mss);
    assert_eq!(found, [1300, 1280]);
}

#[test]
fn routers_have_nothing_to_say_but_errors() {
    let tables = rewriting();
    let (router, router6) = ([198, 51, 99, 1], address("2001:db8:ff::1"));
    let errors = [3, 5, 11, 12].map(|kind| icmpv4(router, pa4(1, 5), kind));
    let errors6 = [1, 2, 3, 4, 127].map(|kind| icmpv6(router6, pa6(1, 5), kind));
    for frame in errors.iter().chain(&errors6) {
        let asked = Halt::ask(Punt::RewriteError, DropReason::NatSrcUnknown);
        assert_eq!(decided(&tables, frame), Err(asked));
    }
    let said = [0, 8, 13].map(|kind| icmpv4(router, pa4(1, 5), kind));
    let said6 = [128, 129, 134].map(|kind| icmpv6(router6, pa6(1, 5), kind));
    for frame in said.iter().chain(&said6) {
        assert_eq!(refused(&tables, frame), DropReason::NatSrcUnknown);
    }
    // The other tenant's stations are no routers.
    let red = icmpv4(pa4(2, 7), pa4(1, 5), 3);
    assert_eq!(refused(&tables, &red), DropReason::NatSrcUnknown);
}

#[test]
fn neighbour_messages_do_not_come_through() {
    let tables = rewriting();
    let told = advertisement(pa6(1, 7), pa6(1, 5), pa6(1, 7), mac(7));
    assert_eq!(refused(&tables, &told), DropReason::NatNotCarried);
}
