//! IPv6 inside and outside.

use super::*;
use crate::policy::testing::{host, network, port, record, subnet};

fn both_families(more: &str) -> Vec<String> {
    vec![
        host("a", &["192.0.2.1", "2001:db8::1", "192.0.2.101"]),
        host("b", &["2001:db8::2", "192.0.2.2"]),
        network(
            "blue",
            "",
            &[
                subnet(6001, &["10.0.0.0/24", "fd00:a::/64"], ""),
                subnet(6002, &["10.0.1.0/24"], more),
            ],
        ),
        port(
            ("blue", "p5", "a"),
            (6001, 5, &["fd00:a::5", "10.0.0.5", "fd00:a::55"]),
            ", mssClamp: auto",
        ),
        port(
            ("blue", "p6", "a"),
            (6002, 6, &["10.0.1.6"]),
            ", mssClamp: 1200",
        ),
        port(
            ("blue", "p7", "b"),
            (6001, 7, &["10.0.0.7", "fd00:a::7"]),
            "",
        ),
        record("blue", (6001, "fd00:a::9", 9), "192.0.2.9", ""),
    ]
}

const PORTS: [(&str, &str, u32); 2] = [("blue", "p5", 11), ("blue", "p6", 12)];

#[test]
fn a_port_has_addresses_of_both_families() {
    let image = tables(&both_families(""), &PORTS);
    let port = image.vport(11).unwrap();
    assert_eq!(port.cas, [address("10.0.0.5"), address("fd00:a::5")]);
    for ca in ["10.0.0.5", "fd00:a::5", "fd00:a::55"] {
        assert!(image.port_has_ca(port.slot, address(ca)), "{ca}");
        let record = image.record(port.rdid, address(ca)).unwrap();
        assert_eq!((record.ifindex, record.mac), (11, mac(5)), "{ca}");
        assert_eq!(record.flags, LookupRecord::LOCAL);
    }
    assert_eq!(image.port_cas.len(), 4);
    assert_eq!(
        image.vport(12).unwrap().cas,
        [address("10.0.1.6"), Address::UNSPECIFIED]
    );
}

#[test]
fn gateways_of_both_families_are_answered_for() {
    let image = tables(&both_families(""), &PORTS);
    let port = image.vport(11).unwrap();
    for ca in ["10.0.0.1", "fd00:a::1", "10.0.1.1"] {
        let record = image.record(port.rdid, address(ca)).unwrap();
        let found = (record.flags, record.mac);
        assert_eq!(found, (LookupRecord::GATEWAY, port.gateway_mac), "{ca}");
    }
}

#[test]
fn what_is_sent_to_a_pa_comes_from_ours_of_its_family() {
    let image = tables(&both_families(""), &PORTS);
    let rdid = image.vport(11).unwrap().rdid;
    let way = |ca: &str| {
        let record = image.record(rdid, address(ca)).unwrap();
        let hop = image.next_hop(record.pa_index).unwrap();
        (hop.pa.to_string(), hop.src.to_string())
    };
    // Records of a port point to the first PA of its host.
    let told = |pa: &str, src: &str| (pa.to_owned(), src.to_owned());
    assert_eq!(way("10.0.0.7"), told("2001:db8::2", "2001:db8::1"));
    assert_eq!(way("fd00:a::7"), told("2001:db8::2", "2001:db8::1"));
    assert_eq!(way("fd00:a::9"), told("192.0.2.9", "192.0.2.1"));
    let own: Vec<String> = image.local_pas.iter().map(ToString::to_string).collect();
    assert_eq!(own, ["192.0.2.1", "192.0.2.101", "2001:db8::1"]);
}

#[test]
fn a_pa_of_a_family_that_we_have_none_of_has_no_source() {
    let mut documents = both_families("");
    documents[0] = host("a", &["192.0.2.1"]);
    let image = tables(&documents, &PORTS);
    let far = image.underlay.values();
    let far: Vec<_> = far.filter(|hop| !hop.pa.is_v4()).collect();
    assert_eq!(far.len(), 1);
    assert_eq!(
        (far[0].src, far[0].state),
        (Address::UNSPECIFIED, NextHop::NO_ROUTE)
    );
}

#[test]
fn segments_are_clamped_to_what_fits_or_to_what_is_said() {
    let image = tables(&both_families(""), &PORTS);
    assert_eq!(image.vport(11).unwrap().mss, [1418, 1398]);
    assert_eq!(image.vport(12).unwrap().mss, [1200, 1200]);
    let image = tables(&both_families(", mtu: 600"), &PORTS);
    assert_eq!(
        (image.vport(12).unwrap().mtu, image.vport(11).unwrap().mtu),
        (600, 1458)
    );
    let mut documents = both_families("");
    documents[3] = port(("blue", "p5", "a"), (6001, 5, &["10.0.0.5"]), "");
    assert_eq!(tables(&documents, &PORTS).vport(11).unwrap().mss, [0, 0]);
}

#[test]
fn settings_of_a_subnet_are_flags_of_its_ports() {
    let one = |more: &str| {
        let image = tables(&both_families(more), &PORTS);
        let other = image.vport(11).unwrap().flags;
        assert_eq!(other, Vport::PEER, "of another subnet");
        let subnet = image.subnet(6002).unwrap();
        (image.vport(12).unwrap().flags & !Vport::PEER, subnet.flags)
    };
    assert_eq!(one(""), (0, 0));
    assert_eq!(one(", innerVlan: drop"), (Vport::DROP_TAGGED, 0));
    assert_eq!(
        one(", allowNonIP: true"),
        (Vport::NON_IP, VirtualSubnet::NON_IP)
    );
    let broadcast = (Vport::BROADCAST, VirtualSubnet::BROADCAST);
    assert_eq!(one(", broadcast: {mode: unicastReplication}"), broadcast);
    let advertised = both_families("");
    let mut advertised = advertised;
    let subnets = [
        subnet(
            6001,
            &["10.0.0.0/24", "fd00:a::/64"],
            ", routerAdvertisement: true",
        ),
        subnet(6002, &["10.0.1.0/24"], ""),
    ];
    advertised[2] = network("blue", "tableMode: onDemand,", &subnets);
    let image = tables(&advertised, &PORTS);
    let flags = image.vport(11).unwrap().flags;
    assert_eq!(flags, Vport::PEER | Vport::ADVERTISES | Vport::ON_DEMAND);
    assert_eq!(image.subnet(6001).unwrap().flags, VirtualSubnet::ON_DEMAND);
    let record = |ca: &str| image.record(1, address(ca)).unwrap().flags;
    assert_eq!(record("10.0.0.7"), LookupRecord::ON_DEMAND);
    assert_eq!(record("10.0.0.5"), LookupRecord::LOCAL, "always there");
}

#[test]
fn a_record_without_translation_says_so_to_other_hosts_only() {
    let mut documents = both_families(", rule: TranslationMethodNone");
    documents.push(port(("blue", "p8", "b"), (6002, 8, &["10.0.1.8"]), ""));
    let more = ", rule: TranslationMethodNone";
    documents.push(record("blue", (6001, "10.0.0.10", 10), "192.0.2.9", more));
    let image = tables(&documents, &PORTS);
    let rdid = image.vport(11).unwrap().rdid;
    let flags = |ca: &str| image.record(rdid, address(ca)).unwrap().flags;
    assert_eq!(flags("10.0.0.10"), LookupRecord::NO_TRANSLATION);
    assert_eq!(
        flags("10.0.1.8"),
        LookupRecord::NO_TRANSLATION,
        "of its subnet"
    );
    assert_eq!(flags("10.0.1.6"), LookupRecord::LOCAL);
    assert_eq!(flags("10.0.0.7"), 0);
    // Where frames are switched by MAC it is the same station.
    let station = image.station(6001, mac(10)).unwrap();
    assert_eq!(station.flags, LookupRecord::NO_TRANSLATION);
}
