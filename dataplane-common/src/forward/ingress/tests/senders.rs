//! Whether the outer source is who the inner source is at.

use super::*;
use crate::abi::{lookup::LookupRecord as Record, vport::LocalPortKey};

const OTHER: [u8; 4] = [192, 0, 2, 3];

/// A packet of this CA, sent by the remote station of blue.
fn of(src: &str) -> Vec<u8> {
    let src = address(src);
    if src.is_v4() {
        set(&tcp(ca4(7), ca4(5)), 26, &src.to_v4())
    } else {
        set(&tcp6(7, 5), 22, &src.to_bytes())
    }
}

#[test]
fn the_record_says_where() {
    let tables = HostTables::two_tenants();
    for frame in both(7) {
        decapped(&tables, &nvgre(BLUE, PA, &frame));
        assert_eq!(
            dropped_in(&tables, &nvgre(BLUE, OTHER, &frame)),
            DropReason::PaMismatch
        );
    }
    for frame in both(8) {
        assert_eq!(
            dropped_in(&tables, &nvgre(BLUE, PA, &frame)),
            DropReason::SrcUnknown
        );
    }
    // A local CA, even behind our own PA, does not come from the wire, nor does the gateway.
    for last in [6, 1] {
        for frame in both(last) {
            let own = nvgre(BLUE, [192, 0, 2, 1], &frame);
            assert_eq!(dropped_in(&tables, &own), DropReason::PaMismatch);
            let other = nvgre(BLUE, PA, &frame);
            assert_eq!(dropped_in(&tables, &other), DropReason::PaMismatch);
        }
    }
}

#[test]
fn records_that_nobody_sends_from() {
    let mut tables = HostTables::two_tenants();
    for (flags, reason) in [
        (Record::NO_TRANSLATION, DropReason::PaMismatch),
        (Record::NEGATIVE, DropReason::SrcUnknown),
        (Record::GATEWAY, DropReason::PaMismatch),
        (Record::LOCAL, DropReason::PaMismatch),
    ] {
        tables.record(1, BLUE, 8, PEER, 0, flags);
        for frame in both(8) {
            assert_eq!(dropped_in(&tables, &nvgre(BLUE, PA, &frame)), reason);
        }
    }
    tables.record(1, BLUE, 8, 999, 0, 0);
    for frame in both(8) {
        let frame = nvgre(BLUE, PA, &frame);
        assert_eq!(dropped_in(&tables, &frame), DropReason::PaMismatch);
    }
}

#[test]
fn a_next_hop_speaks_for_those_whom_routes_lead_to_it() {
    let mut tables = HostTables::two_tenants();
    tables.record(1, BLUE, 8, HERE, 0, Record::LOCAL);
    for (prefix, bits, src) in [
        ("198.51.100.0", 24, "198.51.100.9"),
        ("2001:db8:9::", 48, "2001:db8:9::9"),
    ] {
        let frame = of(src);
        assert_eq!(
            dropped_in(&tables, &nvgre(BLUE, PA, &frame)),
            DropReason::SrcUnknown
        );
        tables.add_route(prefix, bits, 7);
        decapped(&tables, &nvgre(BLUE, PA, &frame));
        assert_eq!(
            dropped_in(&tables, &nvgre(BLUE, OTHER, &frame)),
            DropReason::PaMismatch
        );
        assert_eq!(
            dropped_in(&tables, &nvgre(RED, PA, &frame)),
            DropReason::SrcUnknown
        );
    }
    // Not for stations of the subnets, known or not.
    tables.add_route("0.0.0.0", 0, 7);
    tables.add_route("::", 0, 7);
    for (last, reason) in [(8, DropReason::PaMismatch), (9, DropReason::SrcUnknown)] {
        for frame in both(last) {
            assert_eq!(dropped_in(&tables, &nvgre(BLUE, PA, &frame)), reason);
        }
    }
    // A next hop here does not speak from there.
    tables.add_route("203.0.113.0", 24, 6);
    let frame = nvgre(BLUE, PA, &of("203.0.113.1"));
    assert_eq!(dropped_in(&tables, &frame), DropReason::PaMismatch);
}

#[test]
fn a_router_in_front_of_a_known_station_speaks_for_it() {
    let mut tables = HostTables::two_tenants();
    // With an external router, another subnet's stations come from it; each has its own routes.
    let scope = crate::abi::route::of_subnet(BLUE);
    let mut router = tables.of(1, ca6(7));
    router.flags |= Record::VIA;
    tables.routes.push((scope, Address::UNSPECIFIED, 0, router));
    tables.record(1, BLUE_B, 28, PEER6, 0, 0);
    for frame in both(28) {
        let frame = from(mac(7), &frame);
        assert_eq!(
            dropped_in(&tables, &nvgre(BLUE, PA, &frame)),
            DropReason::PaMismatch
        );
        tables.set_routes(BLUE, scope);
        decapped(&tables, &nvgre(BLUE, PA, &frame));
        assert_eq!(
            dropped_in(&tables, &nvgre(BLUE, OTHER, &frame)),
            DropReason::PaMismatch
        );
        tables.set_routes(BLUE, 1);
    }
}

#[test]
fn link_local_and_absent_addresses_say_nothing_but_the_mac_does() {
    let mut tables = with(VirtualSubnet::BROADCAST);
    tables
        .floods
        .insert(BLUE, Flood::new(&[BLUE_IF], &[], false));
    for src in ["fe80::7", "fe80::1234", "::", "0.0.0.0"] {
        let good = of(src);
        decapped(&tables, &nvgre(BLUE, PA, &good));
        let all = to(Mac::BROADCAST, &good);
        assert_eq!(
            ingress(&tables, &nvgre(BLUE, PA, &all)),
            Ok(Some(Ingress::Flood))
        );
        for frame in [&good, &all] {
            let elsewhere = nvgre(BLUE, OTHER, frame);
            assert_eq!(dropped_in(&tables, &elsewhere), DropReason::PaMismatch);
            let unknown = nvgre(BLUE, PA, &from(mac(9), frame));
            assert_eq!(dropped_in(&tables, &unknown), DropReason::SrcUnknown);
            let ours = nvgre(BLUE, PA, &from(mac(6), frame));
            assert_eq!(dropped_in(&tables, &ours), DropReason::PaMismatch);
        }
    }
}

#[test]
fn a_station_whose_addresses_nobody_knows_is_known_by_its_mac() {
    let mut tables = with(VirtualSubnet::ON_DEMAND);
    let mut station = tables.of(1, ca6(7));
    (station.mac, station.flags) = (mac(9), Record::L2_ONLY);
    tables
        .stations
        .insert(LocalPortKey::new(BLUE, mac(9)), station);
    for frame in both(9) {
        decapped(&tables, &nvgre(BLUE, PA, &frame));
        assert_eq!(
            dropped_in(&tables, &nvgre(BLUE, OTHER, &frame)),
            DropReason::PaMismatch
        );
    }
    // It does not speak for those who have a record.
    tables.record(1, BLUE, 8, PEER6, 0, 0);
    for frame in both(8).iter().chain(&both(6)) {
        let frame = nvgre(BLUE, PA, &from(mac(9), frame));
        assert_eq!(dropped_in(&tables, &frame), DropReason::PaMismatch);
    }
}

#[test]
fn on_demand_asks_about_a_source_that_it_does_not_know() {
    let mut tables = with(VirtualSubnet::ON_DEMAND);
    for frame in both(9) {
        let halt = ingress(&tables, &nvgre(BLUE, PA, &frame)).expect_err("asked about");
        assert_eq!(halt, Halt::ask(Punt::SourceMiss, DropReason::PuntFailed));
        // Only for the sake of a receiver.
        let nobody = nvgre(BLUE, PA, &to(mac(9), &frame));
        assert_eq!(dropped_in(&tables, &nobody), DropReason::NoLocalPort);
        assert_eq!(
            dropped_in(&tables, &nvgre(RED, PA, &frame)),
            DropReason::SrcUnknown
        );
    }
    // Nobody can have what no subnet and no route covers.
    let foreign = nvgre(BLUE, PA, &of("198.51.100.9"));
    assert_eq!(dropped_in(&tables, &foreign), DropReason::SrcUnknown);
    tables.record(1, BLUE, 9, 0, 0, Record::NEGATIVE);
    for frame in both(9) {
        assert_eq!(
            dropped_in(&tables, &nvgre(BLUE, PA, &frame)),
            DropReason::SrcUnknown
        );
    }
}
