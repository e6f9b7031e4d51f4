use std::time::Duration;

use dataplane_common::{abi::lookup::LookupKey, id::Mac};

use super::*;

const RDID: u32 = 1;
const VSID: u32 = 6001;

fn ca(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

fn port(slot: u32) -> Vport {
    Vport {
        slot,
        rdid: RDID,
        vsid: VSID,
        flags: Vport::LEARNS,
        mac: mac(u8::try_from(slot).unwrap()),
        ..Vport::default()
    }
}

/// Two ports that learn, in slots 1 and 2; a gateway at .1 and a station elsewhere at .9.
fn directory() -> Directory {
    let mut directory = Directory::default();
    directory
        .prefixes
        .insert(VSID, vec!["10.0.0.0/24".parse().unwrap()]);
    for slot in [1, 2] {
        directory.tables.vports.insert(100 + slot, port(slot));
    }
    put(&mut directory, 1, (mac(0xEE), LookupRecord::GATEWAY, 0));
    put(&mut directory, 9, (mac(9), 0, 0));
    directory
}

fn put(directory: &mut Directory, last: u8, (mac, flags, ifindex): (Mac, u16, u32)) {
    let key = LookupKey {
        rdid: RDID,
        ca: ca(last).into(),
    };
    let record = LookupRecord {
        vsid: VSID,
        pa_index: 1,
        ifindex,
        mac,
        flags,
    };
    directory.tables.lookup.insert(key, record);
}

/// The port in the slot has the address, as the policy says.
fn give(directory: &mut Directory, slot: u32, last: u8) {
    let own = (port(slot).mac, LookupRecord::LOCAL, 100 + slot);
    put(directory, last, own);
    let ca = ca(last).into();
    directory.tables.port_cas.insert(PortCaKey { slot, ca });
}

fn found(slot: u32, last: u8) -> Found {
    Found {
        slot,
        rdid: RDID,
        vsid: VSID,
        mac: port(slot).mac,
        ca: ca(last),
        lease: None,
    }
}

#[test]
fn only_what_is_free_is_claimed() {
    let (learning, directory, now) = (Learning::default(), directory(), Instant::now());
    let claim = |slot, last| learning.claim(&directory, &found(slot, last), now);
    assert_eq!(claim(1, 60), Told::Waits);
    assert_eq!(claim(1, 60), Told::Waits);
    for (last, why) in [
        (1, "gateway"),
        (9, "elsewhere"),
        (0, "first"),
        (255, "last"),
    ] {
        assert_eq!(claim(1, last), Told::Refused, "{why}");
    }
    assert_eq!(claim(2, 60), Told::Refused, "another was first");
    assert_eq!(learning.take(), [found(1, 60)]);
    assert_eq!(learning.take(), []);
}

#[test]
fn an_address_of_the_policy_is_the_ports_own() {
    let (learning, mut directory, now) = (Learning::default(), directory(), Instant::now());
    give(&mut directory, 1, 60);
    let claim = |slot, last| learning.claim(&directory, &found(slot, last), now);
    assert_eq!((claim(1, 60), claim(2, 60)), (Told::Waits, Told::Refused));
    assert_eq!(learning.take(), [], "nothing to be made");
    let lease = Found {
        lease: Some(60),
        ..found(1, 60)
    };
    assert_eq!(learning.claim(&directory, &lease, now), Told::Waits);
    assert_eq!(learning.take(), [lease], "but a lease becomes longer");
}

#[test]
fn a_port_has_only_so_many() {
    let (learning, mut directory, now) = (Learning::default(), directory(), Instant::now());
    for last in 60..66 {
        give(&mut directory, 1, last);
    }
    let claim = |slot, last| learning.claim(&directory, &found(slot, last), now);
    assert_eq!((claim(1, 70), claim(1, 71)), (Told::Waits, Told::Waits));
    assert_eq!(claim(1, 72), Told::Refused);
    assert_eq!(claim(2, 72), Told::Waits, "another has its own");
}

#[test]
fn what_is_usable_is_what_the_programs_have() {
    let (learning, mut directory, now) = (Learning::default(), directory(), Instant::now());
    let before = learning.generation();
    assert_eq!(learning.claim(&directory, &found(1, 60), now), Told::Waits);
    assert!(!learning.usable(1, ca(60).into()));
    give(&mut directory, 1, 60);
    assert!(learning.settle(&directory.tables));
    assert!(learning.usable(1, ca(60).into()) && !learning.usable(2, ca(60).into()));
    assert_ne!(learning.generation(), before);
    assert!(!learning.settle(&directory.tables), "nothing changed");
    // Withdrawn, and free for another at once: it is not on its way any more.
    directory.tables.port_cas.clear();
    let key = LookupKey {
        rdid: RDID,
        ca: ca(60).into(),
    };
    directory.tables.lookup.remove(&key);
    assert!(learning.settle(&directory.tables) && !learning.usable(1, ca(60).into()));
    assert_eq!(learning.claim(&directory, &found(2, 60), now), Told::Waits);
}

#[test]
fn ports_with_addresses_of_their_own_are_left_out() {
    let (learning, mut directory) = (Learning::default(), directory());
    give(&mut directory, 1, 60);
    directory.tables.vports.get_mut(&101).unwrap().flags = 0;
    assert!(!learning.settle(&directory.tables));
    assert!(!learning.usable(1, ca(60).into()));
}

#[test]
fn claims_are_bounded_and_come_again() {
    let (learning, mut directory, now) = (Learning::default(), directory(), Instant::now());
    let prefix = vec!["10.0.0.0/16".parse().unwrap()];
    directory.prefixes.insert(VSID, prefix);
    let many = |number: u16| Found {
        slot: 10 + u32::from(number),
        ca: {
            let [high, low] = number.to_be_bytes();
            IpAddr::from([10, 0, high + 1, low])
        },
        ..found(1, 0)
    };
    for number in 0..256 {
        let told = learning.claim(&directory, &many(number), now);
        assert_eq!(told, Told::Waits, "{number}");
    }
    assert_eq!(learning.claim(&directory, &found(1, 60), now), Told::Busy);
    assert_eq!(learning.take().len(), BACKLOG);
    assert_eq!(learning.claim(&directory, &found(1, 60), now), Told::Waits);
    let later = now + Duration::from_secs(1);
    assert_eq!(
        learning.claim(&directory, &found(1, 60), later),
        Told::Waits
    );
    assert_eq!(learning.take().len(), 1);
}

#[tokio::test]
async fn whoever_waits_for_claims_hears_of_one_that_was_there_before() {
    let (learning, now) = (Learning::default(), Instant::now());
    learning.claim(&directory(), &found(1, 60), now);
    learning.claimed().await;
    assert_eq!(learning.take().len(), 1);
}
