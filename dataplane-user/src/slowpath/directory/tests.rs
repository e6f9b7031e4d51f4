use super::*;
use crate::slowpath::world::{GREEN, P5, address, directory, index};

fn addresses(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn gateways_are_those_that_hosts_answer_for() {
    let directory = directory();
    assert_eq!(
        directory.gateways[&6001],
        addresses(&["10.0.0.1", "fd00:a::1"])
    );
    assert_eq!(directory.gateways[&6002], addresses(&["10.0.1.1"]));
    assert!(
        !directory.gateways.contains_key(&7001),
        "green's router is a VM"
    );
}

#[test]
fn prefixes_are_of_both_families() {
    let directory = directory();
    let all = ["10.0.0.0/24", "fd00:a::/64"].map(|prefix| prefix.parse().unwrap());
    assert_eq!(directory.prefixes_of(6001), all);
    let of_ipv6 = directory.ipv6_prefixes(6001);
    assert_eq!(of_ipv6, ["fd00:a::/64".parse().unwrap()]);
    assert!(directory.ipv6_prefixes(6002).is_empty());
    assert!(directory.prefixes_of(9999).is_empty());
}

#[test]
fn receivers_are_other_hosts_with_a_station_in_the_subnet() {
    let directory = directory();
    let of = |vsid: u32| -> BTreeSet<u32> { directory.receivers[&vsid].iter().copied().collect() };
    let [b, c] = ["192.0.2.2", "2001:db8::3"].map(|pa| index(&directory, pa));
    assert_eq!(of(6001), [b, c].into());
    assert_eq!(of(6002), [b].into());
    assert!(
        !directory.receivers.contains_key(&7001),
        "no broadcast there"
    );
}

#[test]
fn peers_are_other_hosts_and_no_groups() {
    let directory = directory();
    for pa in ["192.0.2.2", "2001:db8::3"] {
        assert!(directory.has_peer(address(pa)), "{pa}");
    }
    for pa in ["192.0.2.1", "2001:db8::1", "239.1.1.9", "192.0.2.99"] {
        assert!(!directory.has_peer(address(pa)), "{pa}");
    }
}

#[test]
fn tenants_have_their_names_and_weights() {
    let directory = directory();
    let tenant = |ifindex| {
        let rdid = directory.tables.vports[&ifindex].rdid;
        let tenant = &directory.tenants[&rdid];
        (tenant.name.clone(), tenant.weight)
    };
    assert_eq!(tenant(P5), ("blue".to_owned(), 3));
    assert_eq!(tenant(GREEN), ("green".to_owned(), 1));
    assert_eq!(directory.tenants.len(), 2);
}
