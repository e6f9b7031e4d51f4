//! Who gets a broadcast, and where frames are switched by MAC.

use dataplane_common::abi::flood::{Flood, MOST};

use super::*;
use crate::policy::testing::{host, network, port, record, subnet};

const PORTS: [(&str, &str, u32); 2] = [("blue", "p5", 11), ("blue", "p6", 12)];
const REPLICATED: &str = ", broadcast: {mode: unicastReplication}";

/// Two ports of 6001 here and one at b; one of 6002 at c; `more` of each subnet.
fn documents(web: &str, db: &str) -> Vec<String> {
    let subnets = [
        subnet(6001, &["10.0.0.0/16"], web),
        subnet(6002, &["10.1.0.0/24"], db),
    ];
    vec![
        host("a", &["192.0.2.1", "192.0.2.101", "2001:db8::1"]),
        host("b", &["192.0.2.2", "192.0.2.102"]),
        host("c", &["192.0.2.3"]),
        network("blue", "", &subnets),
        port(("blue", "p5", "a"), (6001, 5, &["10.0.0.5"]), ""),
        port(("blue", "p6", "a"), (6001, 6, &["10.0.0.6"]), ""),
        port(("blue", "p7", "b"), (6001, 7, &["10.0.0.7"]), ""),
        port(("blue", "p8", "c"), (6002, 8, &["10.1.0.8"]), ""),
    ]
}

/// Devices and PAs that get a copy in 6001.
fn copies(image: &TableImage) -> Option<(Vec<u32>, Vec<String>)> {
    let flood = image.flood(6001)?;
    let first = |of: [u32; MOST], count: u32| of[..usize::try_from(count).unwrap()].to_vec();
    let pa = |index: u32| image.next_hop(index).unwrap().pa.to_string();
    let pas = first(flood.pas, flood.pa_count);
    Some((
        first(flood.ports, flood.port_count),
        pas.into_iter().map(pa).collect(),
    ))
}

fn to(pas: &[&str]) -> (Vec<u32>, Vec<String>) {
    let pas = pas.iter().map(|pa| (*pa).to_owned());
    (vec![11, 12], pas.collect())
}

#[test]
fn other_hosts_with_a_station_in_the_subnet_get_one_copy_each() {
    let mut documents = documents(REPLICATED, REPLICATED);
    documents.extend([
        record("blue", (6001, "10.0.0.9", 9), "192.0.2.9", ""),
        record("blue", (6001, "10.0.0.10", 10), "192.0.2.9", ""),
        record("blue", (6001, "10.0.0.20", 20), "192.0.2.2", ""),
        // One of ours, of which no document of a port tells.
        record("blue", (6001, "10.0.0.21", 21), "192.0.2.101", ""),
        record(
            "blue",
            (6001, "10.0.0.22", 22),
            "192.0.2.99",
            ", rule: TranslationMethodNone",
        ),
    ]);
    let image = tables(&documents, &PORTS);
    assert_eq!(copies(&image), Some(to(&["192.0.2.2", "192.0.2.9"])));
    assert_eq!(image.flood(6002), None, "no port here");
    assert!(image.subnet(6002).unwrap().flags & VirtualSubnet::BROADCAST != 0);
    // Whoever is not attached gets none.
    let image = tables(&documents, &PORTS[..1]);
    assert_eq!(copies(&image).unwrap().0, [11]);
}

#[test]
fn without_broadcast_there_is_no_receiver() {
    let image = tables(&documents("", ""), &PORTS);
    assert!(image.floods.is_empty() && image.stations.is_empty());
}

#[test]
fn somebody_whose_address_is_unknown_is_looked_for_without_broadcast() {
    let mut documents = documents("", "");
    documents.push(record(
        "blue",
        (6001, "::", 9),
        "192.0.2.9",
        ", type: L2Only",
    ));
    let image = tables(&documents, &PORTS);
    assert_eq!(copies(&image), Some(to(&["192.0.2.2", "192.0.2.9"])));
    let port = image.vport(11).unwrap();
    assert!(port.has(Vport::UNKNOWN_CAS) && !port.has(Vport::BROADCAST));
    assert_eq!(image.subnet(6001).unwrap().flags, VirtualSubnet::BROADCAST);
    assert_eq!(image.subnet(6002).unwrap().flags, 0);
}

#[test]
fn a_group_of_the_underlay_gets_the_only_copy_and_is_joined() {
    let multicast = ", broadcast: {mode: multicast, group: 239.1.1.1}";
    let mut documents = documents(
        multicast,
        ", broadcast: {mode: multicast, group: 239.1.1.2}",
    );
    let image = tables(&documents, &PORTS);
    assert_eq!(copies(&image), Some(to(&["239.1.1.1"])));
    let own: Vec<String> = image.local_pas.iter().map(ToString::to_string).collect();
    let ours = ["192.0.2.1", "192.0.2.101", "239.1.1.1", "2001:db8::1"];
    assert_eq!(own, ours, "not that of 6002, which has no port here");
    let hop = image
        .underlay
        .values()
        .find(|hop| hop.pa == address("239.1.1.1"));
    assert_eq!(hop.unwrap().src, address("192.0.2.1"));
    documents.drain(4..6);
    let image = tables(&documents, &[]);
    assert!(image.floods.is_empty() && image.local_pas.len() == 3);
}

#[test]
fn a_tenants_group_is_mapped_where_its_subnet_has_a_port() {
    let mut documents = documents(REPLICATED, REPLICATED);
    documents.extend([
        record("blue", (6001, "239.0.0.9", 9), "239.1.1.9", ""),
        record("blue", (6002, "239.0.0.8", 8), "239.1.1.8", ""),
    ]);
    let image = tables(&documents, &PORTS);
    let rdid = image.vport(11).unwrap().rdid;
    let group = image.record(rdid, address("239.0.0.9")).unwrap();
    assert_eq!(
        (group.vsid, group.flags, group.ifindex),
        (6001, LookupRecord::GROUP, 0)
    );
    assert_eq!(pa_of(&image, &group), "239.1.1.9");
    assert_eq!(image.record(rdid, address("239.0.0.8")), None);
    assert!(image.is_local_pa(address("239.1.1.9")) && !image.is_local_pa(address("239.1.1.8")));
    // It is no receiver of everything else.
    assert_eq!(copies(&image), Some(to(&["192.0.2.2"])));
}

#[test]
fn what_programs_cannot_copy_is_user_spaces() {
    let many = |count: u8, pa: &dyn Fn(u8) -> String| {
        let mut documents = documents(REPLICATED, "");
        let far = (0..count).map(|n| {
            let ca = format!("10.0.1.{n}");
            record("blue", (6001, &ca, 20 + n), &pa(n), "")
        });
        documents.extend(far);
        tables(&documents, &PORTS)
    };
    let v4 = |n: u8| format!("198.51.100.{n}");
    // With that of host b.
    assert!(copies(&many(15, &v4)).is_some_and(|(_, pas)| pas.len() == MOST));
    assert!(many(16, &v4).flood(6001).is_some_and(Flood::is_wide));
    let mixed = many(1, &|_| "2001:db8::9".to_owned());
    assert!(
        mixed.flood(6001).is_some_and(Flood::is_wide),
        "both families"
    );
    let mut crowd = documents(REPLICATED, "");
    let names: Vec<String> = (0..15).map(|n| format!("q{n}")).collect();
    for (n, name) in (0_u8..).zip(&names) {
        let ca = format!("10.0.1.{n}");
        crowd.push(port(("blue", name, "a"), (6001, 20 + n, &[&ca]), ""));
    }
    let here = (30..)
        .zip(&names)
        .map(|(ifindex, name)| ("blue", &**name, ifindex));
    let ports: Vec<_> = PORTS.into_iter().chain(here).collect();
    assert!(
        tables(&crowd, &ports)
            .flood(6001)
            .is_some_and(Flood::is_wide)
    );
    assert!(
        tables(&crowd, &ports[..16])
            .flood(6001)
            .is_some_and(|f| f.port_count == 16)
    );
}

#[test]
fn stations_stand_where_frames_are_switched_by_mac() {
    let macs = |web: &str, prefixes: &[&str], more: &[String]| {
        let mut documents = documents(web, "");
        let subnets = [
            subnet(6001, prefixes, web),
            subnet(6002, &["10.1.0.0/24"], ""),
        ];
        documents[3] = network("blue", "", &subnets);
        documents.extend_from_slice(more);
        let stations = tables(&documents, &PORTS).stations;
        let station = |(key, record): (&LocalPortKey, &LookupRecord)| {
            (key.vsid(), key.mac(), record.ifindex, record.flags)
        };
        stations.iter().map(station).collect::<Vec<_>>()
    };
    let (v4, local) = (["10.0.0.0/16"], LookupRecord::LOCAL);
    let all = [
        (6001, mac(5), 11, local),
        (6001, mac(6), 12, local),
        (6001, mac(7), 0, 0),
    ];
    assert_eq!(macs("", &v4, &[]), []);
    assert_eq!(macs(REPLICATED, &v4, &[]), all);
    assert_eq!(macs(", allowNonIP: true", &v4, &[]), all);
    assert_eq!(
        macs("", &["10.0.0.0/16", "fd00::/64"], &[]),
        all,
        "link-local addresses"
    );
    let learned = [
        record("blue", (6001, "0.0.0.0", 9), "192.0.2.9", ", type: L2Only"),
        record(
            "blue",
            (6001, "10.0.0.9", 9),
            "192.0.2.9",
            ", type: Dynamic",
        ),
    ];
    let last = (6001, mac(9), 0, LookupRecord::L2_ONLY);
    assert_eq!(macs("", &v4, &learned), [&all[..], &[last]].concat());
}
