//! The gateway: one MAC on every host, and it answers.

use crate::{DATA_GATEWAY, WEB_B, WEB_GATEWAY, plan, site};
use anyhow::{Context as _, Result, ensure};
use dataplane_tests::net::{
    SOON, Site,
    fabric::Family,
    outer::nvgre,
    path::{answers, hops, neighbour_mac, reply_ttl},
    ping,
    plan::A,
    proof,
};
use xtask::lab::{output, wait_until};

/// The gateway's MAC as a VM hears it.
fn gateway_mac(site: &Site, vm: &str, gateway: &str) -> Result<String> {
    neighbour_mac(site.vm(vm), gateway)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_gateway_has_the_same_mac_on_both_hosts() {
    proof(site("gwmac", Family::V4, "tc"), |site| {
        let first = gateway_mac(site, "web-a", WEB_GATEWAY[0])?;
        for (vm, gateways) in [
            ("web-a", WEB_GATEWAY),
            ("web-b", WEB_GATEWAY),
            ("data-a", DATA_GATEWAY),
            ("data-b", DATA_GATEWAY),
        ] {
            for gateway in gateways {
                let mac = gateway_mac(site, vm, gateway)?;
                ensure!(mac == first, "{gateway} is {mac} at {vm}, not {first}");
            }
        }
        site.conserved()
    });
}

/// Pings of the gateway are answered on the VM's own host.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_gateway_answers_pings() {
    proof(site("gwping", Family::V4, "tc"), |site| {
        let wire = site.wire(A)?;
        for family in Family::ALL {
            for (vm, gateways) in [("web-a", WEB_GATEWAY), ("data-a", DATA_GATEWAY)] {
                for size in [0, 56, 1400] {
                    ping(site.vm(vm), family.of(gateways), size)?;
                }
                ensure!(reply_ttl(site.vm(vm), family.of(gateways))? == 64);
            }
        }
        let carried = nvgre(&wire.drain()?);
        ensure!(
            carried.is_empty(),
            "{} packets left the host",
            carried.len()
        );
        site.conserved()
    });
}

/// Whatever else is sent to the gateway ends there, counted.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_gateway_has_no_other_services() {
    proof(site("gwelse", Family::V4, "tc"), |site| {
        let vm = site.vm("web-a");
        let before = site.dropped(A, "blue/web-a", "GATEWAY_BOUND")?;
        let any = std::net::UdpSocket::bind;
        let socket = dataplane_tests::net::inside(vm, || Ok(any("0.0.0.0:0")?))?;
        for _ in 0..3 {
            socket.send_to(b"anybody?", (WEB_GATEWAY[0], 9))?;
        }
        site.drops_reach(A, "blue/web-a", "GATEWAY_BOUND", before + 3)?;
        site.conserved()
    });
}

/// A gateway that the policy names is the one, and the lowest address is nobody's.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_gateway_may_have_another_address() {
    let with = |site: &Site| {
        let text = site.documents(&plan(Family::V4, "tc"));
        let prefixes = "prefixes: [\"10.0.0.0/24\", \"fd00:6001::/64\"]";
        let own = format!("{prefixes}\n    gateway: [\"10.0.0.254\", \"fd00:6001::fe\"]");
        text.replace(prefixes, &own)
    };
    proof(Site::laid_out("gwother", &plan(Family::V4, "tc")), |site| {
        for host in [0, 1] {
            site.start(host, "tc")?;
            site.apply(host, &with(site))?;
        }
        site.ready()?;
        site.settled(&plan(Family::V4, "tc"))?;
        let vm = site.vm("web-a");
        for gateway in ["10.0.0.254", "fd00:6001::fe"] {
            ping(vm, gateway, 56)?;
        }
        for nobody in WEB_GATEWAY {
            ensure!(!answers(vm, nobody)?, "{nobody} answers");
        }
        let found = hops(vm, crate::DATA_B[0])?;
        ensure!(found == ["10.0.0.254"], "{found:?}");
        site.conserved()
    });
}

/// A VM that asks for routers hears of one when its subnet says so.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn router_solicitations_are_answered_when_the_subnet_says_so() {
    let plan = plan(Family::V4, "tc");
    proof(Site::laid_out("gwrs", &plan), |site| {
        let web = "virtualSubnetId: 6001\n    prefixes";
        let text = site.documents(&plan);
        ensure!(text.contains(web), "no subnet in\n{text}");
        let says = web.replace('\n', "\n    routerAdvertisement: true\n");
        for host in [0, 1] {
            site.start(host, "tc")?;
            site.apply(host, &text.replace(web, &says))?;
        }
        site.ready()?;
        site.settled(&plan)?;
        let link_local = link_local(&gateway_mac(site, "web-a", WEB_GATEWAY[0])?)?;
        // A host takes an advertisement to heart only where it accepts them; down and up it asks.
        let solicit = |vm: &str| -> Result<()> {
            let script = "echo 2 > /proc/sys/net/ipv6/conf/eth0/accept_ra; \
                          ip link set eth0 down; ip link set eth0 up";
            site.vm(vm).exec(&["sh", "-c", script]).map(drop)
        };
        let routes = |vm: &str| -> Result<String> {
            let show = ["ip", "-6", "route", "show", "default", "proto", "ra"];
            Ok(site.vm(vm).exec(&show)?.stdout)
        };
        solicit("web-a")?;
        solicit("data-a")?;
        wait_until("a route that was advertised", SOON, || {
            let now = routes("web-a")?;
            ensure!(now.contains(&link_local), "not {link_local}: {now}");
            Ok(Some(()))
        })?;
        ensure!(
            routes("data-a")?.is_empty(),
            "the other subnet says nothing"
        );
        site.conserved()
    });
}

/// `fe80::` and the modified EUI-64 of a MAC.
fn link_local(mac: &str) -> Result<String> {
    let bytes: Result<Vec<u8>, _> = mac.split(':').map(|b| u8::from_str_radix(b, 16)).collect();
    let bytes = bytes?;
    ensure!(bytes.len() == 6, "{mac}");
    let mut address = [0; 16];
    address[..2].copy_from_slice(&[0xFE, 0x80]);
    address[8..11].copy_from_slice(&bytes[..3]);
    address[8] ^= 2;
    address[11..13].copy_from_slice(&[0xFF, 0xFE]);
    address[13..].copy_from_slice(&bytes[3..]);
    Ok(std::net::Ipv6Addr::from(address).to_string())
}

/// What the router leaves to user space is answered at a bounded rate.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_flood_of_ended_ttls_gets_few_answers() {
    proof(site("gwflood", Family::V4, "tc"), |site| {
        let vm = site.vm("web-a");
        let mut flood = vm.command("ping");
        flood.args([
            "-n",
            "-f",
            "-c",
            "2000",
            "-W",
            "1",
            "-t",
            "1",
            crate::DATA_B[0],
        ]);
        let said = output(&mut flood, SOON)?.stdout;
        let errors = said
            .split_whitespace()
            .find_map(|word| word.strip_prefix('+'));
        let errors: u64 = errors.unwrap_or("0").parse()?;
        // A hundred a second and twenty at once, whatever comes.
        let took = said.split(" time ").nth(1);
        let millis = took.and_then(|rest| rest.split("ms").next());
        let millis: u64 = millis.context("no time")?.trim().parse()?;
        let most = millis / 10 + 20 + 10;
        ensure!(
            (1..=most).contains(&errors),
            "{errors} of {most} answers:\n{said}"
        );
        ping(vm, WEB_B[0], 56)?;
        site.conserved()
    });
}

/// A routing domain of another VM network has a gateway MAC of its own.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn each_routing_domain_has_a_gateway_mac_of_its_own() {
    let subnets = [dataplane_tests::net::documents::subnet(
        7001,
        &["10.0.0.0/24"],
        "",
    )];
    let plan = plan(Family::V4, "tc")
        .network("red", 0xC1, "", &subnets)
        .vm(("red-a", "red"), A, 7001, &["10.0.0.5"]);
    proof(Site::of("gwown", &plan), |site| {
        let blue = gateway_mac(site, "web-a", WEB_GATEWAY[0])?;
        let red = gateway_mac(site, "red-a", WEB_GATEWAY[0])?;
        ensure!(blue != red, "both are {blue}");
        Ok(())
    });
}
