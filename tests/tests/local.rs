//! Ports of one host among themselves, and every kind of port.

use anyhow::{Result, ensure};
use dataplane_tests::{
    net::{
        PacketSocket, Site, cable, ping, proof, tcp, udp,
        watch::{good, good_comes_first},
    },
    packet::who_has,
};

const A: [u8; 4] = [10, 0, 0, 5];
const B: [u8; 4] = [10, 0, 0, 7];
const VMS: [&str; 4] = ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"];

/// All four VMs on `host-a`.
fn one_host(name: &str) -> Result<Site> {
    let mut site = Site::bare(name, &VMS)?;
    site.start(0, "tc")?;
    site.apply(0, &site.demo().replace("host: host-b", "host: host-a"))?;
    // Nobody is on host-b, so there is nobody to wait for either.
    site.ready()?;
    Ok(site)
}

/// The demo's policy with all ports in XDP mode.
fn xdp_ports(site: &Site) -> String {
    site.demo().replace("  attach:", "  mode: xdp\n  attach:")
}

/// The tenant completes its frames itself, as a packet generator does.
fn complete_frames(site: &Site) -> Result<()> {
    for vm in VMS {
        site.vm(vm).exec(&["ethtool", "-K", "eth0", "tx", "off"])?;
    }
    Ok(())
}

fn talks(site: &Site) -> Result<()> {
    for tenant in ["blue", "red"] {
        let near = site.vm(&format!("{tenant}-vm1"));
        let far = site.vm(&format!("{tenant}-vm2"));
        for (from, to, address) in [(near, far, "10.0.0.7"), (far, near, "10.0.0.5")] {
            ping(from, address, 1400)?;
            tcp(from, to, address, 1_000_000)?;
            udp(from, to, address, 1200)?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn neighbours_on_one_host_never_use_the_uplink() {
    proof(one_host("loctc"), |site| {
        let uplink = PacketSocket::open(site.host(0), "eth0")?;
        talks(site)?;
        let gre = |frame: &Vec<u8>| frame.get(12..14) == Some(&[8, 0]) && frame[23] == 47;
        let sent = uplink.drain()?.into_iter().find(gre);
        ensure!(sent.is_none(), "NVGRE on the uplink: {sent:x?}");
        for port in ["blue/blue-vm1", "red/red-vm2"] {
            for (counter, some) in [
                ("egress_delivered", true),
                ("local_received", true),
                ("egress_encapped", false),
            ] {
                let count = site.counter(0, port, counter)?;
                ensure!((count > 0) == some, "{count} {counter} of {port}");
            }
        }
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn xdp_ports_of_one_host_talk() {
    proof(one_host("locxdp"), |site| {
        let policy = xdp_ports(site).replace("host: host-b", "host: host-a");
        site.apply(0, &policy)?;
        site.ready()?;
        complete_frames(site)?;
        talks(site)?;
        ensure!(site.counter(0, "red/red-vm1", "local_received")? > 0);
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn xdp_ports_talk_to_another_host() {
    proof(Site::up("locxx", "xdp"), |site| {
        site.like_wires()?;
        for host in [0, 1] {
            site.apply(host, &xdp_ports(site))?;
        }
        site.ready()?;
        complete_frames(site)?;
        talks(site)?;
        site.conserved()
    });
}

fn attaches_by_interface(site: &mut Site, mode: &str) -> Result<()> {
    for host in [0, 1] {
        site.start(host, mode)?;
        site.apply(host, &site.demo_at("{interface: tap5}"))?;
    }
    let waits = site.becomes(0, "blue/blue-vm1", "Pending")?;
    ensure!(waits.contains("tap5"), "it does not say for what: {waits}");
    let vm = site.vm("blue-vm1");
    cable(site.host(0), "tap5", vm, "eth0")?;
    vm.exec(&["ip", "address", "add", "10.0.0.5/24", "dev", "eth0"])?;
    // Redirects into a veth need NAPI at its other end, which is the VM's business here.
    vm.exec(&["ethtool", "-K", "eth0", "gro", "on"])?;
    site.becomes(0, "blue/blue-vm1", "Ready")?;
    site.ready()?;
    site.like_wires()?;
    ping(vm, "10.0.0.7", 1400)?;
    tcp(vm, site.vm("blue-vm2"), "10.0.0.7", 1_000_000)?;
    // The other tenant's port on the same host is of the other kind.
    tcp(
        site.vm("red-vm2"),
        site.vm("red-vm1"),
        "10.0.0.5",
        1_000_000,
    )?;
    site.conserved()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_existing_interface_is_a_port_behind_a_tc_uplink() {
    proof(Site::bare("locift", &VMS), |site| {
        attaches_by_interface(site, "tc")
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_existing_interface_is_a_port_behind_an_xdp_uplink() {
    proof(Site::bare("locifx", &VMS), |site| {
        attaches_by_interface(site, "xdp")
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn both_ends_of_a_port_may_be_in_the_hosts_namespace() {
    proof(Site::bare("locsame", &VMS), |site| {
        cable(site.host(0), "tap5", site.host(0), "vm5")?;
        for host in [0, 1] {
            site.start(host, "tc")?;
            site.apply(host, &site.demo_at("{interface: tap5}"))?;
        }
        site.ready()?;
        let near = PacketSocket::open(site.host(0), "vm5")?;
        let far = PacketSocket::open(site.vm("blue-vm2"), "eth0")?;
        near.send(&who_has(A, B))?;
        near.find("the answer to ARP", |frame| {
            frame.get(12..14) == Some(&[8, 6]) && frame.get(20..22) == Some(&[0, 2])
        })?;
        near.send(&good(A, B))?;
        good_comes_first(&far)?;
        near.drain()?;
        far.send(&good(B, A))?;
        good_comes_first(&near)?;
        site.conserved()
    });
}
