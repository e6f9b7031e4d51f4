//! A small world for the tests of the slow path, as the policy makes it.
//!
//! Blue has ports 10.0.0.5 and 10.0.0.6 here, 10.0.0.7 at 192.0.2.2 and 10.0.0.8 at `2001:db8::3`, all
//! with `fd00:a::` addresses that end alike; its broadcast is wide, for those two PAs are of both
//! families. 6002 is a subnet of blue with 10.0.1.6 here and 10.0.1.7 at 192.0.2.2. Green's router is
//! a VM; only 10.0.0.5 is here.

use std::{net::IpAddr, time::Instant};

use dataplane_common::{
    abi::underlay::NextHop,
    id::{Address, Mac},
    punt::Punt,
};

use super::{
    directory::Directory,
    upcall::{Origin, Upcall},
};
use crate::policy::{
    Ids, PortKey, compile,
    testing::{attached, host, network, policy, port, record, subnet},
};

/// The device of blue's port 10.0.0.5, and those of 10.0.0.6 and 10.0.1.6.
pub(crate) const P5: u32 = 11;
pub(crate) const P6: u32 = 12;
pub(crate) const P16: u32 = 13;
/// Of green's port.
pub(crate) const GREEN: u32 = 21;
/// An uplink.
pub(crate) const UPLINK: u32 = 2;
/// What a packet may have, from the port 10.0.0.5 to 10.0.0.7 and to 10.0.0.8.
pub(crate) const ROOM: [u16; 2] = [1458, 1438];
/// The MTU of the port 10.0.0.6.
pub(crate) const SMALL: u16 = 1300;

fn documents() -> Vec<String> {
    let web = ", routerAdvertisement: true, broadcast: {mode: unicastReplication}";
    let subnets = [
        subnet(6001, &["10.0.0.0/24", "fd00:a::/64"], web),
        subnet(
            6002,
            &["10.0.1.0/24"],
            ", broadcast: {mode: unicastReplication}",
        ),
    ];
    let at = |name, host, last: u8| {
        let cas = [format!("10.0.0.{last}"), format!("fd00:a::{last}")];
        let cas = [&*cas[0], &*cas[1]];
        port(("blue", name, host), (6001, last, &cas), "")
    };
    vec![
        host("a", &["192.0.2.1", "2001:db8::1"]),
        host("b", &["192.0.2.2"]),
        host("c", &["2001:db8::3"]),
        network("blue", "slowPathWeight: 3,", &subnets),
        at("p5", "a", 5),
        at("p6", "a", 6),
        at("p7", "b", 7),
        at("p8", "c", 8),
        port(("blue", "p16", "a"), (6002, 16, &["10.0.1.6"]), ""),
        port(("blue", "p17", "b"), (6002, 17, &["10.0.1.7"]), ""),
        record("blue", (6001, "239.0.0.9", 9), "239.1.1.9", ""),
        network(
            "green",
            "distributedRouter: false,",
            &[subnet(7001, &["10.0.0.0/24"], "")],
        ),
        port(("green", "p5", "a"), (7001, 5, &["10.0.0.5"]), ""),
    ]
}

/// What this host, a, knows.
pub(crate) fn directory() -> Directory {
    let policy = policy(&documents());
    let mut facts = attached(&[
        ("blue", "p5", P5),
        ("blue", "p6", P6),
        ("blue", "p16", P16),
        ("green", "p5", GREEN),
    ]);
    let small = facts.ports.get_mut(&PortKey::new("blue", "p6"));
    small.unwrap().mtu = SMALL;
    for (pa, source) in [("192.0.2.2", "192.0.2.1"), ("2001:db8::3", "2001:db8::1")] {
        let mut hop = NextHop::unrouted(address(pa), address(source));
        (hop.state, hop.ifindex, hop.path_mtu) = (NextHop::RESOLVED, UPLINK, 1500);
        facts.next_hops.insert(pa.parse().unwrap(), hop);
    }
    let tables = compile(&policy, "a", &facts, &mut Ids::new(0)).unwrap();
    Directory::new(&policy, "a", tables)
}

/// The same with IP rewrite: violet's 10.0.0.5 and 10.0.0.6 here, 10.0.0.7 elsewhere, and 10.0.1.7 in
/// 6102, have 198.51.100.5 and so on, and `fd00:a::5` and so on have `2001:db8:f::5`. So has green,
/// whose router is a VM, 10.0.0.5 and 10.0.0.7, with 198.51.100.25 and 198.51.100.27.
pub(crate) fn rewriting() -> Directory {
    let rule = ", rule: TranslationMethodNat";
    let at = |(network, name, host), (vsid, subnet, last): (u32, &str, u8), own: u8| {
        let [net4, net6] = if subnet == "0" {
            ["10.0.0", "fd00:a:"]
        } else {
            ["10.0.1", "fd00:b:"]
        };
        let cas = [format!("{net4}.{last}"), format!("{net6}:{last}")];
        let own = format!(", providerAddresses: [198.51.100.{own}, '2001:db8:f::{own}']");
        port(
            (network, name, host),
            (vsid, last, &[&cas[0], &cas[1]]),
            &own,
        )
    };
    let prefixes = [
        ["10.0.0.0/24", "fd00:a::/64"],
        ["10.0.1.0/24", "fd00:b::/64"],
    ];
    let subnets = [
        subnet(6101, &prefixes[0], rule),
        subnet(6102, &prefixes[1], rule),
    ];
    let router = "distributedRouter: false,";
    let documents = [
        host("a", &["192.0.2.1", "2001:db8::1"]),
        host("b", &["192.0.2.2"]),
        network("violet", "", &subnets),
        at(("violet", "p5", "a"), (6101, "0", 5), 5),
        at(("violet", "p6", "a"), (6101, "0", 6), 6),
        at(("violet", "p7", "b"), (6101, "0", 7), 7),
        at(("violet", "p17", "b"), (6102, "1", 7), 17),
        network("green", router, &[subnet(7101, &prefixes[0], rule)]),
        at(("green", "p5", "a"), (7101, "0", 5), 25),
        at(("green", "p7", "b"), (7101, "0", 7), 27),
    ];
    let mut facts = attached(&[
        ("violet", "p5", P5),
        ("violet", "p6", P6),
        ("green", "p5", GREEN),
    ]);
    for last in [7, 17, 27] {
        for (pa, source) in [
            (format!("198.51.100.{last}"), "192.0.2.1"),
            (format!("2001:db8:f::{last}"), "2001:db8::1"),
        ] {
            let mut hop = NextHop::unrouted(address(&pa), address(source));
            (hop.state, hop.ifindex, hop.path_mtu) = (NextHop::RESOLVED, UPLINK, 1400);
            facts.next_hops.insert(pa.parse().unwrap(), hop);
        }
    }
    let policy = policy(&documents);
    let tables = compile(&policy, "a", &facts, &mut Ids::new(0)).unwrap();
    Directory::new(&policy, "a", tables)
}

pub(crate) fn address(text: &str) -> Address {
    text.parse::<IpAddr>().unwrap().into()
}

/// Index of a PA.
pub(crate) fn index(directory: &Directory, pa: &str) -> u32 {
    let mut hops = directory.tables.underlay.iter();
    *hops.find(|(_, hop)| hop.pa == address(pa)).unwrap().0
}

/// The gateway's MAC of blue.
pub(crate) fn gateway_mac(directory: &Directory) -> Mac {
    directory.tables.vports[&P5].gateway_mac
}

/// A packet that a program left to user space because of a port.
pub(crate) fn from_port(directory: &Directory, ifindex: u32, punt: Punt, frame: &[u8]) -> Upcall {
    let slot = directory.tables.vports[&ifindex].slot;
    upcall(punt, Origin::Port(ifindex, slot), frame)
}

/// A packet that a program left to user space because of an uplink.
pub(crate) fn from_uplink(punt: Punt, frame: &[u8]) -> Upcall {
    upcall(punt, Origin::Uplink(UPLINK), frame)
}

fn upcall(punt: Punt, origin: Origin, frame: &[u8]) -> Upcall {
    Upcall {
        punt,
        origin,
        since: Instant::now(),
        frame: frame.to_vec(),
    }
}
