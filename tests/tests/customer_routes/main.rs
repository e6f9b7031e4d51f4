//! Customer routes: longest prefix, then metric, by routers that are VMs themselves.

mod external;

use anyhow::{Result, ensure};
use dataplane_tests::net::{
    SOON, Site,
    documents::{document, route, subnet},
    fabric::sysctl,
    path::{answers, becomes, hops},
    ping,
    plan::{A, B, C, Plan},
    proof, tcp,
};
use xtask::lab::{Netns, wait_until};

const WEB: u32 = 6001;
/// The subnet of the tests of an external router.
const DATA: u32 = 6002;
/// Addresses behind the routers: each router has both on its loopback.
const OUTSIDE: &str = "198.51.100.9";
const OUTSIDE6: &str = "fd00:9::9";

/// `web` on `host-a`; a router VM on each of the other hosts, and one beside it.
fn plan() -> Plan {
    let prefixes = ["10.0.0.0/24", "fd00:6001::/64"];
    Plan::new()
        .network("blue", 0xB1, "", &[subnet(WEB, &prefixes, "")])
        .vm(("web", "blue"), A, WEB, &["10.0.0.5", "fd00:6001::5"])
        .vm(("one", "blue"), B, WEB, &["10.0.0.11", "fd00:6001::11"])
        .vm(("two", "blue"), C, WEB, &["10.0.0.12", "fd00:6001::12"])
        .vm(("three", "blue"), A, WEB, &["10.0.0.13", "fd00:6001::13"])
}

/// Routes of blue: name, prefix, next hop, metric.
fn routes(list: &[(&str, &str, &str, u16)]) -> String {
    let text = list
        .iter()
        .map(|(name, prefix, hop, metric)| route("blue", name, (prefix, hop), WEB, *metric));
    text.collect()
}

/// Gives a router VM something behind it, and has it forward.
fn has(router: &Netns, addresses: &[&str]) -> Result<()> {
    sysctl(router, "net/ipv4/ip_forward", "1")?;
    sysctl(router, "net/ipv6/conf/all/forwarding", "1")?;
    for address in addresses {
        let add = ["ip", "address", "add", address, "dev", "lo"];
        router.exec(&add)?;
    }
    Ok(())
}

fn site(name: &str, list: &[(&str, &str, &str, u16)]) -> Result<Site> {
    let site = Site::of(name, &plan().and(&routes(list)))?;
    for router in ["one", "two", "three"] {
        has(site.vm(router), &["198.51.100.9/32", "fd00:9::9/128"])?;
    }
    Ok(site)
}

/// Echo requests for OUTSIDE that a router has answered so far.
fn answered(router: &Netns, protocol: &str) -> Result<u64> {
    let (file, name) = match protocol {
        "icmp" => ("/proc/net/snmp", "Icmp:"),
        _ => ("/proc/net/snmp6", "Icmp6InEchos"),
    };
    let text = router.exec(&["cat", file])?.stdout;
    if protocol != "icmp" {
        let line = text.lines().find(|line| line.starts_with(name));
        let count = line.and_then(|line| line.split_whitespace().nth(1));
        return Ok(count.unwrap_or("0").parse()?);
    }
    // The first line has the names of the second's numbers.
    let mut lines = text.lines().filter(|line| line.starts_with(name));
    let (names, counts) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let mut pairs = names.split_whitespace().zip(counts.split_whitespace());
    let count = pairs.find_map(|(name, count)| (name == "InEchos").then_some(count));
    Ok(count.unwrap_or("0").parse()?)
}

/// Which router answers pings of an address.
fn by(site: &Site, address: &str) -> Result<&'static str> {
    const ROUTERS: [&str; 3] = ["one", "two", "three"];
    let protocol = if address.contains(':') {
        "icmp6"
    } else {
        "icmp"
    };
    let counts = || -> Result<Vec<u64>> {
        let count = |router: &&str| answered(site.vm(router), protocol);
        ROUTERS.iter().map(count).collect()
    };
    let before = counts()?;
    ping(site.vm("web"), address, 56)?;
    let after = counts()?;
    let mut changed = before.iter().zip(&after).zip(ROUTERS);
    let found = changed.find(|((before, after), _)| after > before);
    Ok(found.map_or("nobody", |(_, router)| router))
}

/// Waits until this router answers.
fn comes_by(site: &Site, address: &str, router: &str) -> Result<()> {
    wait_until(&format!("{address} by {router}"), SOON, || {
        let now = by(site, address)?;
        ensure!(now == router, "by {now}");
        Ok(Some(()))
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_longest_prefix_wins_whatever_its_metric() {
    let list = [
        ("default", "0.0.0.0/0", "10.0.0.11", 0),
        ("wide", "198.51.100.0/24", "10.0.0.12", 5),
        ("host", "198.51.100.9/32", "10.0.0.13", 900),
        ("default6", "::/0", "fd00:6001::11", 0),
        ("wide6", "fd00:9::/32", "fd00:6001::12", 5),
        ("host6", "fd00:9::9/128", "fd00:6001::13", 900),
    ];
    proof(site("crlong", &list), |site| {
        for (one, names) in [
            ("three", ["host", "host6"]),
            ("two", ["wide", "wide6"]),
            ("one", ["default", "default6"]),
        ] {
            for (address, name) in [OUTSIDE, OUTSIDE6].into_iter().zip(names) {
                comes_by(site, address, one)?;
                site.delete_all(&["customerroute", &format!("blue/{name}")])?;
            }
        }
        for address in [OUTSIDE, OUTSIDE6] {
            becomes(site.vm("web"), address, false)?;
        }
        let before = site.dropped(A, "blue/web", "NO_ROUTE")?;
        answers(site.vm("web"), OUTSIDE)?;
        site.drops_reach(A, "blue/web", "NO_ROUTE", before + 1)?;
        site.conserved()
    });
}

/// Its next hop was deleted: the next metric is used, and the first again when it is back.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_next_hop_that_goes_leaves_its_route_to_the_next_metric() {
    let list = [
        ("first", "198.51.100.0/24", "10.0.0.11", 1),
        ("second", "198.51.100.0/24", "10.0.0.12", 2),
        ("first6", "fd00:9::/64", "fd00:6001::11", 1),
        ("second6", "fd00:9::/64", "fd00:6001::12", 2),
    ];
    proof(site("crmetric", &list), |site| {
        for address in [OUTSIDE, OUTSIDE6] {
            comes_by(site, address, "one")?;
        }
        site.delete_all(&["port", "blue/one"])?;
        for address in [OUTSIDE, OUTSIDE6] {
            comes_by(site, address, "two")?;
        }
        let plan = plan();
        site.apply_all(&plan.find("one").document(&site.named("one")))?;
        site.becomes(B, "blue/one", "Ready")?;
        for address in [OUTSIDE, OUTSIDE6] {
            comes_by(site, address, "one")?;
        }
        site.conserved()
    });
}

/// The overlay's router and the one behind it: two hops, and TCP both ways.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_router_vm_leads_to_what_is_behind_it() {
    let list = [
        ("out", "198.51.100.0/24", "10.0.0.11", 0),
        ("out6", "fd00:9::/64", "fd00:6001::11", 0),
    ];
    proof(Site::of("crbehind", &plan().and(&routes(&list))), |site| {
        let (web, router) = (site.vm("web"), site.vm("one"));
        has(router, &[])?;
        // What is behind: one namespace more, on a cable to the router.
        let behind = Netns::new(&site.named("behind"))?;
        let mut add = router.command("ip");
        add.args([
            "link", "add", "inner", "type", "veth", "peer", "name", "eth0",
        ]);
        xtask::lab::run(add.args(["netns", behind.name()]))?;
        for (place, device, addresses) in [
            (router, "inner", ["198.51.100.1/24", "fd00:9::1/64"]),
            (&behind, "eth0", ["198.51.100.9/24", "fd00:9::9/64"]),
        ] {
            place.exec(&["ip", "link", "set", device, "up"])?;
            for address in addresses {
                place.exec(&["ip", "address", "add", address, "dev", device, "nodad"])?;
            }
        }
        for gateway in ["198.51.100.1", "fd00:9::1"] {
            behind.exec(&["ip", "route", "add", "default", "via", gateway])?;
        }
        for (address, own) in [(OUTSIDE, "10.0.0.5"), (OUTSIDE6, "fd00:6001::5")] {
            becomes(web, address, true)?;
            let found = hops(web, address)?;
            ensure!(found.len() == 2, "{found:?}");
            tcp(web, &behind, address, 1_000_000)?;
            tcp(&behind, web, own, 1_000_000)?;
        }
        site.conserved()
    });
}

/// A record for whatever has none: packets for it go to a gateway, whoever they are for.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_gateway_wildcard_record_takes_what_no_record_has() {
    let wildcard = |plan: &Plan| {
        let fields = [
            format!("virtualSubnetId: {WEB}"),
            "customerAddress: 0.0.0.0".to_owned(),
            format!("macAddress: {}", plan.find("one").mac_text()),
            format!("providerAddress: {}", plan.family.pa(B)),
            "type: GatewayWildcard".to_owned(),
        ];
        document("LookupRecord", "vmNetwork: blue", &fields)
    };
    let list = [("out", "0.0.0.0/0", "10.0.0.200", 0)];
    let plan = plan();
    let whole = plan.clone().and(&routes(&list)).and(&wildcard(&plan));
    proof(Site::of("crwild", &whole), |site| {
        has(site.vm("one"), &["198.51.100.9/32"])?;
        // The next hop has no record of its own: the wildcard is the gateway's.
        becomes(site.vm("web"), OUTSIDE, true)?;
        comes_by(site, OUTSIDE, "one")?;
        site.delete_all(&["lookuprecord", "6001/0.0.0.0"])?;
        becomes(site.vm("web"), OUTSIDE, false)?;
        site.conserved()
    });
}
