//! Who a port may speak as.

use super::*;
use crate::{
    abi::port_ca::PortCaKey,
    forward::testing::{address, from, icmpv4, icmpv6, tcp6_between},
    id::Mac,
};

/// From this address, as blue's first port; to blue's remote station.
fn as_(src: &str) -> Vec<u8> {
    let src = address(src);
    if src.is_v4() {
        set(&tcp(ca4(5), ca4(7)), 26, &src.to_v4())
    } else {
        set(&tcp6(5, 7), 22, &src.to_bytes())
    }
}

#[test]
fn spoofed_sources_are_dropped() {
    let tables = HostTables::two_tenants();
    for frame in both(7) {
        let other = from(mac(6), &frame);
        assert_eq!(dropped(&tables, BLUE_IF, &other), DropReason::SpoofMac);
    }
    for src in [
        "10.0.0.6",
        "fd00::6",
        "10.0.0.1",
        "fd00::1",
        "10.0.1.26",
        "0.0.0.0",
        "::",
        "239.1.1.1",
        "ff02::1",
        "255.255.255.255",
    ] {
        assert_eq!(
            dropped(&tables, BLUE_IF, &as_(src)),
            DropReason::SpoofCa,
            "{src}"
        );
    }
}

#[test]
fn more_cas_than_the_vport_holds_are_in_the_table() {
    let mut tables = HostTables::two_tenants();
    for src in ["10.0.0.9", "fd00::9"] {
        assert_eq!(dropped(&tables, BLUE_IF, &as_(src)), DropReason::SpoofCa);
        let ca = address(src);
        tables.port_cas.insert(PortCaKey { slot: 1, ca });
        encapped(&tables, BLUE_IF, &as_(src));
    }
    // A port without an address of a family has no unspecified one of it.
    tables.port(BLUE_IF).cas = [Address::UNSPECIFIED; 2];
    for src in ["0.0.0.0", "::"] {
        assert_eq!(
            dropped(&tables, BLUE_IF, &as_(src)),
            DropReason::SpoofCa,
            "{src}"
        );
    }
}

#[test]
fn who_has_no_address_may_ask_for_one_by_broadcast() {
    let tables = HostTables::two_tenants();
    for src in ["0.0.0.0", "::"] {
        let frame = to(Mac::BROADCAST, &as_(src));
        assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::BcastDisabled);
    }
    let other = from(mac(6), &to(Mac::BROADCAST, &as_("::")));
    assert_eq!(dropped(&tables, BLUE_IF, &other), DropReason::SpoofMac);
}

#[test]
fn link_local_sources_stay_on_their_link() {
    let mut tables = HostTables::two_tenants();
    let link = address("fe80::5");
    encapped(&tables, BLUE_IF, &as_("fe80::5"));
    for last in [26, 27] {
        let frame = from(mac(5), &tcp6_between(link, ca6(last)));
        assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::NoRoute);
    }
    tables.add_route("2001:db8:9::", 48, 27);
    let frame = from(mac(5), &tcp6_between(link, address("2001:db8:9::1")));
    assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::NoRoute);
}

#[test]
fn a_next_hop_sends_for_those_whom_routes_lead_to_it() {
    let mut tables = HostTables::two_tenants();
    for (prefix, bits, src) in [
        ("198.51.100.0", 24, "198.51.100.9"),
        ("2001:db8:9::", 48, "2001:db8:9::9"),
    ] {
        tables.add_route(prefix, bits, 5);
        tables.port(BLUE_IF).flags = 0;
        assert_eq!(dropped(&tables, BLUE_IF, &as_(src)), DropReason::SpoofCa);
        tables.allow(BLUE_IF, Vport::FORWARDS);
        encapped(&tables, BLUE_IF, &as_(src));
    }
    // Neither what no route covers, nor a subnet's own addresses, nor another's routes.
    tables.add_route("203.0.113.0", 24, 6);
    for src in [
        "192.0.2.77",
        "10.0.0.6",
        "10.0.1.26",
        "fd00::6",
        "203.0.113.1",
    ] {
        assert_eq!(
            dropped(&tables, BLUE_IF, &as_(src)),
            DropReason::SpoofCa,
            "{src}"
        );
    }
    // Of everything that is not on link, if the default route leads to it; groups are no sources.
    tables.add_route("0.0.0.0", 0, 5);
    tables.add_route("::", 0, 5);
    encapped(&tables, BLUE_IF, &as_("192.0.2.77"));
    encapped(&tables, BLUE_IF, &as_("2001:db8::77"));
    for src in [
        "10.0.0.6",
        "10.0.0.1",
        "fd00::6",
        "fd00::1",
        "224.0.0.1",
        "ff02::1",
        "::",
        "0.0.0.0",
    ] {
        assert_eq!(
            dropped(&tables, BLUE_IF, &as_(src)),
            DropReason::SpoofCa,
            "{src}"
        );
    }
}

#[test]
fn a_route_of_another_domain_allows_nothing() {
    let mut tables = HostTables::two_tenants();
    tables.add_route("198.51.100.0", 24, 5);
    tables.allow(RED_IF, Vport::FORWARDS);
    assert_eq!(
        dropped(&tables, RED_IF, &as_("198.51.100.9")),
        DropReason::SpoofCa
    );
}

#[test]
fn a_station_of_another_subnet_with_the_same_mac_is_another() {
    let mut tables = HostTables::two_tenants();
    let mut twin = tables.of(1, ca6(27));
    (twin.mac, twin.flags) = (mac(5), LookupRecord::VIA);
    tables.routes.push((1, address("2001:db8:9::"), 48, twin));
    tables.allow(BLUE_IF, Vport::FORWARDS);
    let frame = as_("2001:db8:9::9");
    assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::SpoofCa);
    let there = tcp6_between(ca6(5), address("2001:db8:9::9"));
    assert_eq!(encapped(&tables, BLUE_IF, &there).edit.eth.dst, mac(5));
}

#[test]
fn a_route_on_link_lets_nobody_speak_for_others() {
    let mut tables = HostTables::two_tenants();
    // The station of the on-link route's record is no next hop.
    let mut on_link = tables.of(1, ca6(5));
    on_link.flags = LookupRecord::ON_LINK;
    tables
        .routes
        .push((1, address("fd00:0:0:2::"), 64, on_link));
    tables.allow(BLUE_IF, Vport::FORWARDS);
    let frame = as_("fd00:0:0:2::9");
    assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::SpoofCa);
}

#[test]
fn a_learning_ports_new_address_is_asked_about() {
    let mut tables = HostTables::two_tenants();
    tables.allow(BLUE_IF, Vport::LEARNS);
    let learn = Halt::ask(Punt::Learn, DropReason::LearnRefused);
    for frame in [
        as_("10.0.0.9"),
        as_("fd00::9"),
        // Somebody else's too: whether it may is user space's to say.
        as_("10.0.0.6"),
        from(mac(5), &icmpv4(ca4(9), ca4(7), 8)),
        from(mac(5), &icmpv6(ca6(9), ca6(7), 128)),
        set(
            &crate::forward::testing::arp_request(ca4(5), ca4(7)),
            28,
            &ca4(9),
        ),
        crate::forward::testing::ask(ca6(9), mac(5), ca6(7)),
    ] {
        assert_eq!(halted(&tables, BLUE_IF, &frame), learn);
    }
    // Told of from an address that anybody may use.
    let (link, new) = (address("fe80::5"), ca6(9));
    let told = crate::forward::testing::advertisement(link, ca6(7), new, mac(5));
    assert_eq!(halted(&tables, BLUE_IF, &told), learn);
    encapped(&tables, BLUE_IF, &tcp6(5, 7));
    for src in ["0.0.0.0", "::", "224.0.0.1", "ff02::1"] {
        assert_eq!(
            dropped(&tables, BLUE_IF, &as_(src)),
            DropReason::SpoofCa,
            "{src}"
        );
    }
    let other = from(mac(6), &as_("10.0.0.9"));
    assert_eq!(dropped(&tables, BLUE_IF, &other), DropReason::SpoofMac);
}
