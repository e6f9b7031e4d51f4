//! Uplinks whose MTU changes, and that flap.

use super::{B, ip, says, works};
use anyhow::{Result, ensure};
use dataplane_tests::net::{Link, SOON, Site, ping, proof};
use xtask::lab::wait_until;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn tenants_follow_the_mtu_of_the_uplink() {
    proof(Site::up("upmtu", "tc"), |site| {
        for (underlay, tenant) in [(1500, 1458_u16), (1700, 1658), (1600, 1558)] {
            for host in [0, 1] {
                ip(site.host(host), &format!("link set eth0 mtu {underlay}"))?;
            }
            let hosts = [(0, "blue-vm1"), (1, "blue-vm2")];
            for (host, vm) in hosts {
                wait_until(&format!("MTU {tenant} of {vm}"), SOON, || {
                    let status = site.ask(host, &["status"])?;
                    let text = status.to_string();
                    let there = text.contains(&format!("\"mtu\":{tenant}"))
                        && text.contains(&format!("\"pathMtu\":{underlay}"));
                    ensure!(there, "{text}");
                    let inside = Link::named(site.vm(vm), "eth0")?.mtu;
                    ensure!(inside == u64::from(tenant), "inside: {inside}");
                    Ok(Some(()))
                })?;
            }
            let most = tenant - 28;
            ping(site.vm("blue-vm1"), B, most)?;
            let over = ping(site.vm("blue-vm1"), B, most + 1);
            ensure!(over.is_err(), "a ping of {} bytes passed", most + 1);
        }
        // A route may take less than its interface, and never more.
        let route = "route replace 192.0.2.2 dev eth0 mtu";
        ip(site.host(0), &format!("{route} 1400"))?;
        wait_until("the route's MTU", SOON, || {
            let text = site.ask(0, &["status"])?.to_string();
            Ok(text.contains("\"mtu\":1358").then_some(()))
        })?;
        ping(site.vm("blue-vm1"), B, 1330)?;
        ip(site.host(0), &format!("{route} 9000"))?;
        wait_until("the interface's MTU", SOON, || {
            let text = site.ask(0, &["status"])?.to_string();
            Ok(text.contains("\"mtu\":1558").then_some(()))
        })?;
        works(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_flap_of_either_end_is_survived() {
    proof(Site::up("upflap", "tc"), |site| {
        for host in [0, 1, 0, 1] {
            ip(site.host(host), "link set eth0 down")?;
            let why = ["uplink eth0 is down", "uplink eth0 has no carrier"];
            says(site, why[host])?;
            ip(site.host(host), "link set eth0 up")?;
            works(site)?;
        }
        kept_alive(site)?;
        // Too short to be seen: down and up in one go.
        let flap = "link set eth0 down\nlink set eth0 up\n";
        let file = site.file("batch", flap)?;
        site.host(0)
            .exec(&["ip", "-batch", &file.to_string_lossy()])?;
        kept_alive(site)?;
        works(site)
    });
}

/// The kernel keeps the neighbour alive (again), after the next round of the agent at the latest.
fn kept_alive(site: &Site) -> Result<()> {
    wait_until("a neighbour kept alive", SOON, || {
        let kept = site.host(0).exec(&["ip", "neigh"])?.stdout;
        Ok(kept.contains("managed").then_some(()))
    })
}
