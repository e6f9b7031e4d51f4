//! Uplinks that are renamed, go and come back, change their MTU or flap.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{Link, SOON, Site, ping, proof, stream::Stream};
use std::time::{Duration, Instant};
use xtask::lab::{Netns, run, wait_until};

const B: &str = "10.0.0.7";

fn ip(host: &Netns, line: &str) -> Result<()> {
    let words: Vec<&str> = std::iter::once("ip").chain(line.split(' ')).collect();
    host.exec(&words).map(drop)
}

/// Waits until `host-a` is degraded and says these words.
fn says(site: &Site, words: &str) -> Result<()> {
    wait_until(&format!("a status with {words:?}"), SOON, || {
        let status = site.nvectl(0, &["status"])?;
        let said = status.code() == 1 && status.stdout.contains(words);
        ensure!(said, "{}", status.stdout);
        Ok(Some(()))
    })
}

/// Ready, and packets as long as the path takes pass both ways.
fn works(site: &Site) -> Result<()> {
    site.ready()?;
    ping(site.vm("blue-vm1"), B, 1472)?;
    ping(site.vm("blue-vm2"), "10.0.0.5", 1472)?;
    site.conserved()
}

/// What is attached on `host-a`, by pins.
fn pins(site: &Site) -> Result<Vec<String>> {
    let links = std::fs::read_dir(site.nves[0].spec().pin.join("links"))?;
    let names = links.map(|link| Ok(link?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

/// The cable between the hosts, made again.
fn recable(site: &Site) -> Result<()> {
    let (a, b) = (site.host(0), site.host(1));
    let mut link = a.command("ip");
    link.args(["link", "add", "eth0", "mtu", "1600", "type", "veth", "peer"]);
    link.args(["name", "eth0", "mtu", "1600", "netns"]);
    run(link.arg(b.path()))?;
    for (host, address) in [(a, "192.0.2.1/24"), (b, "192.0.2.2/24")] {
        ip(host, &format!("address add {address} dev eth0"))?;
        ip(host, "link set eth0 up")?;
    }
    Ok(())
}

fn renamed(mode: &str) {
    proof(Site::up("uprename", mode), |site| {
        site.like_wires()?;
        let there = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), B, 2000)?;
        let back = Stream::start(site.vm("red-vm2"), site.vm("red-vm1"), "10.0.0.5", 2000)?;
        there.flows(200)?;
        ip(site.host(0), "link set eth0 name wan0")?;
        says(site, "uplink eth0 is called wan0 now")?;
        there.flows(200)?;
        // The next nved knows it too, and a port may not have it.
        site.nves[0].stop();
        site.resume(0)?;
        says(site, "uplink eth0 is called wan0 now")?;
        back.flows(200)?;
        ip(site.host(0), "link set wan0 name eth0")?;
        site.ready()?;
        there.flows(200)?;
        there.lossless()?;
        back.lossless()?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_renamed_uplink_loses_no_packet_with_tc() {
    renamed("tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_renamed_uplink_loses_no_packet_with_xdp() {
    renamed("xdp");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_new_device_with_the_name_is_the_uplink() {
    proof(Site::up("upname", "tc"), |site| {
        let old = Link::named(site.host(0), "eth0")?.index;
        ip(site.host(0), "link set eth0 down")?;
        ip(site.host(0), "address flush dev eth0")?;
        ip(site.host(0), "link set eth0 name old0")?;
        ip(site.host(1), "link set eth0 name old0")?;
        ip(site.host(1), "address flush dev old0")?;
        recable(site)?;
        works(site)?;
        let left = pins(site)?.contains(&format!("tc-{old}"));
        ensure!(!left, "programs are left on the former device");
        Ok(())
    });
}

fn recreated(mode: &str) {
    proof(Site::up("upnew", mode), |site| {
        ip(site.host(0), "link delete eth0")?;
        says(site, "uplink eth0 is not there")?;
        // Tenants keep the MTU that the uplink will have again.
        let mtu = Link::named(site.vm("blue-vm1"), "eth0")?.mtu;
        ensure!(mtu == 1558, "the tenant has MTU {mtu}");
        recable(site)?;
        // Events tell of it; a CPU that others use may make one of these late.
        wait_until("an uplink that is back within a second", SOON, || {
            ip(site.host(0), "link delete eth0")?;
            says(site, "uplink eth0 is not there")?;
            recable(site)?;
            let since = Instant::now();
            site.ready()?;
            let took = since.elapsed();
            println!("ready again after {took:?}");
            ensure!(took < Duration::from_secs(1), "it took {took:?}");
            Ok(Some(()))
        })?;
        site.like_wires()?;
        works(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_that_is_made_again_is_used_again_with_tc() {
    recreated("tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_that_is_made_again_is_used_again_with_xdp() {
    recreated("xdp");
}

/// As when it is replaced between two looks: nothing but its programs is missing.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_twin_of_the_uplink_gets_programs_too() {
    proof(Site::up("uptwin", "tc"), |site| {
        let before = Link::named(site.host(0), "eth0")?;
        let (index, mac, far) = (before.index, &before.mac, site.named("host-b"));
        let batch = format!(
            "link delete eth0\n\
             link add eth0 index {index} address {mac} mtu 1600 type veth peer name eth0 mtu 1600 netns {far}\n\
             address add 192.0.2.1/24 dev eth0\n\
             link set eth0 up\n"
        );
        let file = site.file("batch", batch)?;
        site.host(0)
            .exec(&["ip", "-batch", &file.to_string_lossy()])?;
        ip(site.host(1), "address add 192.0.2.2/24 dev eth0")?;
        ip(site.host(1), "link set eth0 up")?;
        ensure!(before == Link::named(site.host(0), "eth0")?, "no twin");
        wait_until("programs on the twin", SOON, || works(site).map(Some))
    });
}

fn elsewhere(mode: &str) {
    proof(Site::up("upns", mode), |site| {
        site.like_wires()?;
        let index = Link::named(site.host(0), "eth0")?.index;
        let away = Netns::fresh(&site.named("away"))?;
        ip(
            site.host(0),
            &format!("link set eth0 netns {}", away.name()),
        )?;
        says(site, "uplink eth0 is not there")?;
        wait_until("programs that let go", SOON, || {
            let pins = pins(site)?;
            let on = pins.iter().any(|pin| pin.ends_with(&format!("-{index}")));
            ensure!(!on, "{pins:?}");
            Ok(Some(()))
        })?;
        // There the device is as any other: what comes reaches the stack, NVGRE too.
        ip(&away, "address add 192.0.2.1/24 dev eth0")?;
        ip(&away, "link set eth0 up")?;
        let before = site.counter(0, "uplink", "ingress_received")?;
        ping(&away, "192.0.2.2", 56)?;
        let mut once = site.vm("blue-vm2").command("ping");
        once.args(["-n", "-c", "3", "-i", "0.05", "-W", "0.2", "10.0.0.5"]);
        xtask::lab::output(&mut once, SOON)?;
        let now = site.counter(0, "uplink", "ingress_received")?;
        ensure!(before == now, "{before} packets, then {now}");
        let back = format!("link set eth0 netns {}", site.host(0).name());
        ip(&away, &back)?;
        ip(site.host(0), "address add 192.0.2.1/24 dev eth0")?;
        ip(site.host(0), "link set eth0 up")?;
        works(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_in_another_namespace_is_let_go_until_it_returns_with_tc() {
    elsewhere("tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_in_another_namespace_is_let_go_until_it_returns_with_xdp() {
    elsewhere("xdp");
}

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
        let kept = site.host(0).exec(&["ip", "neigh"])?.stdout;
        ensure!(kept.contains("managed"), "not kept alive again:\n{kept}");
        // Too short to be seen: down and up in one go.
        let flap = "link set eth0 down\nlink set eth0 up\n";
        let file = site.file("batch", flap)?;
        site.host(0)
            .exec(&["ip", "-batch", &file.to_string_lossy()])?;
        wait_until("a neighbour kept alive", SOON, || {
            let kept = site.host(0).exec(&["ip", "neigh"])?.stdout;
            Ok(kept.contains("managed").then_some(()))
        })?;
        works(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_that_is_late_is_waited_for_if_it_was_there_before() {
    proof(Site::up("uplate", "tc"), |site| {
        let log = |site: &Site| site.nves[0].log();
        site.nves[0].stop();
        ip(site.host(0), "link delete eth0")?;
        site.resume(0)?;
        says(site, "uplink eth0 is not there")?;
        recable(site)?;
        works(site)?;
        // A name that never was is a mistake, also beside one that is good.
        site.nves[0].stop();
        let spec = site.nves[0].spec_mut();
        spec.uplinks.push("eht1".to_owned());
        let started = site.resume(0);
        let error = started.err().context("it started")?;
        let told = format!("{error:#}").contains("uplink eht1 is not there and never was");
        ensure!(told, "{error:#}\n{}", log(site));
        site.nves[0].spec_mut().uplinks.pop();
        site.resume(0)?;
        works(site)
    });
}
