//! Four kinds of port on one NIC, and the host's own traffic beside them.

mod restart;
mod tags;

use anyhow::{Result, ensure};
use dataplane_tests::net::{
    PacketSocket, Site,
    documents::subnet,
    fabric::{Family, Middle, sysctl},
    hear::{mark, tell},
    outer::contains,
    path::{answers, becomes},
    ping,
    plan::{A, B, Plan, Vm},
    proof, tcp, udp,
};
use dataplane_user::{policy::PortKey, ports::names};
use tags::exchange;
use xtask::lab::{Netns, run};

const VSID: u32 = 6001;
/// VLANs of the underlay.
const OFFICE: u16 = 100;
const LAB: u16 = 200;

/// On each of two hosts one VM of each kind; a bridge between the hosts.
fn plan(mode: &'static str) -> Plan {
    let blue = subnet(VSID, &["10.0.0.0/24"], "");
    let mut plan = Plan::new()
        .over(Family::V4, mode)
        .through(Middle::Bridge)
        .network("blue", 0xB1, "", &[blue])
        .flat_network("office", "isolation: VLAN\nvlan: {id: 100}")
        .flat_network(
            "lab",
            "isolation: VLAN\nvlan: {id: 200, allowUntagged: false}",
        )
        .flat_network("bare", "isolation: NoIsolation")
        .flat_network("outside", "isolation: External\nexternalInterface: ext0");
    for (host, side) in [(A, "a"), (B, "b")] {
        let name = |kind: &str| format!("{kind}-{side}");
        let own = if host == A { "10.0.0.5" } else { "10.0.0.7" };
        plan = plan.vm((&name("blue"), "blue"), host, VSID, &[own]);
        for kind in ["office", "lab", "bare"] {
            plan = plan.vm_with((&name(kind), kind), host, None, &[], "");
        }
    }
    plan = plan.vm_with(("outside-a", "outside"), A, None, &[], "");
    plan.hosts = 2;
    plan
}

/// The address of a VM that is not virtualized, in a network of its kind; also that of `outside`.
fn address(vm: &str) -> &'static str {
    match vm {
        "office-a" => "198.51.100.5",
        "office-b" => "198.51.100.7",
        // In the network of the hosts themselves.
        "bare-a" => "192.0.2.15",
        "bare-b" => "192.0.2.17",
        "outside-a" => "198.18.0.5",
        _ => "198.18.0.9",
    }
}

/// Gives an interface that address.
fn give(netns: &Netns, device: &str, address: &str) -> Result<()> {
    let full = format!("{address}/24");
    netns.exec(&["ip", "address", "add", &full, "dev", device])?;
    Ok(())
}

/// Makes the interface `ext0` of a host, and the other end of its link. That has the same MAC each
/// time, for neighbours remember it for a while.
fn join(host: &Netns, outside: &Netns) -> Result<()> {
    let mut add = host.command("ip");
    add.args([
        "link", "add", "ext0", "type", "veth", "peer", "name", "eth0",
    ]);
    add.args(["address", "02:00:00:00:09:09"]);
    run(add.args(["netns", outside.name()]))?;
    host.exec(&["ip", "link", "set", "ext0", "up"])?;
    outside.exec(&["ip", "link", "set", "eth0", "up"])?;
    give(outside, "eth0", address("outside"))
}

/// The whole site, and the namespace that `host-a` reaches by its interface `ext0`.
fn site(name: &str, mode: &'static str) -> (Result<Site>, Option<Netns>) {
    let plan = plan(mode);
    let built = Site::laid_out(name, &plan).and_then(|mut site| {
        let outside = Netns::fresh(&site.named("outside"))?.without_ipv6()?;
        join(site.host(A), &outside)?;
        site.begin(&plan)?;
        site.ready()?;
        let flat = plan.vms().iter().filter(|vm| vm.vsid.is_none());
        for vm in flat {
            site.becomes(vm.host, &vm.port(), "Ready")?;
            prepare(&site, vm)?;
        }
        Ok((site, outside))
    });
    match built {
        Ok((site, outside)) => (Ok(site), Some(outside)),
        Err(error) => (Err(error), None),
    }
}

/// What a VM's kind needs beside its port.
fn prepare(site: &Site, vm: &Vm) -> Result<()> {
    if vm.network == "lab" {
        // Its frames are made by hand: kernels without VLAN devices run these tests, too.
        return Ok(());
    }
    if vm.network == "bare" {
        // The host is its router, and answers for it on the underlay.
        let (host, name) = (site.host(vm.host), ["host-a", "host-b"][vm.host]);
        let device = names::device(name, &PortKey::new(&*vm.network, &*vm.name));
        sysctl(host, "net/ipv4/ip_forward", "1")?;
        for device in [&*device, "eth0"] {
            sysctl(host, &format!("net/ipv4/conf/{device}/proxy_arp"), "1")?;
        }
        let own = format!("{}/32", address(&vm.name));
        host.exec(&["ip", "route", "add", &own, "dev", &device])?;
    }
    give(site.vm(&vm.name), "eth0", address(&vm.name))
}

fn talk(from: &Netns, to: &Netns, address: &str) -> Result<()> {
    becomes(from, address, true)?;
    ping(from, address, 1400)?;
    tcp(from, to, address, 1_000_000)?;
    udp(from, to, address, 1200)
}

/// Every kind talks to its own kind on the other host, and so do the hosts.
fn everybody_talks(name: &str, mode: &'static str) {
    let (site, outside) = site(name, mode);
    proof(site, |site| {
        talk(site.vm("blue-a"), site.vm("blue-b"), "10.0.0.7")?;
        for kind in ["office", "bare"] {
            let [near, far] = ["a", "b"].map(|side| format!("{kind}-{side}"));
            talk(site.vm(&near), site.vm(&far), address(&far))?;
            talk(site.vm(&far), site.vm(&near), address(&near))?;
        }
        exchange(site, "lab-a", "lab-b")?;
        exchange(site, "lab-b", "lab-a")?;
        let outside = outside.as_ref().expect("it was made with the site");
        talk(site.vm("outside-a"), outside, address("outside"))?;
        talk(outside, site.vm("outside-a"), address("outside-a"))?;
        talk(site.host(A), site.host(B), Family::V4.pa(B))?;
        talk(site.host(B), site.host(A), Family::V4.pa(A))?;
        // A VM without isolation is in the hosts' own network.
        talk(site.vm("bare-a"), site.host(B), Family::V4.pa(B))?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_isolation_mode_shares_a_nic_with_tc_uplinks() {
    everybody_talks("imtc", "tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_isolation_mode_shares_a_nic_with_xdp_uplinks() {
    everybody_talks("imxdp", "xdp");
}

fn own_mac(vm: &str) -> [u8; 6] {
    plan("tc").find(vm).mac()
}

/// Networks that are told apart stay apart, whatever addresses they have.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn networks_of_different_isolation_never_meet() {
    let (site, _outside) = site("imapart", "tc");
    proof(site, |site| {
        // All claim addresses of one network now.
        for (number, vm) in ["office-a", "lab-b", "bare-b", "outside-a"]
            .iter()
            .enumerate()
        {
            give(site.vm(vm), "eth0", &format!("198.18.99.{}", number + 1))?;
        }
        for (from, to) in [(1, 2), (1, 3), (1, 4), (2, 1), (4, 1), (4, 3)] {
            let vm = ["office-a", "lab-b", "bare-b", "outside-a"][from - 1];
            let to = format!("198.18.99.{to}");
            ensure!(!answers(site.vm(vm), &to)?, "{vm} reaches {to}");
        }
        // Nor does a VM of a VLAN get NVGRE that is for another's port.
        let plan = plan("tc");
        let mark = mark();
        let frame = tell(plan.find("blue-a"), plan.find("blue-b"), &mark)?;
        let ears =
            ["office-b", "lab-b", "bare-b"].map(|vm| PacketSocket::open(site.vm(vm), "eth0"));
        let far = PacketSocket::open(site.vm("blue-b"), "eth0")?;
        PacketSocket::open(site.vm("blue-a"), "eth0")?.send(&frame)?;
        far.find("the datagram", |frame| contains(frame, &mark))?;
        for ear in ears {
            let came = ear?
                .drain()?
                .into_iter()
                .find(|frame| contains(frame, &mark));
            ensure!(came.is_none(), "it came to another: {came:x?}");
        }
        site.conserved()
    });
}

/// The interface that frames are handed to goes and comes back.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_external_interface_may_come_later() {
    let (site, outside) = site("imlater", "tc");
    proof(site, |site| {
        let outside = outside.as_ref().expect("it was made with the site");
        let (vm, far) = (site.vm("outside-a"), address("outside"));
        becomes(vm, far, true)?;
        site.host(A).exec(&["ip", "link", "delete", "ext0"])?;
        becomes(vm, far, false)?;
        join(site.host(A), outside)?;
        becomes(vm, far, true)?;
        // The others have not noticed.
        ping(site.vm("blue-a"), "10.0.0.7", 56)?;
        site.conserved()
    });
}
