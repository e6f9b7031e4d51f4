//! A VM that routes between two networks: what came to it through the overlay goes into it again.

use anyhow::{Result, ensure};
use dataplane_tests::net::{SOON, Site, ping, proof, tcp};
use xtask::lab::{run, wait_until};

/// The blue VM and the red one, both on `host-a`; each network has the other VM's address at the
/// router, which is on `host-b`.
const BLUE: &str = "10.0.0.5";
const RED: &str = "10.1.0.5";
const ROUTER: &str = "red/router";

/// The router's ports: devices that it has without us.
const PORTS: &str = "---
apiVersion: nve/v1
kind: Port
metadata: {name: router, vmNetwork: blue}
spec:
  host: host-b
  virtualSubnetId: 6001
  macAddress: 02:00:00:00:00:08
  customerAddresses: [10.0.0.8, 10.1.0.5]
  attach: {interface: tap-blue}
---
apiVersion: nve/v1
kind: Port
metadata: {name: router, vmNetwork: red}
spec:
  host: host-b
  virtualSubnetId: 7001
  macAddress: 02:00:00:00:00:09
  customerAddresses: [10.1.0.9, 10.0.0.5]
  attach: {interface: tap-red}
";

fn policy(site: &Site) -> String {
    let both = "prefixes: [10.0.0.0/24, 10.1.0.0/24]";
    let text = site.demo().replace("prefixes: [10.0.0.0/24]", both);
    let (blue, red) = text.split_at(text.find("name: red,").expect("the red network"));
    let red = red.replace("[10.0.0.", "[10.1.0.").replace(
        "prefixes: [10.1.0.0/24, 10.1.0.0/24]",
        "prefixes: [10.1.0.0/24, 10.0.0.0/24]",
    );
    blue.to_owned() + &red + PORTS
}

/// The router, with its routes and no filter of return paths.
fn router(site: &Site) -> Result<()> {
    let (host, vm) = (site.host(1), site.vm("router"));
    for (near, far, mac, address) in [
        ("tap-blue", "eth0", "02:00:00:00:00:08", "10.0.0.8/24"),
        ("tap-red", "eth1", "02:00:00:00:00:09", "10.1.0.9/24"),
    ] {
        let mut link = host.command("ip");
        link.args(["link", "add", near, "mtu", "1558", "type", "veth", "peer"]);
        link.args(["name", far, "mtu", "1558", "address", mac, "netns"]);
        run(link.arg(vm.path()))?;
        host.exec(&["ip", "link", "set", near, "up"])?;
        vm.exec(&["ip", "link", "set", far, "up"])?;
        vm.exec(&["ip", "address", "add", address, "dev", far])?;
    }
    let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward
        for i in all eth0 eth1; do echo 0 > /proc/sys/net/ipv4/conf/$i/rp_filter; done";
    vm.exec(&["sh", "-c", forward]).map(drop)
}

fn site() -> Result<Site> {
    let vms = ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2", "router"];
    let mut site = Site::bare("sptwice", &vms)?;
    router(&site)?;
    for host in [0, 1] {
        site.start(host, "tc")?;
        site.apply(host, &policy(&site))?;
    }
    site.ready()?;
    for (vm, other) in [("blue-vm1", RED), ("red-vm1", BLUE)] {
        site.vm(vm)
            .exec(&["ip", "route", "add", other, "dev", "eth0"])?;
    }
    Ok(site)
}

fn encapsulated(site: &Site) -> Result<u64> {
    let told = site.ask(1, &["get", "upcalls"])?;
    let items = told["items"].as_array().into_iter().flatten();
    let of = items.filter_map(|item| item["punts"]["ENCAPSULATED"].as_u64());
    Ok(of.sum())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn super_packets_pass_the_overlay_twice() {
    proof(site(), |site| {
        let (blue, red) = (site.vm("blue-vm1"), site.vm("red-vm1"));
        ping(blue, RED, 1472)?;
        tcp(blue, red, RED, 5_000_000)?;
        tcp(red, blue, BLUE, 5_000_000)?;
        wait_until("punts of super-packets", SOON, || {
            Ok((encapsulated(site)? > 0).then_some(()))
        })?;
        ensure!(
            site.counter(1, ROUTER, "egress_reinjected")? > 0,
            "nothing went on"
        );
        for host in [0, 1] {
            site.frames_accounted(host)?;
        }
        site.conserved()
    });
}
