//! Between subnets and out of them.

use super::*;
use crate::forward::testing::{
    BLUE_B, BLUE_B_IF, address, arp_request, solicitation, tcp6_between,
};

pub(super) fn towards(dst: &str) -> Vec<u8> {
    let dst = address(dst);
    let frame = if dst.is_v4() {
        set(&tcp(ca4(5), ca4(7)), 30, &dst.to_v4())
    } else {
        tcp6_between(ca6(5), dst)
    };
    to(GATEWAY_MAC, &frame)
}

#[test]
fn the_distributed_router_is_one_hop() {
    let tables = HostTables::two_tenants();
    for frame in both(27) {
        let encap = encapped(&tables, BLUE_IF, &frame);
        assert_eq!(encap.outer.gre.vsid_bits(), BLUE_B);
        assert_eq!(
            (encap.edit.eth.dst, encap.edit.eth.src),
            (mac(27), GATEWAY_MAC)
        );
        assert_eq!(encap.edit.ttl, 63);
    }
    for frame in both(26) {
        let deliver = delivered(&tables, BLUE_IF, &frame);
        assert_eq!(deliver.ifindex, BLUE_B_IF);
        assert_eq!(
            (deliver.edit.eth.dst, deliver.edit.eth.src),
            (mac(26), GATEWAY_MAC)
        );
        assert_eq!(deliver.edit.ttl, 63);
    }
    for frame in both(7) {
        let edit = encapped(&tables, BLUE_IF, &frame).edit;
        assert_eq!((edit.ttl, edit.eth.src), (64, mac(5)));
    }
}

#[test]
fn a_hop_too_many_is_told_the_sender() {
    let tables = HostTables::two_tenants();
    let with = |ttl: u8, last| {
        [
            set(&both(last)[0], 22, &[ttl]),
            set(&both(last)[1], 21, &[ttl]),
        ]
    };
    for ttl in [0, 1] {
        for frame in [26, 27].into_iter().flat_map(|last| with(ttl, last)) {
            let halt = halted(&tables, BLUE_IF, &frame);
            assert_eq!(halt, Halt::ask(Punt::TtlExceeded, DropReason::TtlExceeded));
        }
        // Within the subnet nobody counts.
        for frame in with(ttl, 7) {
            assert_eq!(encapped(&tables, BLUE_IF, &frame).edit.ttl, ttl);
        }
    }
    for frame in with(2, 27) {
        assert_eq!(encapped(&tables, BLUE_IF, &frame).edit.ttl, 1);
    }
}

#[test]
fn routing_domains_never_meet() {
    let mut tables = HostTables::two_tenants();
    // Blue has a station and a route that red has not.
    tables.record(1, BLUE, 9, PEER, 0, 0);
    tables.add_route("0.0.0.0", 0, 7);
    tables.add_route("::", 0, 7);
    for frame in both(9).iter().chain(&both(27)) {
        encapped(&tables, BLUE_IF, frame);
    }
    for frame in both(9) {
        assert_eq!(dropped(&tables, RED_IF, &frame), DropReason::NoLookupRecord);
    }
    let routed = ["198.51.100.1", "2001:db8:9::1"].map(towards);
    for frame in both(27).iter().chain(&routed) {
        assert_eq!(dropped(&tables, RED_IF, frame), DropReason::NoRoute);
        encapped(&tables, BLUE_IF, frame);
    }
    for frame in [arp_request(ca4(5), ca4(9)), solicitation(5, 9)] {
        assert_eq!(dropped(&tables, RED_IF, &frame), DropReason::ArpNoRecord);
    }
    // The same CA is here for one and there for the other.
    tables.record(2, RED, 6, PEER, 0, 0);
    assert_eq!(
        encapped(&tables, RED_IF, &tcp6(5, 6)).outer.gre.vsid_bits(),
        RED
    );
    assert_eq!(delivered(&tables, BLUE_IF, &tcp6(5, 6)).ifindex, BLUE2_IF);
}

#[test]
fn what_no_record_and_no_route_covers_goes_nowhere() {
    let tables = HostTables::two_tenants();
    for frame in both(8).iter().chain(&both(28)) {
        assert_eq!(dropped(&tables, BLUE_IF, frame), DropReason::NoLookupRecord);
    }
    for dst in ["198.51.100.1", "2001:db8:9::1"] {
        assert_eq!(
            dropped(&tables, BLUE_IF, &towards(dst)),
            DropReason::NoRoute
        );
    }
}

#[test]
fn on_demand_asks_about_what_is_on_link_only() {
    let mut tables = HostTables::two_tenants();
    tables.allow(BLUE_IF, Vport::ON_DEMAND);
    let miss = Halt::ask(Punt::Miss, DropReason::PuntFailed);
    for frame in both(8).iter().chain(&both(28)) {
        assert_eq!(halted(&tables, BLUE_IF, frame), miss);
        // The other tenant's whole table is there.
        assert_eq!(halted(&tables, RED_IF, frame).punt, None);
    }
    assert_eq!(
        dropped(&tables, BLUE_IF, &towards("198.51.100.1")),
        DropReason::NoRoute
    );
    tables.record(1, BLUE, 8, 0, 0, LookupRecord::NEGATIVE);
    for frame in both(8) {
        assert_eq!(
            dropped(&tables, BLUE_IF, &frame),
            DropReason::NoLookupRecord
        );
    }
}

#[test]
fn the_longest_prefix_wins() {
    let mut tables = HostTables::two_tenants();
    tables.record(1, BLUE, 8, PEER6, 0, 0);
    for (all, some) in [("0.0.0.0", "198.51.0.0"), ("::", "2001:db8::")] {
        tables.add_route(some, 16, 8);
        tables.add_route(all, 0, 7);
    }
    for (dst, pa, next) in [
        ("198.51.100.1", pa6(2), 8),
        ("198.52.100.1", [192, 0, 2, 2].into(), 7),
        ("2001:db8:9::1", pa6(2), 8),
        ("2002::1", [192, 0, 2, 2].into(), 7),
    ] {
        let encap = encapped(&tables, BLUE_IF, &towards(dst));
        assert_eq!(
            (encap.outer.dst, encap.edit.eth.dst),
            (pa, mac(next)),
            "{dst}"
        );
        assert_eq!(encap.outer.gre.vsid_bits(), BLUE);
    }
    // A subnet's own prefix is longer than a default route.
    assert_eq!(
        dropped(&tables, BLUE_IF, &tcp6(5, 9)),
        DropReason::NoLookupRecord
    );
    // Groups are in no prefix.
    for dst in ["239.1.1.1", "255.255.255.255", "ff0e::1"] {
        assert_eq!(
            dropped(&tables, BLUE_IF, &towards(dst)),
            DropReason::NoLookupRecord
        );
    }
}

#[test]
fn a_next_hop_may_be_here_or_in_another_subnet() {
    let mut tables = HostTables::two_tenants();
    tables.add_route("198.51.100.0", 24, 6);
    tables.add_route("2001:db8:9::", 48, 27);
    tables.add_route("2001:db8:8::", 48, 26);
    let local = delivered(&tables, BLUE_IF, &towards("198.51.100.1"));
    // What is left to the gateway passes it; what is sent to the next hop itself does not.
    assert_eq!(
        (local.ifindex, local.edit.eth.dst, local.edit.eth.src),
        (BLUE2_IF, mac(6), GATEWAY_MAC)
    );
    assert_eq!(local.edit.ttl, 63);
    let direct = set(&towards("198.51.100.1"), 0, &mac(6).0);
    let direct = delivered(&tables, BLUE_IF, &direct);
    assert_eq!((direct.edit.eth.src, direct.edit.ttl), (mac(5), 64));
    let far = encapped(&tables, BLUE_IF, &towards("2001:db8:9::1"));
    assert_eq!((far.outer.gre.vsid_bits(), far.edit.ttl), (BLUE_B, 63));
    assert_eq!((far.edit.eth.dst, far.edit.eth.src), (mac(27), GATEWAY_MAC));
    let near = delivered(&tables, BLUE_IF, &towards("2001:db8:8::1"));
    assert_eq!((near.ifindex, near.edit.ttl), (BLUE_B_IF, 63));
}

#[test]
fn a_next_hop_gets_nothing_back_of_its_own() {
    let mut tables = HostTables::two_tenants();
    tables.add_route("::", 0, 5);
    tables.add_route("0.0.0.0", 0, 5);
    tables.allow(BLUE_IF, Vport::FORWARDS);
    for dst in ["198.51.100.1", "2001:db8:9::1"] {
        assert_eq!(
            dropped(&tables, BLUE_IF, &towards(dst)),
            DropReason::RouteLoop
        );
    }
}
