//! Provider addresses of both families, and groups: how the underlay reaches them.

use anyhow::{Result, ensure};
use dataplane_tests::net::{
    SOON, inside,
    ways::{self, Ways, address, hosts, ip},
};
use dataplane_user::underlay::{Groups, Reach, watch};
use std::{
    collections::BTreeSet,
    fs,
    net::IpAddr,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};
use tokio::{sync::Notify, time::timeout};
use xtask::lab::{Netns, unique, wait_until};

const OWN: &str = "fd00:a::1";
const OWN_V4: &str = "192.0.2.1";
const PEER: &str = "fd00:a::2";

fn mac(netns: &Netns) -> Result<String> {
    let told = ip(netns, "-brief link show eth0")?;
    Ok(told
        .split_whitespace()
        .nth(2)
        .unwrap_or_default()
        .to_owned())
}

fn source(reach: &Reach) -> IpAddr {
    reach.hop.src.into()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_ipv6_provider_address_on_the_link_is_reached_and_kept() -> Result<()> {
    let [a, b] = hosts("pa6link")?;
    let reach = Ways::of(&a, &[OWN_V4, OWN]).becomes(PEER, "resolved")?;
    ensure!(reach.hop.dst_mac.to_string() == mac(&b)?, "{reach:?}");
    ensure!(reach.hop.path_mtu == 1600, "{reach:?}");
    ensure!(source(&reach) == address(OWN), "{reach:?}");
    let entry = ip(&a, &format!("-6 neigh show {PEER}"))?;
    ensure!(
        entry.contains("managed") && entry.contains("proto 101"),
        "{entry}"
    );
    ways::unload(&a)?;
    let entry = ip(&a, &format!("-6 neigh show {PEER}"))?;
    ensure!(
        entry.contains("lladdr") && !entry.contains("managed"),
        "{entry}"
    );
    let narrow = Ways::of(&a, &[OWN_V4]).becomes(PEER, "noRoute")?;
    ensure!(
        narrow.condition.contains("no IPv6 provider address"),
        "{narrow:?}"
    );
    let silent = Ways::of(&a, &[OWN]).becomes("fd00:a::7", "noNeighbour")?;
    ensure!(
        silent.condition.contains("does not answer on eth0"),
        "{silent:?}"
    );
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_route_to_an_ipv6_provider_address_has_its_gateway_mtu_and_rules() -> Result<()> {
    const FAR: &str = "fd00:b::2";
    let [a, b] = hosts("pa6route")?;
    let mut ways = Ways::of(&a, &[OWN_V4, OWN]);
    ways.becomes(FAR, "noRoute")?;
    ip(&a, &format!("route add fd00:b::/64 via {PEER} mtu 1500"))?;
    let reach = ways.becomes(FAR, "resolved")?;
    ensure!(reach.hop.dst_mac.to_string() == mac(&b)?, "{reach:?}");
    ensure!(reach.hop.path_mtu == 1500, "{reach:?}");
    // A router's word counts below that, for as long as it lives.
    let now = Instant::now();
    ensure!(ways.path_mtus.lower(address(FAR), 1400, now));
    let reach = ways.becomes(FAR, "resolved")?;
    ensure!(
        (reach.hop.path_mtu, reach.link_mtu) == (1400, 1500),
        "{reach:?}"
    );
    // What a router advertises for the link holds for IPv6 alone.
    a.exec(&["sh", "-c", "echo 1450 > /proc/sys/net/ipv6/conf/eth0/mtu"])?;
    let near = ways.becomes(PEER, "resolved")?;
    ensure!(near.hop.path_mtu == 1450, "{near:?}");
    let near = ways.becomes("192.0.2.2", "resolved")?;
    ensure!(near.hop.path_mtu == 1600, "{near:?}");
    // A rule goes by our address of the family, although the other one is the first.
    ip(&a, "link add other type veth peer name rest")?;
    ip(&a, "link set other up")?;
    ip(&a, "link set rest up")?;
    ip(&a, "-6 route add fd00:b::/64 dev other table 100")?;
    ip(&a, &format!("-6 rule add from {OWN} lookup 100"))?;
    let astray = ways.becomes(FAR, "noRoute")?;
    ensure!(
        astray.condition.contains("other, which is no uplink"),
        "{astray:?}"
    );
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_router_of_the_link_local_kind_is_a_next_hop() -> Result<()> {
    let [a, b] = hosts("pa6local")?;
    ip(&b, "address add fe80::b/64 dev eth0 nodad")?;
    ip(&a, "route add fd00:b::/64 via fe80::b dev eth0")?;
    let reach = Ways::of(&a, &[OWN]).becomes("fd00:b::2", "resolved")?;
    ensure!(reach.hop.dst_mac.to_string() == mac(&b)?, "{reach:?}");
    Ok(())
}

/// Whether the agent is told when this changes, and of nothing before.
fn told_of(netns: &Netns, change: &str) -> Result<()> {
    let (ready, go) = mpsc::channel();
    let watch = || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        { runtime }.enable_all().build()?.block_on(async {
            let changed = Arc::new(Notify::new());
            watch::spawn(changed.clone())?;
            let early = timeout(Duration::from_millis(300), changed.notified()).await;
            ensure!(early.is_err(), "told of something else");
            ready.send(())?;
            timeout(SOON, changed.notified()).await?;
            Ok(())
        })
    };
    thread::scope(|scope| {
        let told = scope.spawn(|| inside(netns, watch));
        go.recv_timeout(SOON)?;
        ip(netns, change)?;
        told.join().expect("no panic")
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn routes_and_rules_of_ipv6_are_told_of() -> Result<()> {
    let quiet = Netns::fresh(&unique("pa6told"))?;
    told_of(&quiet, "-6 route add fd00:b::/64 dev lo")?;
    told_of(&quiet, "-6 rule add from fd00:a::1 lookup 100")?;
    told_of(&quiet, "address add fd00:a::1/128 dev lo")
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_address_that_two_have_is_known_as_such() -> Result<()> {
    let [a, b] = hosts("pa6twice")?;
    ip(&b, &format!("address add {OWN}/64 dev eth0"))?;
    wait_until("duplicate address detection to fail", SOON, || {
        let duplicate = |netns| anyhow::Ok(ways::seen(netns)?.is_duplicate(address(OWN)));
        ensure!(!duplicate(&a)?, "the first owner lost it");
        Ok(duplicate(&b)?.then_some(()))
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_group_is_resolved_while_the_uplink_is_up() -> Result<()> {
    let [a, _b] = hosts("pagroup")?;
    let ways = Ways::of(&a, &[OWN_V4, OWN]);
    for (group, own, mac) in [
        ("239.129.2.3", OWN_V4, "01:00:5e:01:02:03"),
        ("ff05::1:203", OWN, "33:33:00:01:02:03"),
    ] {
        let reach = ways.becomes(group, "resolved")?;
        ensure!(reach.hop.dst_mac.to_string() == mac, "{reach:?}");
        ensure!(
            reach.hop.path_mtu == 1600 && reach.interface == "eth0",
            "{reach:?}"
        );
        ensure!(source(&reach) == address(own), "{reach:?}");
        let neighbours = ip(&a, "neigh")?;
        ensure!(!neighbours.contains(group), "{neighbours}");
    }
    ip(&a, "link set eth0 down")?;
    let down = ways.becomes("239.129.2.3", "noRoute")?;
    ensure!(
        down.condition.contains("no uplink that is up bears"),
        "{down:?}"
    );
    ip(&a, "link set eth0 up")?;
    ways.becomes("239.129.2.3", "resolved")?;
    Ok(())
}

/// The groups below 239/8 and `ff05::/16` that the kernel has on `eth0`.
fn joined(netns: &Netns) -> Result<BTreeSet<String>> {
    let told = ip(netns, "maddress show dev eth0")?;
    let words = told
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1));
    let ours = words.filter(|group| group.starts_with("239.") || group.starts_with("ff05:"));
    Ok(ours.map(str::to_owned).collect())
}

/// Follows these on `eth0` by a thread inside.
fn follow(groups: &mut Groups, netns: &Netns, wanted: &[String]) -> Result<()> {
    inside(netns, || {
        let index = fs::read_to_string("/proc/thread-self/net/dev_mcast")?;
        let eth0 = index.lines().find(|line| line.contains(" eth0 "));
        let index = eth0.and_then(|line| line.split_whitespace().next()?.parse().ok());
        let member = |group: &String| (address(group), index.unwrap_or(0));
        let refused = groups.follow(&wanted.iter().map(member).collect());
        ensure!(refused.is_empty(), "{refused:?}");
        Ok(())
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn groups_are_joined_and_left_and_joined_again() -> Result<()> {
    let [a, b] = hosts("groups")?;
    // More than one socket takes, of either family.
    let mut wanted: Vec<String> = (1..=30).map(|last| format!("239.1.1.{last}")).collect();
    wanted.extend((1..=30).map(|last| format!("ff05::{last}")));
    let all: BTreeSet<String> = wanted.iter().cloned().collect();
    let mut groups = Groups::default();
    follow(&mut groups, &a, &wanted)?;
    ensure!(joined(&a)? == all);
    // A switch hears of it; one that is left is left alone.
    let (left, kept) = wanted.split_first().expect("some");
    follow(&mut groups, &a, kept)?;
    ensure!(!joined(&a)?.contains(left) && joined(&a)?.len() == kept.len());
    ip(&a, "link set eth0 down")?;
    ip(&a, "link set eth0 up")?;
    follow(&mut groups, &a, kept)?;
    ensure!(joined(&a)?.len() == kept.len());
    // The same device, gone and made again behind our back.
    let index = ip(&a, "-o link show eth0")?;
    let index = index.split(':').next().unwrap_or_default();
    ip(&a, "link delete eth0")?;
    ip(
        &a,
        &format!(
            "link add eth0 index {index} type veth peer name eth0 netns {}",
            b.name()
        ),
    )?;
    ip(&a, "link set eth0 up")?;
    ensure!(joined(&a)?.is_empty());
    follow(&mut groups, &a, kept)?;
    ensure!(joined(&a)?.len() == kept.len());
    follow(&mut groups, &a, &[])?;
    ensure!(joined(&a)?.is_empty());
    follow(&mut groups, &a, kept)?;
    drop(groups);
    ensure!(joined(&a)?.is_empty());
    Ok(())
}
