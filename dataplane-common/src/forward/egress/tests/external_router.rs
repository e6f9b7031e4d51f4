//! With a router of the tenant's between the subnets.

use super::{routing::towards, *};
use crate::{
    abi::route,
    forward::testing::{BLUE_B, address, from},
};

/// Blue's first subnet leaves it by the router at .7, says its own table of routes.
fn external() -> HostTables {
    let mut tables = HostTables::two_tenants();
    let scope = route::of_subnet(BLUE);
    let own = tables.routes.clone().into_iter();
    let own: Vec<_> = own.filter(|(.., record)| record.vsid == BLUE).collect();
    for (_, prefix, bits, record) in own {
        tables.routes.push((scope, prefix, bits, record));
    }
    let mut router = tables.of(1, ca6(7));
    router.flags |= LookupRecord::VIA;
    tables.routes.push((scope, address("0.0.0.0"), 96, router));
    tables.routes.push((scope, Address::UNSPECIFIED, 0, router));
    tables.allow(BLUE_IF, Vport::EXTERNAL_ROUTER);
    tables.port(BLUE_IF).routes = scope;
    tables
}

#[test]
fn with_an_external_router_subnets_are_reached_through_it() {
    let mut tables = external();
    for frame in both(26)
        .iter()
        .chain(&both(27))
        .chain(&[towards("198.51.100.1")])
    {
        let encap = encapped(&tables, BLUE_IF, frame);
        assert_eq!(encap.outer.gre.vsid_bits(), BLUE);
        assert_eq!((encap.edit.eth.dst, encap.edit.eth.src), (mac(7), mac(5)));
        assert_eq!(encap.edit.ttl, 64);
    }
    for frame in both(6) {
        delivered(&tables, BLUE_IF, &frame);
    }
    for frame in both(8) {
        assert_eq!(
            dropped(&tables, BLUE_IF, &frame),
            DropReason::NoLookupRecord
        );
    }
    // What another subnet knows to be absent is the router's to say.
    tables.record(1, BLUE_B, 29, 0, 0, LookupRecord::NEGATIVE);
    for frame in both(29) {
        assert_eq!(encapped(&tables, BLUE_IF, &frame).edit.eth.dst, mac(7));
    }
}

#[test]
fn an_external_router_may_have_the_gateways_address() {
    let mut tables = external();
    tables.record(1, BLUE, 1, PEER, 0, 0);
    for frame in both(1) {
        assert_eq!(encapped(&tables, BLUE_IF, &frame).edit.eth.dst, mac(1));
    }
    let all = tables.routes.len();
    tables
        .routes
        .retain(|(.., record)| !record.has(LookupRecord::VIA));
    assert_eq!(tables.routes.len(), all - 2);
    let far = from(mac(5), &tcp6(5, 27));
    assert_eq!(dropped(&tables, BLUE_IF, &far), DropReason::NoRoute);
}
