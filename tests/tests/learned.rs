//! Addresses that hosts learn from what VMs say.

use anyhow::{Context, Result, ensure};
use dataplane_common::id::Mac;
use dataplane_tests::{
    net::{
        PacketSocket, SOON, Site,
        dhcp::{DhcpServer, lease_by_unicast},
        documents::subnet,
        ping,
        plan::{A, B, C, Plan},
        proof,
    },
    packet::arp,
};
use serde_json::Value;
use xtask::lab::wait_until;

const VSID: u32 = 6001;
/// What the server gives, and what is fixed.
const GIVEN: &str = "10.0.0.50";
const FIXED: &str = "10.0.0.6";
const FIXED6: &str = "fd00:6001::6";
const SERVER: &str = "10.0.0.9";

/// A VM whose addresses are learned, one with fixed ones beside it, the server, and one elsewhere.
fn plan() -> Plan {
    let broadcast = "broadcast: {mode: unicastReplication}";
    let prefixes = ["10.0.0.0/24", "fd00:6001::/64"];
    Plan::new()
        .network("blue", 0xB1, "", &[subnet(VSID, &prefixes, broadcast)])
        .vm_with(
            ("learned", "blue"),
            A,
            Some(VSID),
            &[],
            "recordType: L2Only",
        )
        .vm_with(("second", "blue"), A, Some(VSID), &[], "recordType: L2Only")
        .vm(("fixed", "blue"), A, VSID, &[FIXED, FIXED6])
        .vm(("server", "blue"), B, VSID, &[SERVER])
        .vm(("away", "blue"), C, VSID, &["10.0.0.8"])
}

/// The record of an address at a host.
fn record(site: &Site, host: usize, ca: &str) -> Result<Option<Value>> {
    let list = site.ask(host, &["get", "lookuprecords"])?;
    let items = list["items"].as_array().context("no items")?;
    let found = items.iter().find(|item| {
        let spec = &item["document"]["spec"];
        spec["customerAddress"] == ca && spec["virtualSubnetId"] == VSID
    });
    Ok(found.map(|item| item["document"].clone()))
}

/// Waits until a host has a record of this MAC for an address, or none.
fn becomes(site: &Site, ca: &str, mac: Option<&str>) -> Result<()> {
    wait_until(&format!("{ca} to be {mac:?}"), SOON, || {
        let now = record(site, A, ca)?;
        let same = match (&now, mac) {
            (None, None) => true,
            (Some(now), Some(mac)) => {
                now["spec"]["macAddress"] == mac && now["spec"]["type"] == "Dynamic"
            }
            _ => false,
        };
        ensure!(same, "it is {now:?}");
        Ok(Some(()))
    })
}

/// Gives a VM an address of its own choice; its kernel announces it as kernels do: by asking.
fn takes(site: &Site, vm: &str, ca: &str) -> Result<()> {
    let full = format!("{ca}/24");
    site.vm(vm)
        .exec(&["ip", "address", "add", &full, "dev", "eth0"])?;
    let mut ping = site.vm(vm).command("ping");
    ping.args(["-n", "-c", "1", "-W", "1", "-I", ca, FIXED]);
    xtask::lab::output(&mut ping, SOON)?;
    Ok(())
}

/// The learned records of a host, for another one.
fn exported(site: &Site, ca: &str) -> Result<String> {
    let name = format!("{VSID}/{ca}");
    let told = site.nvectl(A, &["get", "lookuprecord", &name, "-o", "yaml"])?;
    Ok(told.success()?.stdout)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_address_is_learned_from_a_lease_of_a_server_on_another_host() {
    let plan = plan();
    proof(Site::of("ledhcp", &plan), |site| {
        let (learned, server) = (plan.find("learned"), plan.find("server"));
        let vm = site.vm("learned");
        ensure!(record(site, A, GIVEN)?.is_none(), "a record before a lease");
        let _server = DhcpServer::on(site.vm("server"), server.mac(), SERVER, GIVEN)?;
        let given = lease_by_unicast(vm, learned.mac())?.to_string();
        ensure!(given == GIVEN, "it was given {given}");
        becomes(site, GIVEN, Some(learned.mac_text()))?;
        let own = format!("{GIVEN}/24");
        vm.exec(&["ip", "address", "add", &own, "dev", "eth0"])?;
        ping(vm, FIXED, 56)?;
        // Hosts that do not share the store are told by hand.
        let yaml = exported(site, GIVEN)?;
        for host in [B, C] {
            site.apply(host, &yaml)?;
        }
        for other in ["server", "away"] {
            ping(site.vm(other), GIVEN, 56)?;
        }
        ping(vm, SERVER, 1400)?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_address_is_learned_from_arp_and_withdrawn_with_the_port() {
    let plan = plan();
    proof(Site::of("learp", &plan), |site| {
        let mac = plan.find("learned").mac_text().to_owned();
        takes(site, "learned", "10.0.0.60")?;
        becomes(site, "10.0.0.60", Some(&mac))?;
        takes(site, "learned", "10.0.0.61")?;
        becomes(site, "10.0.0.61", Some(&mac))?;
        ping(site.vm("fixed"), "10.0.0.60", 56)?;
        // The VM switches its adapter off.
        site.vm("learned")
            .exec(&["ip", "link", "set", "eth0", "down"])?;
        for ca in ["10.0.0.60", "10.0.0.61"] {
            becomes(site, ca, None)?;
        }
        site.vm("learned")
            .exec(&["ip", "link", "set", "eth0", "up"])?;
        takes(site, "learned", "10.0.0.62")?;
        becomes(site, "10.0.0.62", Some(&mac))?;
        site.conserved()
    });
}

/// A VM that looks for its first neighbour tells which address it has.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_ipv6_address_is_learned_from_neighbour_discovery() {
    const OWN: &str = "fd00:6001::60";
    let plan = plan();
    proof(Site::of("lend", &plan), |site| {
        let (vm, mac) = (site.vm("learned"), plan.find("learned").mac_text());
        let full = format!("{OWN}/64");
        vm.exec(&["ip", "address", "add", &full, "dev", "eth0"])?;
        // Before that it speaks from its link-local address.
        site.settled(&plan)?;
        ping(vm, FIXED6, 56)?;
        becomes(site, OWN, Some(mac))?;
        ping(site.vm("fixed"), OWN, 1400)?;
        // An address that another has is not learned, and its taker hears of it.
        let taken = format!("{FIXED6}/64");
        vm.exec(&["ip", "address", "add", &taken, "dev", "eth0"])?;
        wait_until("a duplicate that is found", SOON, || {
            let shown = vm.exec(&["ip", "-6", "address"])?.stdout;
            ensure!(shown.contains("dadfailed"), "{shown}");
            Ok(Some(()))
        })?;
        vm.exec(&["ip", "link", "set", "eth0", "down"])?;
        becomes(site, OWN, None)?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_first_owner_of_an_address_keeps_it() {
    let plan = plan();
    proof(Site::of("lefirst", &plan), |site| {
        let first = plan.find("learned").mac_text().to_owned();
        takes(site, "learned", "10.0.0.60")?;
        becomes(site, "10.0.0.60", Some(&first))?;
        let before = site.dropped(A, "blue/second", "LEARN_REFUSED")?;
        takes(site, "second", "10.0.0.60")?;
        site.drops_reach(A, "blue/second", "LEARN_REFUSED", before + 1)?;
        becomes(site, "10.0.0.60", Some(&first))?;
        ping(site.vm("fixed"), "10.0.0.60", 56)?;
        // Free again, it may be another's.
        site.vm("learned")
            .exec(&["ip", "link", "set", "eth0", "down"])?;
        becomes(site, "10.0.0.60", None)?;
        takes(site, "second", "10.0.0.63")?;
        let second = plan.find("second").mac_text();
        becomes(site, "10.0.0.63", Some(second))?;
        site.conserved()
    });
}

/// ARP in the name of a fixed address, asked and announced, moves nothing.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_spoof_moves_no_static_record() {
    let plan = plan();
    proof(Site::of("lespoof", &plan), |site| {
        let own = Mac(plan.find("learned").mac());
        let (fixed, server) = ([10, 0, 0, 6], [10, 0, 0, 9]);
        let mouth = PacketSocket::open(site.vm("learned"), "eth0")?;
        let before = site.dropped(A, "blue/learned", "LEARN_REFUSED")?;
        let nobody = Mac([0; 6]);
        for frame in [
            arp(1, Mac::BROADCAST, (own, fixed), (nobody, fixed)),
            arp(2, Mac::BROADCAST, (own, fixed), (own, fixed)),
            arp(1, Mac::BROADCAST, (own, server), (nobody, fixed)),
        ] {
            mouth.send(&frame)?;
        }
        site.drops_reach(A, "blue/learned", "LEARN_REFUSED", before + 3)?;
        for (ca, vm) in [(FIXED, "fixed"), (SERVER, "server")] {
            ensure!(
                record(site, A, ca)?
                    .is_none_or(|now| { now["spec"]["macAddress"] == plan.find(vm).mac_text() })
            );
        }
        ping(site.vm("server"), FIXED, 56)?;
        ping(site.vm("fixed"), SERVER, 56)?;
        site.conserved()
    });
}

/// Outside the subnet's prefixes there is nothing to be learned, and the gateway is no VM's.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn only_addresses_of_the_subnet_are_learned() {
    let plan = plan();
    proof(Site::of("leprefix", &plan), |site| {
        let own = Mac(plan.find("learned").mac());
        let mouth = PacketSocket::open(site.vm("learned"), "eth0")?;
        let before = site.dropped(A, "blue/learned", "LEARN_REFUSED")?;
        for ca in [[198, 51, 100, 7], [10, 0, 0, 1]] {
            let frame = arp(1, Mac::BROADCAST, (own, ca), (Mac([0; 6]), [10, 0, 0, 6]));
            mouth.send(&frame)?;
        }
        site.drops_reach(A, "blue/learned", "LEARN_REFUSED", before + 2)?;
        takes(site, "learned", "10.0.0.60")?;
        becomes(site, "10.0.0.60", Some(plan.find("learned").mac_text()))?;
        for ca in ["198.51.100.7", "10.0.0.1"] {
            ensure!(record(site, A, ca)?.is_none(), "{ca} was learned");
        }
        Ok(())
    });
}
