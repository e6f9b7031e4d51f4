//! Ports whose addresses are learned.

use super::*;
use crate::policy::testing::{host, network, port, record, subnet};

const PORTS: [(&str, &str, u32); 2] = [("blue", "p5", 11), ("blue", "p6", 12)];
const DYNAMIC: &str = ", type: Dynamic";

fn documents() -> Vec<String> {
    let prefixes = ["10.0.0.0/24", "fd00:a::/64"];
    let subnets = [
        subnet(6001, &prefixes, ""),
        subnet(6002, &["10.0.1.0/24"], ""),
    ];
    vec![
        host("a", &["192.0.2.1", "192.0.2.101"]),
        host("b", &["192.0.2.2"]),
        network("blue", "", &subnets),
        port(("blue", "p5", "a"), (6001, 5, &[]), ""),
        port(("blue", "p6", "a"), (6001, 6, &["10.0.0.6"]), ""),
    ]
}

#[test]
fn learned_records_are_the_ports_addresses_and_lead_to_its_device() {
    let mut documents = documents();
    documents.extend([
        record("blue", (6001, "10.0.0.55", 5), "192.0.2.1", DYNAMIC),
        record("blue", (6001, "10.0.0.56", 5), "192.0.2.1", DYNAMIC),
        record("blue", (6001, "fd00:a::55", 5), "192.0.2.1", DYNAMIC),
        // The same MAC in another subnet is somebody else's.
        record("blue", (6002, "10.0.1.55", 5), "192.0.2.2", ""),
        record("blue", (6001, "10.0.0.9", 9), "192.0.2.2", ""),
    ]);
    let image = tables(&documents, &PORTS);
    let port = image.vport(11).unwrap();
    assert!(port.has(Vport::LEARNS) && port.has(Vport::UNKNOWN_CAS));
    assert!(!image.vport(12).unwrap().has(Vport::LEARNS));
    assert_eq!(port.cas, [address("10.0.0.55"), address("fd00:a::55")]);
    let own: Vec<String> = image
        .port_cas
        .iter()
        .filter(|key| key.slot == port.slot)
        .map(|key| key.ca.to_string())
        .collect();
    assert_eq!(own, ["10.0.0.55", "10.0.0.56", "fd00:a::55"]);
    for ca in own {
        let record = image.record(port.rdid, address(&ca)).unwrap();
        assert_eq!(
            (record.ifindex, record.flags),
            (11, LookupRecord::LOCAL),
            "{ca}"
        );
    }
    let other = image.record(port.rdid, address("10.0.1.55")).unwrap();
    assert_eq!((other.ifindex, other.flags), (0, 0));
    let station = image.station(6001, mac(5)).unwrap();
    let flags = LookupRecord::LOCAL | LookupRecord::L2_ONLY;
    assert_eq!((station.ifindex, station.flags), (11, flags));
}

#[test]
fn before_anything_is_learned_a_port_has_no_address() {
    let image = tables(&documents(), &PORTS);
    let port = image.vport(11).unwrap();
    assert_eq!(port.cas, [Address::UNSPECIFIED; 2]);
    assert!(image.port_cas.iter().all(|key| key.slot != port.slot));
    assert_eq!(image.local_port(6001, mac(5)), Some(11));
}

#[test]
fn what_was_learned_on_another_host_is_not_the_ports_here() {
    let mut documents = documents();
    documents.push(record("blue", (6001, "10.0.0.55", 5), "192.0.2.2", DYNAMIC));
    let image = tables(&documents, &PORTS);
    let port = image.vport(11).unwrap();
    assert!(!image.port_has_ca(port.slot, address("10.0.0.55")));
    let record = image.record(port.rdid, address("10.0.0.55")).unwrap();
    assert_eq!((record.ifindex, record.flags), (0, 0));
}
