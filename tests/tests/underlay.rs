//! How the underlay reaches provider addresses, and what happens when it does not.

use anyhow::Result;
use dataplane_tests::net::{SOON, Site, ping, proof, tcp};
use xtask::lab::{Nve, output, run, wait_until};

const PORT: &str = "blue/blue-vm1";
const B: &str = "10.0.0.7";

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_peer_that_vanishes_is_told_and_comes_back_by_itself() {
    proof(Site::up("undown", "tc"), |site| {
        ping(site.vm("blue-vm1"), B, 56)?;
        site.host(1).exec(&["ip", "link", "set", "eth0", "down"])?;
        let before = site.dropped(0, PORT, "PA_NEIGH_UNRESOLVED")?;
        wait_until("packets without a next hop", SOON, || {
            let mut once = site.vm("blue-vm1").command("ping");
            once.args(["-n", "-c", "1", "-W", "0.1", B]);
            output(&mut once, SOON)?;
            Ok((site.dropped(0, PORT, "PA_NEIGH_UNRESOLVED")? > before).then_some(()))
        })?;
        let status = site.nvectl(0, &["status"])?;
        anyhow::ensure!(status.code() == 1, "not degraded:\n{}", status.stdout);
        anyhow::ensure!(
            status.stdout.contains("192.0.2.2"),
            "not told:\n{}",
            status.stdout
        );
        site.host(1).exec(&["ip", "link", "set", "eth0", "up"])?;
        wait_until("pings again", SOON, || {
            ping(site.vm("blue-vm1"), B, 56).map(Some)
        })?;
        site.ready()?;
        site.conserved()
    });
}

/// `host-b` as a plain router; behind it `host-c` with 198.51.100.2.
fn routed() -> Result<Site> {
    let mut site = Site::bare(
        "unroute",
        &["blue-vm1", "blue-vm2", "red-vm1", "red-vm2", "host-c"],
    )?;
    let (near, router, far) = (site.host(0), site.host(1), site.vm("host-c"));
    let mut link = router.command("ip");
    link.args(["link", "add", "eth1", "mtu", "1600", "type", "veth", "peer"]);
    link.args(["name", "eth0", "mtu", "1600", "netns"]);
    run(link.arg(far.path()))?;
    router.exec(&["ip", "address", "add", "198.51.100.1/24", "dev", "eth1"])?;
    router.exec(&["ip", "link", "set", "eth1", "up"])?;
    router.exec(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])?;
    far.exec(&["ip", "address", "add", "198.51.100.2/24", "dev", "eth0"])?;
    far.exec(&["ip", "link", "set", "eth0", "up"])?;
    far.exec(&["ip", "route", "add", "192.0.2.0/24", "via", "198.51.100.1"])?;
    near.exec(&["ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.2"])?;
    let policy = site
        .demo()
        .replace("host-b", "host-c")
        .replace("192.0.2.2", "198.51.100.2");
    site.start(0, "tc")?;
    let third = Nve::start(site.vm("host-c"), "host-c", "tc")?;
    site.nves.push(third);
    site.apply(0, &policy)?;
    site.apply(1, &policy)?;
    site.ready()?;
    Ok(site)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_provider_address_behind_a_router_is_reached() {
    proof(routed(), |site| {
        ping(site.vm("blue-vm1"), B, 1472)?;
        tcp(
            site.vm("red-vm2"),
            site.vm("red-vm1"),
            "10.0.0.5",
            1_000_000,
        )?;
        site.conserved()
    });
}

/// TCP and ping between the provider addresses themselves, also while the overlay is busy.
fn hosts_own_traffic(mode: &str) {
    proof(Site::up("unown", mode), |site| {
        site.like_wires()?;
        ping(site.host(0), "192.0.2.2", 56)?;
        tcp(site.host(0), site.host(1), "192.0.2.2", 2_000_000)?;
        tcp(site.host(1), site.host(0), "192.0.2.1", 2_000_000)?;
        let busy = || tcp(site.vm("blue-vm1"), site.vm("blue-vm2"), B, 20_000_000);
        std::thread::scope(|scope| {
            let overlay = scope.spawn(busy);
            tcp(site.host(0), site.host(1), "192.0.2.2", 20_000_000)?;
            overlay.join().expect("no panic")
        })?;
        ping(site.host(1), "192.0.2.1", 1472)?;
        let passed = site.counter(0, "uplink", "ingress_passed")?;
        anyhow::ensure!(passed > 10, "only {passed} packets were left to the host");
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_hosts_own_traffic_passes_a_tc_uplink() {
    hosts_own_traffic("tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_hosts_own_traffic_passes_an_xdp_uplink() {
    hosts_own_traffic("xdp");
}
