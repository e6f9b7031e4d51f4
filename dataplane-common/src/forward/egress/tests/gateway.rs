//! To the gateway itself.

use super::*;
use crate::forward::testing::{address, from, icmpv4, icmpv6, tcp6_between};

fn link_local() -> Address {
    Address::link_local_of(GATEWAY_MAC)
}

#[test]
fn the_gateway_answers_pings() {
    let tables = HostTables::two_tenants();
    let own = address("fe80::5");
    for frame in [
        icmpv4(ca4(5), ca4(1), 8),
        icmpv6(ca6(5), ca6(1), 128),
        icmpv6(ca6(5), link_local(), 128),
        from(mac(5), &icmpv6(own, link_local(), 128)),
        from(mac(5), &icmpv6(own, ca6(1), 128)),
        // Of any subnet of the domain.
        icmpv4(ca4(5), ca4(21), 8),
        icmpv6(ca6(5), ca6(21), 128),
    ] {
        assert_eq!(decide(&tables, BLUE_IF, &frame), Ok(Egress::Echo));
    }
    // Not of another tenant's.
    let frame = icmpv6(ca6(5), ca6(21), 128);
    assert_eq!(dropped(&tables, RED_IF, &frame), DropReason::NoRoute);
}

#[test]
fn and_nothing_else() {
    let tables = HostTables::two_tenants();
    let ask = Halt::ask(Punt::ToGateway, DropReason::GatewayBound);
    let fragment = set(&icmpv4(ca4(5), ca4(1), 8), 20, &[0x20, 0]);
    for frame in both(1).into_iter().chain([
        tcp6_between(ca6(5), link_local()),
        icmpv4(ca4(5), ca4(1), 0),
        icmpv6(ca6(5), ca6(1), 129),
        fragment,
    ]) {
        assert_eq!(halted(&tables, BLUE_IF, &frame), ask);
    }
    let spoofed = from(mac(5), &icmpv6(ca6(6), ca6(1), 128));
    assert_eq!(dropped(&tables, BLUE_IF, &spoofed), DropReason::SpoofCa);
}

#[test]
fn there_is_none_with_an_external_router() {
    let mut tables = HostTables::two_tenants();
    tables.allow(BLUE_IF, Vport::EXTERNAL_ROUTER);
    let frame = to(GATEWAY_MAC, &icmpv6(ca6(5), link_local(), 128));
    assert_eq!(
        dropped(&tables, BLUE_IF, &frame),
        DropReason::NoLookupRecord
    );
}
