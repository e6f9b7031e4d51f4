//! Rule `TranslationMethodNat`: CAs with PAs of their own.

use dataplane_common::abi::rewrite::RewriteEntry;

use super::*;
use crate::policy::testing::{host, network, port, record, subnet};

const NAT: &str = ", rule: TranslationMethodNat";
const PORTS: [(&str, &str, u32); 2] = [("blue", "p5", 11), ("blue", "p6", 12)];

/// A port's fields with these PAs of its own.
fn own(pas: &str, more: &str) -> String {
    format!("{NAT}, providerAddresses: [{pas}]{more}")
}

/// Blue has p5 here and p7 there with PAs of their own, p6 here and p8 there without; red is elsewhere.
fn documents(of_network: &str) -> Vec<String> {
    let p5 = "'198.51.100.5', '2001:db8:64::5', '198.51.100.55'";
    vec![
        host("a", &["192.0.2.1"]),
        host("b", &["192.0.2.2"]),
        network(
            "blue",
            of_network,
            &[subnet(
                6001,
                &["10.0.0.0/24", "fd00:a::/64"],
                ", broadcast: {mode: unicastReplication}",
            )],
        ),
        network("red", "", &[subnet(7001, &["10.0.0.0/24"], "")]),
        port(
            ("blue", "p5", "a"),
            (6001, 5, &["10.0.0.5", "fd00:a::5", "10.0.0.55"]),
            &own(p5, ", useVmMACAddress: true"),
        ),
        port(("blue", "p6", "a"), (6001, 6, &["10.0.0.6"]), ""),
        port(
            ("blue", "p7", "b"),
            (6001, 7, &["10.0.0.7"]),
            &own("198.51.100.7", ""),
        ),
        port(("blue", "p8", "b"), (6001, 8, &["10.0.0.8"]), ""),
        record(
            "blue",
            (6001, "10.0.0.9", 9),
            "198.51.100.9",
            &format!("{NAT}, useVmMACAddress: true"),
        ),
        record("red", (7001, "10.0.0.9", 9), "198.51.102.9", NAT),
    ]
}

fn entry<'i>(image: &'i TableImage, pa: &str) -> &'i RewriteEntry {
    image.rewrite(address(pa)).unwrap_or_else(|| panic!("{pa}"))
}

#[test]
fn a_pa_says_whose_it_is() {
    let image = tables(&documents(""), &PORTS);
    let rdid = image.vport(11).unwrap().rdid;
    let (here, vm_mac) = (RewriteEntry::LOCAL, RewriteEntry::VM_MAC);
    for (pa, ca, last, ifindex, flags) in [
        ("198.51.100.5", "10.0.0.5", 5, 11, here | vm_mac),
        ("2001:db8:64::5", "fd00:a::5", 5, 11, here | vm_mac),
        ("198.51.100.55", "10.0.0.55", 5, 11, here | vm_mac),
        ("198.51.100.7", "10.0.0.7", 7, 0, 0),
        ("198.51.100.9", "10.0.0.9", 9, 0, vm_mac),
    ] {
        let found = entry(&image, pa);
        assert_eq!((found.rdid, found.vsid), (rdid, 6001), "{pa}");
        assert_eq!((found.ca, found.mac), (address(ca), mac(last)), "{pa}");
        assert_eq!((found.ifindex, found.flags), (ifindex, flags), "{pa}");
        let hop = image.next_hop(found.pa_index).unwrap();
        assert_eq!(hop.pa, address(pa));
    }
    // Red has no port here.
    assert_eq!((image.rewrites.len(), image.config.rewrites), (5, 1));
}

#[test]
fn records_lead_to_the_pa_of_the_ca_itself() {
    let image = tables(&documents(""), &PORTS);
    let rdid = image.vport(11).unwrap().rdid;
    let (rewrite, local) = (LookupRecord::REWRITE, LookupRecord::LOCAL);
    for (ca, pa, flags) in [
        ("10.0.0.5", "198.51.100.5", rewrite | local),
        ("10.0.0.55", "198.51.100.55", rewrite | local),
        ("10.0.0.6", "192.0.2.1", local),
        ("10.0.0.7", "198.51.100.7", rewrite),
        ("10.0.0.8", "192.0.2.2", 0),
        ("10.0.0.9", "198.51.100.9", rewrite),
    ] {
        let record = image.record(rdid, address(ca)).unwrap();
        assert_eq!(pa_of(&image, &record), pa, "{ca}");
        assert_eq!(record.flags, flags, "{ca}");
    }
    // Whose MAC it is says that the second CA is the port's own.
    let second = image.record(rdid, address("10.0.0.55")).unwrap();
    assert_eq!((second.mac, second.ifindex), (mac(5), 11));
}

#[test]
fn a_port_has_the_pas_of_its_first_cas() {
    let image = tables(&documents(""), &PORTS);
    let port = image.vport(11).unwrap();
    assert_eq!(
        port.pas,
        [address("198.51.100.5"), address("2001:db8:64::5")]
    );
    assert!(port.has(Vport::REWRITES) && port.has(Vport::VM_MAC));
    let other = image.vport(12).unwrap();
    assert_eq!(other.pas, [Address::UNSPECIFIED; 2]);
    assert!(!other.has(Vport::REWRITES) && !other.has(Vport::VM_MAC));
}

#[test]
fn own_pas_are_followed_and_are_no_hosts() {
    let policy = crate::policy::testing::policy(&documents(""));
    let pas = pas_in_use(&policy, "a");
    for pa in ["198.51.100.5", "198.51.100.55", "198.51.100.7", "192.0.2.2"] {
        assert!(pas.contains(&pa.parse().unwrap()), "{pa}");
    }
    let image = tables(&documents(""), &PORTS);
    let local: Vec<String> = image.local_pas.iter().map(ToString::to_string).collect();
    assert_eq!(local, ["192.0.2.1"], "NVGRE comes to no other");
}

#[test]
fn the_pa_of_a_port_without_a_device_is_here_all_the_same() {
    let image = tables(&documents(""), &PORTS[1..]);
    let found = entry(&image, "198.51.100.5");
    assert_eq!(found.ifindex, 0);
    assert!(found.has(RewriteEntry::LOCAL));
    // On a host without ports nothing is rewritten.
    let mut documents = documents("");
    documents.drain(4..6);
    let image = tables(&documents, &[]);
    assert_eq!((image.rewrites.len(), image.config.rewrites), (0, 0));
}

#[test]
fn no_broadcast_goes_to_a_pa_that_is_not_a_hosts() {
    let mut documents = documents("");
    let copies = |documents: &[String]| {
        let image = tables(documents, &PORTS);
        let flood = *image.flood(6001).unwrap();
        let count = usize::try_from(flood.pa_count).unwrap();
        let hops = flood.pas[..count]
            .iter()
            .map(|index| image.next_hop(*index));
        let pas = hops.map(|hop| hop.unwrap().pa.to_string());
        pas.collect::<Vec<_>>()
    };
    assert_eq!(copies(&documents), ["192.0.2.2"]);
    documents.remove(7);
    assert!(copies(&documents).is_empty(), "p8 was why");
}

#[test]
fn whose_the_pas_are_is_known_in_whole_where_records_are_on_demand() {
    let whole = tables(&documents(""), &PORTS);
    let partial = tables(&documents("tableMode: onDemand,"), &PORTS);
    assert!(partial.vport(11).unwrap().has(Vport::ON_DEMAND));
    assert_eq!(whole.rewrites, partial.rewrites);
    assert_eq!(partial.config.rewrites, 1);
}

#[test]
fn a_port_whose_addresses_are_learned_has_the_rule_that_it_says() {
    let subnets = [subnet(6001, &["10.0.0.0/24"], NAT)];
    let documents = [
        host("a", &["192.0.2.1"]),
        host("b", &["192.0.2.2"]),
        network("blue", "", &subnets),
        port(
            ("blue", "p5", "a"),
            (6001, 5, &["10.0.0.5"]),
            ", rule: TranslationMethodEncap",
        ),
        port(
            ("blue", "p6", "b"),
            (6001, 6, &[]),
            ", rule: TranslationMethodEncap",
        ),
    ];
    let image = tables(&documents, &PORTS[..1]);
    let station = image.station(6001, mac(6)).unwrap();
    assert!(!station.has(LookupRecord::REWRITE));
    assert_eq!(pa_of(&image, station), "192.0.2.2");
    assert_eq!(image.config.rewrites, 0);
}
