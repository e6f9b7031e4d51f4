use std::fmt::Write;

use super::*;
use crate::policy::{
    PortKey, check,
    document::{Document, Rule::TranslationMethodEncap},
    fault::Fault,
    load,
    model::Policy,
    testing::{host, network, policy, port, record, route, subnet},
    validate::{merge, validate},
};

const NAT: &str = ", rule: TranslationMethodNat";

/// A host, a VM network with a subnet that encapsulates and one that rewrites, and more.
fn world(more: &[String]) -> Vec<String> {
    let mut all = vec![host("host-a", &["192.0.2.1"]), networks(NAT)];
    all.extend_from_slice(more);
    all
}

/// The VM network; `rule`: of its second subnet.
fn networks(rule: &str) -> String {
    let subnets = [
        subnet(6001, &["10.0.0.0/24", "fd00:a::/64"], ""),
        subnet(6002, &["10.0.1.0/24"], rule),
    ];
    network("blue", "", &subnets)
}

fn rewriting(name: &str, last: u8, pa: &str) -> String {
    let ca = format!("10.0.1.{last}");
    let more = format!(", providerAddresses: ['{pa}']");
    port(("blue", name, "host-a"), (6002, last, &[&ca]), &more)
}

fn documents(texts: &[String]) -> Vec<Document> {
    let located = load("test.yaml", &texts.concat()).unwrap();
    located.into_iter().map(|l| l.document).collect()
}

/// What is at fault when documents are applied to stored ones.
fn refused(stored: &[String], applied: &[String]) -> Vec<Fault> {
    validate(&merge(documents(stored), documents(applied))).unwrap_err()
}

fn of(policy: &Policy, name: &str) -> (Rule, Vec<String>, bool) {
    let port = &policy.ports[&PortKey::new("blue", name)];
    let pas = port.own_pas.iter().map(IpAddr::to_string).collect();
    (port.rule, pas, port.use_vm_mac)
}

#[test]
fn a_port_says_its_rule_or_has_the_subnet_s() {
    let more = ", rule: TranslationMethodNat, providerAddresses: [198.51.100.11, '2001:db8::11'], useVmMACAddress: true";
    let policy = policy(&world(&[
        port(
            ("blue", "own", "host-a"),
            (6001, 11, &["10.0.0.11", "fd00:a::11"]),
            more,
        ),
        rewriting("inherits", 12, "198.51.100.12"),
        port(
            ("blue", "differs", "host-a"),
            (6002, 13, &["10.0.1.13"]),
            ", rule: TranslationMethodEncap",
        ),
    ]));
    let pas = |pas: &[&str]| pas.iter().map(ToString::to_string).collect::<Vec<_>>();
    let own = pas(&["198.51.100.11", "2001:db8::11"]);
    assert_eq!(of(&policy, "own"), (TranslationMethodNat, own, true));
    let inherits = pas(&["198.51.100.12"]);
    assert_eq!(
        of(&policy, "inherits"),
        (TranslationMethodNat, inherits, false)
    );
    assert_eq!(
        of(&policy, "differs"),
        (TranslationMethodEncap, Vec::new(), false)
    );
}

#[test]
fn a_record_keeps_its_own_address() {
    let more = format!("{NAT}, useVmMACAddress: true");
    let policy = policy(&world(&[
        record("blue", (6001, "10.0.0.9", 9), "198.51.100.9", &more),
        record("blue", (6002, "10.0.1.9", 10), "198.51.100.10", ""),
    ]));
    let records = policy.stated();
    let kept: Vec<(Rule, String, bool)> = records
        .map(|record| (record.rule, record.pa.to_string(), record.use_vm_mac))
        .collect();
    let expected = [
        (TranslationMethodNat, "198.51.100.9".to_owned(), true),
        (TranslationMethodNat, "198.51.100.10".to_owned(), false),
    ];
    assert_eq!(kept, expected);
}

#[test]
fn a_fault_names_both_who_have_an_address() {
    let faults = refused(
        &[],
        &world(&[
            rewriting("first", 11, "198.51.100.11"),
            rewriting("second", 12, "198.51.100.11"),
            rewriting("third", 13, "192.0.2.1"),
            record("blue", (6001, "10.0.0.9", 9), "198.51.100.11", ""),
        ]),
    );
    let told: Vec<String> = faults
        .iter()
        .map(|fault| format!("{} {} {:?}", fault.object, fault.path, fault.related))
        .collect();
    let first = Key::Port(PortKey::new("blue", "first"));
    let host = Key::Host("host-a".to_owned());
    let expected = [
        format!("port/blue/second spec.providerAddresses[0] {:?}", [&first]),
        format!("port/blue/third spec.providerAddresses[0] {:?}", [&host]),
        format!(
            "lookuprecord/6001/10.0.0.9 spec.providerAddress {:?}",
            [&first]
        ),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_host_that_takes_a_stored_port_s_address_is_to_blame() {
    let stored = world(&[rewriting("vm1", 11, "198.51.100.11")]);
    let faults = refused(&stored, &[host("host-b", &["198.51.100.11"])]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].document, Some(0));
    assert_eq!(
        faults[0].message,
        "198.51.100.11 is a provider address of host/host-b already, because of host/host-b (document 1 of the request)"
    );
}

#[test]
fn a_subnet_that_begins_to_rewrite_is_to_blame() {
    let stored = [
        host("host-a", &["192.0.2.1"]),
        networks(""),
        port(("blue", "vm1", "host-a"), (6002, 11, &["10.0.1.11"]), ""),
        port(("blue", "vm2", "host-a"), (6002, 12, &[]), ""),
        record(
            "blue",
            (6002, "10.0.1.13", 13),
            "192.0.2.3",
            ", type: Dynamic",
        ),
        record("blue", (6002, "10.0.1.14", 14), "198.51.100.14", ""),
        route("blue", (6002, "0.0.0.0/0", "10.0.1.14"), 0),
    ];
    let faults = refused(&stored, &[networks(NAT)]);
    let told: Vec<String> = faults
        .iter()
        .map(|fault| format!("{}: {}", fault.object, fault.path))
        .collect();
    let expected = [
        "port/blue/vm1: spec",
        "port/blue/vm2: spec.recordType",
        "lookuprecord/6002/10.0.1.13: spec.type",
        "customerroute/blue/r6002-0-9: spec.nextHop",
    ];
    assert_eq!(told, expected);
    assert!(
        faults.iter().all(|fault| fault.document == Some(0)),
        "{faults:?}"
    );
}

#[test]
fn what_is_of_no_subnet_has_that_fault_alone() {
    let more = ", providerAddresses: [198.51.100.11], useVmMACAddress: true";
    let faults = refused(
        &[],
        &world(&[port(
            ("blue", "vm1", "host-a"),
            (6009, 11, &["10.0.1.11"]),
            more,
        )]),
    );
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["spec.virtualSubnetId"]);
}

/// Each of many records has its own PA; the last takes that of the first.
#[test]
fn many_records_are_checked_against_each_other() {
    let mut lines = String::new();
    for n in 0..50_000_u32 {
        let [_, a, b, c] = (n + 2).to_be_bytes();
        let pa = std::net::Ipv4Addr::from_bits((12 << 24) + n % 49_999);
        writeln!(lines, r#"{{"apiVersion":"nve/v1","kind":"LookupRecord","metadata":{{"vmNetwork":"big"}},"spec":{{"virtualSubnetId":9000,"customerAddress":"11.{a}.{b}.{c}","macAddress":"02:00:00:{a:02x}:{b:02x}:{c:02x}","providerAddress":"{pa}"}}}}"#).unwrap();
    }
    let mut all = documents(&[network("big", "", &[subnet(9000, &["11.0.0.0/8"], NAT)])]);
    let read = crate::policy::read_ndjson("big", lines.as_bytes());
    all.extend(read.map(|located| located.unwrap().document));
    let faults = validate(&crate::policy::numbered(all)).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].document, Some(50_000));
    let first = Key::LookupRecord(9000, IpAddr::from([11, 0, 0, 2]));
    assert_eq!(faults[0].related, [first]);
}

#[test]
fn a_next_hop_may_be_what_is_encapsulated_in_a_subnet_that_rewrites() {
    let encapsulated = ", rule: TranslationMethodEncap";
    let all = world(&[
        record("blue", (6002, "10.0.1.9", 9), "198.51.100.10", encapsulated),
        route("blue", (6002, "0.0.0.0/0", "10.0.1.9"), 0),
    ]);
    assert!(check("test.yaml", &all.concat()).is_ok());
}
