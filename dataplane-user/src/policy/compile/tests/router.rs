//! Customer routes, and networks whose router is a VM.

use dataplane_common::abi::route;

use super::*;
use crate::policy::{
    model::CustomerRoute,
    testing::{host, network, port, record, route, subnet},
};

const PORTS: [(&str, &str, u32); 3] = [("blue", "p5", 11), ("blue", "p6", 12), ("red", "p5", 21)];

/// Routers 10.0.0.5 here, and 10.0.0.7 and 10.0.0.9 elsewhere.
fn routed(more: &str) -> Vec<String> {
    let subnets = [
        subnet(6001, &["10.0.0.0/24", "fd00:a::/64"], ""),
        subnet(6002, &["10.0.1.0/24"], ""),
    ];
    vec![
        host("a", &["192.0.2.1"]),
        host("b", &["192.0.2.2"]),
        network("blue", more, &subnets),
        network("red", "", &[subnet(7001, &["10.0.0.0/24"], "")]),
        port(
            ("blue", "p5", "a"),
            (6001, 5, &["10.0.0.5", "fd00:a::5"]),
            "",
        ),
        port(("blue", "p6", "a"), (6002, 6, &["10.0.1.6"]), ""),
        port(("red", "p5", "a"), (7001, 5, &["10.0.0.5"]), ""),
        port(("blue", "p7", "b"), (6001, 7, &["10.0.0.7"]), ""),
        record("blue", (6001, "10.0.0.9", 9), "192.0.2.9", ""),
    ]
}

fn with(more: &str, routes: &[String]) -> TableImage {
    tables(&[routed(more), routes.to_vec()].concat(), &PORTS)
}

/// Who gets a packet of blue's port in 6001 for the CA.
fn via<'i>(image: &'i TableImage, ca: &str) -> Option<&'i LookupRecord> {
    let scope = image.vport(11).unwrap().routes;
    image.route(scope, address(ca))
}

#[test]
fn the_lowest_metric_is_taken_of_those_that_are_there() {
    let routes = [
        route("blue", (6001, "0.0.0.0/0", "10.0.0.7"), 20),
        route("blue", (6001, "0.0.0.0/0", "10.0.0.9"), 30),
        route("blue", (6001, "0.0.0.0/0", "10.0.0.77"), 10),
        route("blue", (6001, "::/0", "fd00:a::5"), 40),
    ];
    let image = with("", &routes);
    // Nobody has 10.0.0.77.
    let record = via(&image, "198.51.100.1").unwrap();
    assert_eq!((record.mac, record.vsid), (mac(7), 6001));
    assert_eq!(record.flags, LookupRecord::VIA);
    assert_eq!(pa_of(&image, record), "192.0.2.2");
    let here = via(&image, "2001:db8::99").unwrap();
    assert_eq!((here.mac, here.ifindex), (mac(5), 11));
    assert_eq!(here.flags, LookupRecord::VIA | LookupRecord::LOCAL);
    // The next hop is withdrawn.
    let mut left = [routed(""), routes.to_vec()].concat();
    left.remove(7);
    let image = tables(&left, &PORTS);
    assert_eq!(via(&image, "198.51.100.1").unwrap().mac, mac(9));
    left.remove(7);
    let image = tables(&left, &PORTS);
    assert_eq!(via(&image, "198.51.100.1"), None);
    assert_eq!(
        via(&image, "2001:db8::99").unwrap().mac,
        mac(5),
        "the other family"
    );
}

#[test]
fn of_equal_metrics_the_lowest_next_hop_is_taken() {
    let documents = [
        routed(""),
        vec![route("blue", (6001, "0.0.0.0/0", "10.0.0.9"), 20)],
    ];
    let mut policy = crate::policy::testing::policy(&documents.concat());
    let known: CustomerRoute = *policy.routes.values().next().unwrap();
    for (name, next_hop) in [("a", "10.0.0.7"), ("z", "10.0.0.5")] {
        let next_hop = next_hop.parse().unwrap();
        let other = CustomerRoute { next_hop, ..known };
        let key = ("blue".to_owned(), name.to_owned());
        policy.routes.insert(key, other);
        let image = compile(&policy, "a", &attached(&PORTS), &mut Ids::new(0)).unwrap();
        let chosen = via(&image, "198.51.100.1").unwrap().mac;
        assert_eq!(chosen, mac(if name == "a" { 7 } else { 5 }));
    }
}

#[test]
fn a_wildcard_is_the_next_hop_that_has_no_record() {
    let wildcard = record(
        "blue",
        (6001, "0.0.0.0", 44),
        "192.0.2.4",
        ", type: GatewayWildcard",
    );
    let routes = [
        wildcard,
        route("blue", (6001, "0.0.0.0/0", "10.0.0.77"), 10),
        route("blue", (6001, "198.51.100.0/24", "10.0.0.9"), 10),
        route("blue", (6001, "::/0", "fd00:a::77"), 10),
    ];
    let image = with("", &routes);
    let record = via(&image, "203.0.113.1").unwrap();
    assert_eq!(record.mac, mac(44));
    assert_eq!(pa_of(&image, record), "192.0.2.4");
    assert_eq!(
        via(&image, "198.51.100.1").unwrap().mac,
        mac(9),
        "it has a record"
    );
    assert_eq!(via(&image, "2001:db8::1"), None, "of the other family");
}

#[test]
fn a_next_hop_without_translation_is_reached_on_its_own_host_only() {
    let more = ", rule: TranslationMethodNone";
    let routes = [
        record("blue", (6001, "10.0.0.10", 10), "192.0.2.9", more),
        route("blue", (6001, "0.0.0.0/0", "10.0.0.10"), 10),
    ];
    let image = with("", &routes);
    let record = via(&image, "203.0.113.1").unwrap();
    assert_eq!(
        record.flags,
        LookupRecord::VIA | LookupRecord::NO_TRANSLATION
    );
}

#[test]
fn prefixes_of_the_domain_are_on_link() {
    let routes = [route("blue", (6001, "10.0.0.0/8", "10.0.0.7"), 20)];
    let image = with("", &routes);
    for (ca, vsid) in [
        ("10.0.0.77", 6001),
        ("10.0.1.77", 6002),
        ("fd00:a::77", 6001),
    ] {
        let record = via(&image, ca).unwrap();
        assert_eq!(
            (record.flags, record.vsid),
            (LookupRecord::ON_LINK, vsid),
            "{ca}"
        );
    }
    assert_eq!(via(&image, "10.9.0.1").unwrap().flags, LookupRecord::VIA);
    // Red has no such route, and the same prefix.
    let red = image.vport(21).unwrap();
    assert_eq!(image.route(red.routes, address("10.9.0.1")), None);
    let own = image.route(red.routes, address("10.0.0.77")).unwrap();
    assert_eq!(own.vsid, 7001);
    assert_eq!(image.subnet(7001).unwrap().routes, red.routes);
}

#[test]
fn the_port_that_routes_lead_to_forwards() {
    let forwards = |image: &TableImage, ifindex| image.vport(ifindex).unwrap().has(Vport::FORWARDS);
    let image = with("", &[route("blue", (6001, "::/0", "fd00:a::5"), 0)]);
    assert_eq!(
        [11, 12, 21].map(|port| forwards(&image, port)),
        [true, false, false]
    );
    let image = with("", &[]);
    assert!(!forwards(&image, 11));
    // A wildcard's MAC may be a port's whose addresses are learned.
    let documents = [
        routed(""),
        vec![
            port(("blue", "gw", "a"), (6001, 50, &[]), ""),
            record(
                "blue",
                (6001, "10.0.0.50", 50),
                "192.0.2.1",
                ", type: Dynamic",
            ),
            route("blue", (6001, "0.0.0.0/0", "10.0.0.50"), 0),
        ],
    ];
    let ports = [&PORTS[..], &[("blue", "gw", 13)]].concat();
    let image = tables(&documents.concat(), &ports);
    assert_eq!([11, 13].map(|port| forwards(&image, port)), [false, true]);
    let record = via(&image, "198.51.100.1").unwrap();
    assert_eq!((record.mac, record.ifindex), (mac(50), 13));
}

#[test]
fn with_an_external_router_each_subnet_has_its_own_routes_and_no_gateway() {
    let more = "distributedRouter: false,";
    let mut documents = routed(more);
    documents[4] = port(("blue", "p5", "a"), (6001, 5, &["10.0.0.1"]), "");
    documents[7] = port(("blue", "p7", "b"), (6001, 7, &["10.0.0.7"]), "");
    documents.push(route("blue", (6001, "10.0.1.0/24", "10.0.0.1"), 0));
    documents.push(route("blue", (6001, "0.0.0.0/0", "10.0.0.7"), 0));
    let image = tables(&documents, &PORTS);
    let (web, db) = (image.vport(11).unwrap(), image.vport(12).unwrap());
    assert_eq!(
        (web.routes, db.routes),
        (route::of_subnet(6001), route::of_subnet(6002))
    );
    assert!(web.has(Vport::EXTERNAL_ROUTER) && web.has(Vport::FORWARDS));
    assert!(db.has(Vport::EXTERNAL_ROUTER) && !db.has(Vport::FORWARDS));
    assert_eq!(image.subnet(6002).unwrap().routes, route::of_subnet(6002));
    // The gateway's CA is the port's, and nobody has that of 6002.
    let gateway = image.record(web.rdid, address("10.0.0.1")).unwrap();
    assert_eq!((gateway.ifindex, gateway.flags), (11, LookupRecord::LOCAL));
    assert!(image.port_has_ca(web.slot, address("10.0.0.1")));
    assert_eq!(image.record(web.rdid, address("10.0.1.1")), None);
    assert!(
        image
            .lookup
            .values()
            .all(|r| !r.has(LookupRecord::GATEWAY) || r.vsid == 7001)
    );
    // The routes of 6001 are not 6002's, whose prefix is on link there alone.
    let flags = |port: &Vport, ca: &str| image.route(port.routes, address(ca)).map(|r| r.flags);
    assert_eq!(
        flags(web, "10.0.1.6"),
        Some(LookupRecord::VIA | LookupRecord::LOCAL)
    );
    assert_eq!(flags(db, "10.0.1.6"), Some(LookupRecord::ON_LINK));
    assert_eq!(flags(db, "10.0.0.7"), None);
    assert_eq!(flags(web, "198.51.100.1"), Some(LookupRecord::VIA));
    assert_eq!(flags(db, "198.51.100.1"), None);
}
