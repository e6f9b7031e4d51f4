//! What is switched by MAC: other protocols, link-local addresses, stations whose CAs nobody knows.

use super::*;
use crate::{
    abi::vport::LocalPortKey,
    forward::testing::{address, lldp, tcp6_between},
};

#[test]
fn other_protocols_are_switched_where_that_is_on() {
    let mut tables = HostTables::two_tenants();
    assert_eq!(
        dropped(&tables, BLUE_IF, &lldp(mac(7), mac(5))),
        DropReason::NonIp
    );
    tables.allow(BLUE_IF, Vport::NON_IP);
    let encap = encapped(&tables, BLUE_IF, &lldp(mac(7), mac(5)));
    assert_eq!(
        (encap.outer.gre.vsid_bits(), encap.edit.eth.dst),
        (BLUE, mac(7))
    );
    assert_eq!(
        delivered(&tables, BLUE_IF, &lldp(mac(6), mac(5))).ifindex,
        BLUE2_IF
    );
    // Nobody's MAC, another subnet's, the gateway's, its own.
    for dst in [mac(9), mac(27), GATEWAY_MAC] {
        let frame = lldp(dst, mac(5));
        assert_eq!(
            dropped(&tables, BLUE_IF, &frame),
            DropReason::NoLookupRecord
        );
    }
    assert_eq!(
        dropped(&tables, BLUE_IF, &lldp(mac(5), mac(5))),
        DropReason::Hairpin
    );
    assert_eq!(
        dropped(&tables, BLUE_IF, &lldp(mac(7), mac(6))),
        DropReason::SpoofMac
    );
}

#[test]
fn link_local_addresses_are_where_the_mac_is() {
    let tables = HostTables::two_tenants();
    let frame = |last| to(mac(last), &tcp6_between(ca6(5), address("fe80::1234")));
    assert_eq!(
        encapped(&tables, BLUE_IF, &frame(7)).outer.gre.vsid_bits(),
        BLUE
    );
    assert_eq!(delivered(&tables, BLUE_IF, &frame(6)).ifindex, BLUE2_IF);
    for last in [9, 26, 27] {
        assert_eq!(
            dropped(&tables, BLUE_IF, &frame(last)),
            DropReason::NoLookupRecord
        );
    }
}

#[test]
fn a_station_whose_addresses_nobody_knows_is_reached_by_mac() {
    let mut tables = HostTables::two_tenants();
    let mut station = tables.of(1, ca6(7));
    (station.mac, station.flags) = (mac(9), LookupRecord::L2_ONLY);
    tables
        .stations
        .insert(LocalPortKey::new(BLUE, mac(9)), station);
    for frame in both(9) {
        assert_eq!(
            dropped(&tables, BLUE_IF, &frame),
            DropReason::NoLookupRecord
        );
    }
    tables.allow(BLUE_IF, Vport::UNKNOWN_CAS | Vport::ON_DEMAND);
    for frame in both(9) {
        assert_eq!(encapped(&tables, BLUE_IF, &frame).edit.eth.dst, mac(9));
    }
    // Even if the store has nothing of the CA.
    tables.record(1, BLUE, 9, 0, 0, LookupRecord::NEGATIVE);
    tables
        .stations
        .insert(LocalPortKey::new(BLUE, mac(9)), station);
    for frame in both(9) {
        assert_eq!(encapped(&tables, BLUE_IF, &frame).edit.eth.dst, mac(9));
    }
    // A record comes first, whatever MAC the frame has; and a station with records is no such one.
    for frame in both(6) {
        delivered(&tables, BLUE_IF, &to(mac(9), &frame));
    }
    let other = to(mac(7), &tcp6(5, 8));
    assert_eq!(halted(&tables, BLUE_IF, &other).punt, Some(Punt::Miss));
}
