//! Ways to provider addresses that change: gateways, metrics, rules, several uplinks.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{SOON, Site, ping, proof, stream::Stream};
use std::time::{Duration, Instant};
use xtask::lab::{Netns, output, run, wait_until};

const PORT: &str = "blue/blue-vm1";
const B: &str = "10.0.0.7";
/// `host-b`'s provider address, on its loopback as in a routed fabric.
const FAR: &str = "203.0.113.2";
const NEAR: &str = "203.0.113.1";
/// Gateways of `host-a` towards it: two on the first uplink, one on the second.
const FIRST: &str = "192.0.2.2";
const OTHER: &str = "192.0.2.3";
const SECOND: &str = "192.0.3.2";

/// Two hosts with two uplinks each and provider addresses on none of them.
fn fabric(name: &str) -> Result<Site> {
    let mut site = Site::bare(name, &["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"])?;
    let (a, b) = (site.host(0), site.host(1));
    let mut link = a.command("ip");
    link.args(["link", "add", "eth1", "mtu", "1600", "type", "veth", "peer"]);
    link.args(["name", "eth1", "mtu", "1600", "netns"]);
    run(link.arg(b.path()))?;
    for (host, own, far, last) in [(a, NEAR, FAR, 1), (b, FAR, NEAR, 2)] {
        let second = format!("192.0.3.{last}/24");
        host.exec(&["ip", "address", "add", &second, "dev", "eth1"])?;
        host.exec(&["ip", "link", "set", "eth1", "up"])?;
        host.exec(&["ip", "address", "add", &format!("{own}/32"), "dev", "lo"])?;
        let gateway = format!("192.0.2.{}", 3 - last);
        host.exec(&["ip", "route", "add", far, "via", &gateway])?;
    }
    b.exec(&[
        "ip",
        "address",
        "add",
        &format!("{OTHER}/24"),
        "dev",
        "eth0",
    ])?;
    let policy = site
        .demo()
        .replace("192.0.2.1, interface: eth0", NEAR)
        .replace("192.0.2.2, interface: eth0", FAR);
    for host in [0, 1] {
        let both = |spec: &mut xtask::lab::NveSpec| spec.uplinks.push("eth1".to_owned());
        site.start_as(host, "tc", both)?;
        site.apply(host, &policy)?;
    }
    site.ready()?;
    Ok(site)
}

/// Waits until `host-a` reaches `host-b` through this interface.
fn goes_by(site: &Site, interface: &str) -> Result<()> {
    wait_until(&format!("{FAR} by {interface}"), SOON, || {
        let status = site.ask(0, &["status"])?;
        let pas = status["providerAddresses"].as_array();
        let far = pas.context("no provider addresses")?;
        let far = far.iter().find(|pa| pa["address"] == FAR);
        let far = far.cloned().unwrap_or_default();
        let there = far["interface"] == interface && far["state"] == "resolved";
        ensure!(there, "{far}");
        Ok(Some(()))
    })
}

/// Waits until these gateways, and no others, are kept alive.
fn kept_are(site: &Site, gateways: &[&str]) -> Result<()> {
    wait_until(&format!("{gateways:?} to be kept alive"), SOON, || {
        let all = site.host(0).exec(&["ip", "neigh"])?.stdout;
        let managed = all.lines().filter(|line| line.contains("managed"));
        let mut kept: Vec<&str> = managed.filter_map(|line| line.split(' ').next()).collect();
        kept.sort_unstable();
        ensure!(kept == gateways, "{all}");
        Ok(Some(()))
    })
}

/// Whether a gateway is kept alive.
fn kept(host: &Netns, gateway: &str) -> Result<bool> {
    let entry = host.exec(&["ip", "neigh", "show", gateway])?.stdout;
    Ok(entry.contains("managed"))
}

fn ip(site: &Site, line: &str) -> Result<()> {
    let words: Vec<&str> = std::iter::once("ip").chain(line.split(' ')).collect();
    site.host(0).exec(&words).map(drop)
}

/// Each change of a pair is followed on its event: who looks once a second is rarely this quick
/// six times in a row. Others may use the CPU, so it may take several goes.
fn at_once(site: &Site, changes: &[(&str, &str); 2]) -> Result<()> {
    wait_until("changes that are followed at once", 3 * SOON, || {
        let mut slowest = Duration::ZERO;
        for (change, interface) in [changes; 3].into_iter().flatten() {
            let since = Instant::now();
            ip(site, change)?;
            goes_by(site, interface)?;
            slowest = slowest.max(since.elapsed());
        }
        ensure!(slowest < Duration::from_millis(350), "one took {slowest:?}");
        Ok(Some(()))
    })
}

fn stream(site: &Site) -> Result<Stream> {
    let stream = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), B, 5000)?;
    stream.flows(500)?;
    Ok(stream)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_route_that_moves_loses_no_packet() {
    proof(fabric("rtmove"), |site| {
        kept_are(site, &[FIRST])?;
        let stream = stream(site)?;
        ip(site, &format!("route replace {FAR} via {OTHER}"))?;
        kept_are(site, &[OTHER])?;
        ip(site, &format!("route replace {FAR} via {SECOND}"))?;
        goes_by(site, "eth1")?;
        kept_are(site, &[SECOND])?;
        stream.flows(500)?;
        // The other host answers by its first uplink still, then by the second as well.
        ping(site.vm("blue-vm1"), B, 1472)?;
        let back = ["ip", "route", "replace", NEAR, "via", "192.0.3.1"];
        site.host(1).exec(&back)?;
        ping(site.vm("blue-vm2"), "10.0.0.5", 1472)?;
        stream.lossless()?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn metrics_rules_and_nexthop_objects_are_followed() {
    proof(fabric("rtrule"), |site| {
        let stream = stream(site)?;
        let better = format!("route {{}} {FAR} via {SECOND} metric 5");
        ip(site, &format!("route replace {FAR} via {FIRST} metric 50"))?;
        ip(site, &format!("route delete {FAR} metric 0"))?;
        ip(site, &better.replace("{}", "add"))?;
        goes_by(site, "eth1")?;
        ip(site, &better.replace("{}", "delete"))?;
        goes_by(site, "eth0")?;
        // A rule goes by the source that the programs will write.
        ip(site, &format!("route add {FAR} via {SECOND} table 100"))?;
        let rule = format!("rule {{}} from {NEAR} lookup 100");
        let (add, delete) = (rule.replace("{}", "add"), rule.replace("{}", "delete"));
        at_once(site, &[(&add, "eth1"), (&delete, "eth0")])?;
        ip(site, &format!("nexthop add id 7 via {FIRST} dev eth0"))?;
        ip(site, &format!("route add {FAR} nhid 7 metric 1"))?;
        let other = format!("nexthop replace id 7 via {SECOND} dev eth1");
        let first = format!("nexthop replace id 7 via {FIRST} dev eth0");
        at_once(site, &[(&other, "eth1"), (&first, "eth0")])?;
        stream.flows(500)?;
        stream.lossless()?;
        site.conserved()
    });
}

/// Without a way packets are counted as such, the status says so, and it comes back by itself.
fn lost_and_found(site: &Site, take: &str, give: &str) -> Result<()> {
    ip(site, take)?;
    let before = site.dropped(0, PORT, "PA_NO_ROUTE")?;
    wait_until("packets without a route", SOON, || {
        let mut once = site.vm("blue-vm1").command("ping");
        once.args(["-n", "-c", "1", "-W", "0.1", B]);
        output(&mut once, SOON)?;
        Ok((site.dropped(0, PORT, "PA_NO_ROUTE")? > before).then_some(()))
    })?;
    let status = site.nvectl(0, &["status"])?;
    ensure!(
        status.code() == 1 && status.stdout.contains(FAR),
        "not told:\n{}",
        status.stdout
    );
    ip(site, give)?;
    site.ready()?;
    ping(site.vm("blue-vm1"), B, 1472)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_route_that_goes_is_told_and_comes_back_by_itself() {
    proof(fabric("rtgone"), |site| {
        let route = format!("route {{}} {FAR} via {FIRST}");
        let (add, delete) = (route.replace("{}", "add"), route.replace("{}", "delete"));
        lost_and_found(site, &delete, &add)?;
        kept_are(site, &[FIRST])?;
        ip(site, &delete)?;
        let refuse = format!("route add unreachable {FAR}");
        lost_and_found(site, &refuse, &format!("route replace {FAR} via {SECOND}"))?;
        kept_are(site, &[SECOND])?;
        // Through an interface that is no uplink no tenant's packet leaves.
        ip(site, "link add other type veth peer name rest")?;
        ip(site, "link set other up")?;
        let astray = format!("route replace {FAR} dev other");
        lost_and_found(site, &astray, &format!("route replace {FAR} via {FIRST}"))?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_restart_knows_what_the_former_nved_kept() {
    proof(fabric("rtagain"), |site| {
        kept_are(site, &[FIRST])?;
        let stream = stream(site)?;
        site.nves[0].kill()?;
        ip(site, &format!("route replace {FAR} via {SECOND}"))?;
        stream.flows(500)?;
        site.resume(0)?;
        kept_are(site, &[SECOND])?;
        goes_by(site, "eth1")?;
        stream.flows(500)?;
        // Entries that are gone when nved starts cost nothing either.
        site.nves[0].stop();
        ip(site, "neigh flush all nud all")?;
        stream.flows(500)?;
        site.resume(0)?;
        kept_are(site, &[SECOND])?;
        stream.flows(500)?;
        stream.lossless()?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn equal_cost_routes_take_one_way_and_keep_to_it() {
    proof(fabric("rtecmp"), |site| {
        let stream = stream(site)?;
        let both = format!("nexthop via {OTHER} nexthop via {SECOND}");
        ip(site, &format!("route replace {FAR} {both}"))?;
        let way = wait_until("one of two ways", SOON, || {
            let ways = [("eth0", OTHER), ("eth1", SECOND)];
            let mut taken = ways.into_iter();
            let is_kept = |way: &(&str, &str)| kept(site.host(0), way.1).unwrap_or(false);
            Ok(taken.find(is_kept).map(|(interface, _)| interface))
        })?;
        goes_by(site, way)?;
        site.nves[0].stop();
        site.resume(0)?;
        site.ready()?;
        goes_by(site, way)?;
        let one = [if way == "eth0" { OTHER } else { SECOND }];
        kept_are(site, &one)?;
        stream.lossless()?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_gateway_may_have_an_ipv6_address() {
    proof(fabric("rtvia6"), |site| {
        for (host, last) in [(0, 1), (1, 2)] {
            let on = "echo 0 > /proc/sys/net/ipv6/conf/eth1/disable_ipv6";
            site.host(host).exec(&["sh", "-c", on])?;
            let address = format!("fd00::{last}/64");
            let add = ["ip", "address", "add", &address, "dev", "eth1", "nodad"];
            site.host(host).exec(&add)?;
        }
        ip(
            site,
            &format!("route replace {FAR} via inet6 fd00::2 dev eth1"),
        )?;
        goes_by(site, "eth1")?;
        kept_are(site, &["fd00::2"])?;
        ping(site.vm("blue-vm1"), B, 1472)?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn more_events_than_fit_are_one_change() {
    proof(fabric("rtflood"), |site| {
        let pid = site.nves[0].pid().context("no nved")?;
        let signal = |name: &str| site.host(0).exec(&["kill", name, &pid.to_string()]);
        signal("-STOP")?;
        let flood = "seq -f 'neigh replace 198.18.%.0f.1 lladdr 02:00:00:00:00:01 dev lo' 250 \
                     > $0; for i in 1 2 3 4 5 6; do seq -f 'link set lo mtu %.0f' 2000 2500; done \
                     >> $0; ip -batch $0";
        let file = site.file("flood", "")?;
        let flooded = site
            .host(0)
            .exec(&["sh", "-c", flood, &file.to_string_lossy()]);
        signal("-CONT")?;
        flooded?;
        let drops = || -> Result<u64> {
            let table = site.host(0).exec(&["cat", "/proc/net/netlink"])?.stdout;
            // Columns: sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode.
            let row = |line: &str| -> Option<u64> {
                let words: Vec<&str> = line.split_whitespace().collect();
                let watches = *words.get(3)? != "00000000" && *words.get(1)? == "0";
                words.get(8).filter(|_| watches)?.parse().ok()
            };
            Ok(table.lines().filter_map(row).sum())
        };
        ensure!(drops()? > 0, "the socket took all of it: no overflow");
        ip(site, &format!("route replace {FAR} via {SECOND}"))?;
        goes_by(site, "eth1")?;
        ensure!(drops()? > 0, "the socket that overflowed is gone");
        ping(site.vm("blue-vm1"), B, 1472)?;
        site.conserved()
    });
}
