use dataplane_common::id::{Mac, Vsid};

use super::*;
use crate::{
    control::protocol::Problem,
    policy::{
        PortKey, derived_records,
        document::{RecordType, Rule},
        load,
        model::{Broadcast, Family, Isolation},
    },
};

const BASE: &str = include_str!("../../../../tests/fixtures/policy/good/two-tenants.yaml");
const FAMILIES: &str = include_str!("../../../../tests/fixtures/policy/good/families.yaml");
const LEARNED: &str = include_str!("../../../../tests/fixtures/policy/good/learned.yaml");
const ISOLATION: &str = include_str!("../../../../tests/fixtures/policy/good/isolation.yaml");
const ROUTER: &str = include_str!("../../../../tests/fixtures/policy/good/external-router.yaml");

fn policy(text: &str) -> Policy {
    validate(&numbered(documents(text))).unwrap()
}

fn vsid(number: u32) -> Vsid {
    Vsid::new(number).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn documents(text: &str) -> Vec<Document> {
    let located = load("test.yaml", text).unwrap();
    located.into_iter().map(|l| l.document).collect()
}

#[test]
fn a_fault_of_a_stored_object_names_the_document_that_causes_it() {
    let stored = documents(BASE);
    let mut change = documents(BASE);
    change.retain(|d| matches!(Key::of(d), Key::VmNetwork(name) if name == "blue"));
    if let Document::VMNetwork(network) = &mut change[0] {
        network.spec.virtual_subnets[0].prefixes = vec!["10.7.0.0/24".parse().unwrap()];
    }
    let faults = validate(&merge(stored, change)).unwrap_err();
    let fault = faults
        .iter()
        .find(|f| f.object.to_string() == "port/blue/vm1")
        .unwrap();
    assert_eq!(fault.document, Some(0));
    assert_eq!(
        fault.message,
        "10.0.0.5 is outside 10.7.0.0/24, because of vmnetwork/blue (document 1 of the request)"
    );
}

#[test]
fn applying_the_same_again_is_valid() {
    let both = merge(documents(BASE), documents(BASE));
    assert_eq!(both.len(), documents(BASE).len());
    validate(&both).unwrap();
}

#[test]
fn a_conflict_with_a_stored_object_is_the_request_s() {
    let text = "apiVersion: nve/v1\nkind: LookupRecord\nmetadata: {vmNetwork: blue}\nspec: {virtualSubnetId: 6001, customerAddress: 10.0.0.5, macAddress: 02:00:00:0b:00:55, providerAddress: 192.0.2.9}\n";
    let faults = validate(&merge(documents(BASE), documents(text))).unwrap_err();
    assert_eq!(faults.len(), 1);
    let problem = Problem::from(faults[0].clone());
    assert_eq!(problem.document, Some(0));
    assert_eq!(problem.object, "lookuprecord/6001/10.0.0.5");
}

/// A learned address stays with its host, whatever becomes of the port that it is of.
#[test]
fn a_learned_record_gives_way_to_a_stated_one_only_by_hand() {
    let mut without_port = documents(LEARNED);
    without_port.retain(|d| !matches!(d, Document::Port(_)));
    validate(&numbered(without_port)).unwrap();

    let port = "apiVersion: nve/v1\nkind: Port\nmetadata: {name: vm2, vmNetwork: blue}\nspec: {host: host-a, virtualSubnetId: 6001, macAddress: 02:00:00:0b:00:22, customerAddresses: [10.0.0.9], attach: {netns: b}}\n";
    let faults = validate(&merge(documents(LEARNED), documents(port))).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].object.to_string(), "lookuprecord/6001/10.0.0.9");
    assert_eq!(faults[0].document, Some(0));
}

#[test]
fn what_is_no_ordinary_record_is_in_a_map_of_its_own() {
    let policy = policy(LEARNED);
    let addresses: Vec<String> = policy
        .stated()
        .map(|record| record.ca.to_string())
        .collect();
    let ordinary = [
        "10.0.0.8",
        "10.0.0.9",
        "10.0.0.10",
        "10.0.0.11",
        "10.0.0.254",
    ];
    assert_eq!(addresses, ordinary);
    let rule = |ca| policy.stated_at(vsid(6001), ip(ca)).expect("a record").rule;
    assert_eq!(rule("10.0.0.11"), Rule::TranslationMethodNone);
    assert_eq!(rule("10.0.0.9"), Rule::TranslationMethodEncap);

    let macs: Vec<Mac> = policy.l2_only.keys().map(|(_, mac)| *mac).collect();
    assert_eq!(macs, [7, 8].map(|last| Mac([2, 0, 0, 11, 0, last])));
    let wildcards: Vec<Family> = policy.wildcards.keys().map(|(_, family)| *family).collect();
    assert_eq!(wildcards, [Family::V4, Family::V6]);
    let groups: Vec<IpAddr> = policy.groups.values().copied().collect();
    assert_eq!(groups, [ip("239.1.1.2"), ip("ff08::9")]);

    let port = &policy.ports[&PortKey::new("blue", "vm1")];
    assert_eq!(port.record_type, RecordType::L2Only);
    assert_eq!(derived_records(&policy).count(), 0);
    let (_, subnet) = policy.subnet(vsid(6001)).unwrap();
    assert_eq!(subnet.broadcast, Broadcast::Multicast(ip("239.1.1.1")));
    assert!(subnet.non_ip);
}

#[test]
fn ports_that_are_not_virtualized_are_in_a_map_of_their_own() {
    let policy = policy(ISOLATION);
    let virtualized: Vec<String> = policy.ports.keys().map(ToString::to_string).collect();
    assert_eq!(virtualized, ["blue/vm1"]);
    let plain = policy.plain_ports.values();
    let networks: Vec<&str> = plain.map(|port| port.network.as_str()).collect();
    assert_eq!(networks, ["bare", "dmz", "lab", "office"]);
    let isolation = |name: &str| policy.networks[name].isolation.clone();
    assert_eq!(
        isolation("office"),
        Isolation::Vlan {
            id: 4094,
            allow_untagged: true
        }
    );
    let interface = "br0".to_owned();
    assert_eq!(isolation("dmz"), Isolation::External { interface });
    assert_eq!(isolation("blue"), Isolation::NetworkVirtualization);
    assert!(policy.networks["bare"].rdid.is_nil());
}

#[test]
fn each_prefix_has_a_gateway_by_default() {
    let policy = policy(FAMILIES);
    let (_, web) = policy.subnet(vsid(6001)).unwrap();
    assert_eq!(web.gateways, [ip("10.0.0.1"), ip("fd00:a::1")]);
    assert!(web.router_advertisement);
    let (_, db) = policy.subnet(vsid(6002)).unwrap();
    assert_eq!(db.gateways, [ip("fd00:b::3")]);
    let of_host = derived_records(&policy).map(|record| record.pa);
    assert!(of_host.eq([ip("192.0.2.1"); 4]));
}

#[test]
fn a_gateway_that_a_port_bears_goes_with_the_distributed_router() {
    let stored = documents(ROUTER);
    let mut change = stored.clone();
    change.retain(|d| matches!(d, Document::VMNetwork(_)));
    if let Document::VMNetwork(network) = &mut change[0] {
        network.spec.distributed_router = true;
    }
    let faults = validate(&merge(stored, change)).unwrap_err();
    let told: Vec<String> = faults
        .iter()
        .map(|fault| format!("{}: {}", fault.object, fault.path))
        .collect();
    let expected = [
        "port/blue/router-web: spec.customerAddresses[0]",
        "port/blue/router-db: spec.customerAddresses[0]",
        "customerroute/blue/web-db: spec.destinationPrefix",
        "customerroute/blue/web-db: spec.nextHop",
        "customerroute/blue/db-web: spec.destinationPrefix",
        "customerroute/blue/db-web: spec.nextHop",
        "customerroute/blue/web: spec.nextHop",
        "customerroute/blue/db: spec.nextHop",
        "customerroute/blue/db: spec.metric",
    ];
    assert_eq!(told, expected);
    assert!(
        faults
            .iter()
            .all(|fault| fault.document == Some(0) || fault.path == "spec.metric")
    );
}
