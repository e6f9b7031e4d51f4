//! What a port may not say.

use super::*;

const LINK_LOCAL: &str = "fe80::5";

#[test]
fn messages_do_not_leave_the_subnet() {
    let tables = HostTables::two_tenants();
    for frame in [
        arp(wire_arp::REPLY, GATEWAY_MAC, ca4(5), ca4(27)),
        arp(wire_arp::REPLY, GATEWAY_MAC, ca4(5), ca4(26)),
        advertisement(ca6(5), ca6(27), ca6(5), mac(5)),
        neighbour_with(135, ca6(5), ca6(26), ca6(7), &link_layer(1, mac(5))),
    ] {
        assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::NoRoute);
    }
    // Nor does user space make an answer to what asks nothing.
    for frame in [
        arp(wire_arp::REPLY, GATEWAY_MAC, ca4(5), ca4(1)),
        advertisement(ca6(5), ca6(1), ca6(5), mac(5)),
        advertisement(ca6(5), gateways(), ca6(5), mac(5)),
    ] {
        assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::GatewayBound);
    }
}

#[test]
fn spoofed_messages_are_refused() {
    let mut tables = HostTables::two_tenants();
    let own = address(LINK_LOCAL);
    let all = address("ff02::1");
    // Whose MAC.
    for frame in [
        set(&arp_request(ca4(5), ca4(7)), 22, &mac(6).0),
        set(&solicitation(5, 7), 80, &mac(6).0),
        advertisement(ca6(5), ca6(7), ca6(5), mac(6)),
        advertisement(own, ca6(7), own, mac(6)),
        set(&probe(mac(5), ca6(7)), 6, &mac(6).0),
    ] {
        assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::SpoofMac);
    }
    // Whose CA, asked from or told of.
    let alien = |frame: Vec<u8>| set(&frame, 6, &mac(5).0);
    for frame in [
        set(&arp_request(ca4(5), ca4(7)), 28, &ca4(6)),
        set(&arp(wire_arp::REPLY, mac(7), ca4(5), ca4(7)), 28, &ca4(6)),
        set(&arp(wire_arp::REPLY, mac(7), ca4(5), ca4(7)), 28, &[0; 4]),
        ask(ca6(6), mac(5), ca6(7)),
        alien(advertisement(ca6(6), ca6(7), ca6(6), mac(5))),
        advertisement(ca6(5), ca6(7), ca6(6), mac(5)),
        alien(advertisement(own, ca6(7), ca6(6), mac(5))),
        alien(advertisement(own, all, ca6(1), mac(5))),
    ] {
        assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::SpoofCa);
    }
    // What is one's own may be told from either address.
    for frame in [
        advertisement(own, ca6(7), ca6(5), mac(5)),
        advertisement(ca6(5), ca6(7), own, mac(5)),
        advertisement(own, ca6(7), own, mac(5)),
    ] {
        encapped(&tables, BLUE_IF, &alien(frame));
    }
    // Routes do not let anybody tell for others.
    tables.add_route("2001:db8:9::", 48, 5);
    tables.allow(BLUE_IF, Vport::FORWARDS);
    let routed = address("2001:db8:9::1");
    let frame = alien(advertisement(routed, ca6(7), routed, mac(5)));
    assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::SpoofCa);
}

#[test]
fn nobody_speaks_as_the_gateway() {
    let mut tables = HostTables::two_tenants();
    let own = address(LINK_LOCAL);
    let from = |frame: Vec<u8>| set(&frame, 6, &mac(5).0);
    let frames = [
        // Router advertisement and redirect.
        from(testing::icmpv6(gateways(), ca6(7), 134)),
        from(testing::icmpv6(gateways(), ca6(7), 137)),
        ask(gateways(), mac(5), ca6(7)),
        from(advertisement(gateways(), ca6(7), ca6(5), mac(5))),
        from(advertisement(own, ca6(7), gateways(), mac(5))),
        from(advertisement(ca6(5), ca6(7), gateways(), mac(5))),
    ];
    for frame in &frames {
        assert_eq!(dropped(&tables, BLUE_IF, frame), DropReason::SpoofCa);
    }
    tables.allow(BLUE_IF, Vport::EXTERNAL_ROUTER);
    for frame in &frames {
        assert!(egress(&tables, BLUE_IF, frame).is_ok());
    }
}
