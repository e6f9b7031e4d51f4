use std::net::Ipv6Addr;

use super::*;

const PA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
const OWN: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 101)),
];

fn path() -> Path {
    Path {
        local: false,
        ifindex: 7,
        interface: "eth0".into(),
        uplink: true,
        next_hop: PA,
        mtu: 1600,
        told_mtu: None,
        src_mac: Mac([2, 0, 0, 0, 0, 1]),
        dst_mac: Some(Mac([2, 0, 0, 0, 0, 2])),
        open: false,
    }
}

#[test]
fn a_resolved_path_is_usable() {
    let reach = reach(PA, Some(&path()), &OWN);
    assert_eq!((reach.state, reach.condition.as_str()), ("resolved", ""));
    assert_eq!(reach.hop.state, NextHop::RESOLVED);
    assert_eq!((reach.hop.ifindex, reach.hop.path_mtu), (7, 1600));
    // The PA that our records name, which peers validate.
    assert_eq!(reach.hop.src, Address::from(OWN[0]));
}

#[test]
fn without_an_answer_a_pa_stays_as_it_was_or_has_no_route() {
    let former = reach(PA, Some(&path()), &OWN);
    assert_eq!(untold(PA, Some(&former), &OWN, &"no memory"), former);
    let unknown = untold(PA, None, &OWN, &"no memory");
    assert_eq!(unknown.hop.state, NextHop::NO_ROUTE);
    assert_eq!(unknown.state, "noRoute");
    assert_eq!(
        unknown.condition,
        "provider address 192.0.2.2: the kernel does not tell the way to it: no memory"
    );
}

#[test]
fn what_is_missing_is_said() {
    let mut silent = path();
    silent.dst_mac = None;
    let reached = reach(PA, Some(&silent), &OWN);
    assert_eq!(reached.hop.state, NextHop::NO_NEIGHBOUR);
    assert_eq!(
        reached.condition,
        "provider address 192.0.2.2: 192.0.2.2 does not answer on eth0"
    );
    let mut astray = path();
    astray.uplink = false;
    let reached = reach(PA, Some(&astray), &OWN);
    assert_eq!(reached.hop.state, NextHop::NO_ROUTE);
    assert!(reached.condition.contains("eth0, which is no uplink"));
    assert_eq!(reach(PA, None, &OWN).state, "noRoute");
}

#[test]
fn the_former_way_is_used_until_the_new_one_is_known() {
    let former = reach(PA, Some(&path()), &OWN);
    let mut moved = path();
    (moved.ifindex, moved.dst_mac, moved.open) = (8, None, true);
    let now = || reach(PA, Some(&moved), &OWN);
    let kept = now().unless_better(Some(&moved), Some(&former));
    assert_eq!(kept, former);
    // Nobody answered.
    let mut silent = moved.clone();
    silent.open = false;
    let told = now().unless_better(Some(&silent), Some(&former));
    assert_eq!(told.state, "noNeighbour");
    let lost = now().unless_better(Some(&moved), Some(&now()));
    assert_eq!(lost.state, "noNeighbour");
}

#[test]
fn our_own_pa_has_an_entry_with_its_address() {
    let reached = reach(OWN[0], None, &OWN);
    assert_eq!(
        (reached.state, reached.hop.pa),
        ("local", Address::from(OWN[0]))
    );
}

const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2));
const OWN_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));

#[test]
fn the_source_is_of_the_family_of_the_pa() {
    let mut far = path();
    far.next_hop = V6;
    let reached = reach(V6, Some(&far), &[OWN[0], OWN_V6]);
    assert_eq!(reached.state, "resolved");
    assert_eq!(
        (reached.hop.pa, reached.hop.src),
        (Address::from(V6), Address::from(OWN_V6))
    );
    let adopted = Reach::adopted(reached.hop).map(|(pa, _)| pa);
    assert_eq!(adopted, Some(V6));
    let adopted = Reach::adopted(reach(PA, Some(&path()), &OWN).hop);
    assert_eq!(adopted.map(|(pa, _)| pa), Some(PA));
    let alone = reach(V6, Some(&far), &OWN);
    assert_eq!(
        (alone.state, alone.hop.state),
        ("noRoute", NextHop::NO_ROUTE)
    );
    assert_eq!(
        alone.condition,
        "provider address fd00::2: this host has no IPv6 provider address; add one to its Host document"
    );
    assert_eq!(reach(PA, Some(&path()), &[OWN_V6]).state, "noRoute");
}

#[test]
fn a_router_lowers_the_path_mtu_and_never_raises_it() {
    let mut told = path();
    told.told_mtu = Some(1400);
    let reached = reach(PA, Some(&told), &OWN);
    assert_eq!((reached.hop.path_mtu, reached.link_mtu), (1400, 1600));
    told.told_mtu = Some(9000);
    assert_eq!(reach(PA, Some(&told), &OWN).hop.path_mtu, 1600);
}

#[test]
fn a_group_has_the_mac_of_its_low_bits_and_no_neighbour() {
    let group = IpAddr::from([239, 129, 2, 3]);
    assert_eq!(group_mac(group), Mac([0x01, 0x00, 0x5e, 0x01, 0x02, 0x03]));
    let wide = IpAddr::from(Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0x0102, 0x0304));
    assert_eq!(group_mac(wide), Mac([0x33, 0x33, 1, 2, 3, 4]));
    let mut all = path();
    (all.next_hop, all.dst_mac) = (group, Some(group_mac(group)));
    assert_eq!(all.hop(), None);
    assert_eq!(reach(group, Some(&all), &OWN).state, "resolved");
    let nowhere = reach(group, None, &OWN);
    assert_eq!(
        nowhere.condition,
        "provider address 239.129.2.3: no uplink that is up bears 192.0.2.1"
    );
}

#[test]
fn the_pa_of_a_port_has_its_way_and_nobody_is_asked_for_it() {
    let silent = Path {
        dst_mac: None,
        ..path()
    };
    let reach = of_port(PA, Some(&silent), &OWN);
    assert_eq!((reach.state, reach.condition.as_str()), ("local", ""));
    assert_eq!(reach.hop.state, NextHop::NO_NEIGHBOUR);
    assert_eq!((reach.hop.ifindex, reach.hop.src_mac), (7, silent.src_mac));
    assert_eq!(of_port(PA, None, &OWN).state, "noRoute");
    // Somebody gave it to the host itself.
    let own = Path {
        local: true,
        ..path()
    };
    let reach = of_port(PA, Some(&own), &OWN);
    assert_eq!((reach.state, reach.hop.ifindex), ("noRoute", 0));
    assert_eq!(reach.hop.state, NextHop::HOSTS);
    assert!(reach.condition.contains("remove it from eth0"), "{reach:?}");
}
