use std::time::Duration;

use super::*;
use crate::policy::check;

const LEARNED: &str = include_str!("../../../../tests/fixtures/policy/good/learned.yaml");
const HOST: &str = "host-a";

fn policy() -> Policy {
    check("test.yaml", LEARNED).expect("it is good").1
}

fn found(last: u8) -> Found {
    Found {
        slot: 1,
        rdid: 1,
        vsid: 6001,
        mac: Mac([2, 0, 0, 0x0B, 0, 6]),
        ca: [10, 0, 0, last].into(),
        lease: None,
    }
}

fn made(last: u8) -> Document {
    record(&policy(), HOST, &found(last)).unwrap()
}

/// With records of these addresses.
fn learned(last: &[u8]) -> Learned {
    let records = last.iter().map(|last| made(*last)).collect();
    Learned {
        records: (1, records),
        ..Learned::default()
    }
}

#[test]
fn a_record_says_whose_it_is_and_who_learned_it() {
    let Document::LookupRecord(made) = made(60) else {
        panic!("a record")
    };
    assert_eq!(made.metadata.vm_network.as_deref(), Some("blue"));
    assert_eq!(made.metadata.labels[LABEL], HOST);
    let spec = made.spec;
    assert_eq!(spec.record_type, RecordType::Dynamic);
    assert_eq!(spec.vm_name.as_deref(), Some("vm1"));
    assert_eq!(spec.provider_address.to_string(), "192.0.2.1");
    assert_eq!(spec.customer_address.to_string(), "10.0.0.60");
}

#[test]
fn only_ports_here_that_learn_get_records() {
    let policy = policy();
    let stranger = Found {
        mac: Mac([2, 0, 0, 0x0B, 0, 7]),
        ..found(60)
    };
    let elsewhere = Found {
        vsid: 6002,
        ..found(60)
    };
    assert_eq!(record(&policy, HOST, &stranger), None);
    assert_eq!(record(&policy, HOST, &elsewhere), None);
    assert_eq!(record(&policy, "host-b", &found(60)), None);
    let mut fixed = policy.clone();
    for port in fixed.ports.values_mut() {
        port.record_type = RecordType::Static;
    }
    assert_eq!(record(&fixed, HOST, &found(60)), None);
}

#[test]
fn a_record_is_owned_while_port_and_pa_are_the_same() {
    let (policy, made) = (policy(), made(60));
    let of = |policy| owner(policy, HOST, &made).map(ToString::to_string);
    assert_eq!(of(&policy), Some("blue/vm1".to_owned()));
    let mut moved = policy.clone();
    for port in moved.ports.values_mut() {
        port.host = "host-b".to_owned();
    }
    assert_eq!(of(&moved), None);
    let mut renumbered = policy.clone();
    for host in renumbered.hosts.values_mut() {
        host.addresses[0].address = "192.0.2.77".parse().unwrap();
    }
    assert_eq!(of(&renumbered), None);
    let mut gone = policy.clone();
    gone.ports.clear();
    assert_eq!(of(&gone), None);
}

#[test]
fn only_records_with_this_hosts_label_are_its_own() {
    assert_eq!(learned_by(&made(60)), Some(HOST));
    let Document::LookupRecord(mut changed) = made(60) else {
        panic!("a record")
    };
    changed.spec.record_type = RecordType::Static;
    assert_eq!(learned_by(&Document::LookupRecord(changed.clone())), None);
    changed.spec.record_type = RecordType::Dynamic;
    changed.metadata.labels.clear();
    assert_eq!(learned_by(&Document::LookupRecord(changed)), None);

    let mut known = Learned::default();
    let stored = Stored::of([(made(60), 1)]);
    known.refresh(&stored, 1, "host-b");
    assert_eq!(known.records.1, []);
    known.refresh(&stored, 2, HOST);
    assert_eq!(known.records.1, [made(60)]);
}

#[test]
fn a_port_that_is_down_loses_its_addresses_after_a_while() {
    let (mut learned, start) = (learned(&[60, 61]), Instant::now());
    let port = PortKey::new("blue", "vm1");
    let at = |millis| start + Duration::from_millis(millis);
    let down = |_: &Document| Some((&port, false));
    let up = |_: &Document| Some((&port, true));
    assert_eq!(learned.outdated(up, start), []);
    assert_eq!(learned.outdated(down, at(0)), []);
    assert_eq!(learned.outdated(down, at(2999)), []);
    // A flap.
    assert_eq!(learned.outdated(up, at(3000)), []);
    assert_eq!(learned.outdated(down, at(3500)), []);
    assert_eq!(learned.outdated(down, at(6400)), []);
    assert_eq!(learned.outdated(down, at(6500)), [made(60), made(61)]);
    // One that is not this host's any more loses them at once.
    assert_eq!(learned.outdated(|_| None, at(0)).len(), 2);
}

#[test]
fn a_lease_ends_and_is_never_made_shorter() {
    let (mut learned, start) = (learned(&[60]), Instant::now());
    let (port, key) = (PortKey::new("blue", "vm1"), Key::of(&made(60)));
    let at = |seconds| start + Duration::from_secs(seconds);
    let gone = |learned: &mut Learned, seconds| {
        !learned
            .outdated(|_| Some((&port, true)), at(seconds))
            .is_empty()
    };
    // Whoever says that an address that a VM took by itself is leased is not heard.
    learned.note(key.clone(), 1, false, start);
    assert!(!gone(&mut learned, 100));
    learned.note(key.clone(), 60, true, start);
    assert!(!gone(&mut learned, 59) && gone(&mut learned, 60));
    learned.note(key.clone(), 1, false, at(30));
    assert!(!gone(&mut learned, 59), "shorter");
    learned.note(key.clone(), 60, false, at(30));
    assert!(!gone(&mut learned, 89) && gone(&mut learned, 90));
    learned.note(key, u32::MAX, false, at(30));
    assert!(!gone(&mut learned, 1_000_000));
}
