//! The host's own traffic on the uplink is untouched: SSH, other tunnels, VLANs, IPv6.

use anyhow::{Context, Result, ensure};
use dataplane_common::id::Mac;
use dataplane_tests::{
    net::{Link, PacketSocket, SOON, Site, ping, proof, tcp},
    packet::{arp, eth, tagged},
};
use etherparse::{IpNumber, Ipv4Header};
use std::{fs, process::Command};
use xtask::lab::{Netns, Proc, TempDir, output, run, wait_until};

const A: [u8; 4] = [192, 0, 2, 1];
const PEER: [u8; 4] = [192, 0, 2, 2];
const B: &str = "10.0.0.7";

/// A real SSH server on `host-a` that lets one key in; nothing of this machine is changed.
fn sshd(site: &Site, dir: &TempDir) -> Result<Proc> {
    let home = dir.path().join("home");
    fs::create_dir_all(home.join(".ssh"))?;
    let key = |name: &str| dir.path().join(name);
    for name in ["server", "client"] {
        run(Command::new("dropbearkey")
            .args(["-t", "ed25519", "-f"])
            .arg(key(name)))?;
    }
    let public = run(Command::new("dropbearkey")
        .arg("-y")
        .arg("-f")
        .arg(key("client")))?
    .stdout;
    let line = public.lines().find(|line| line.starts_with("ssh-"));
    fs::write(
        home.join(".ssh/authorized_keys"),
        line.context("no public key")?,
    )?;
    // In a mount namespace of its own, root's home is ours.
    let script = format!(
        "mount --bind {} /root && exec dropbear -F -E -s -m -P '' -r {} -p 192.0.2.1:22",
        home.display(),
        key("server").display()
    );
    let server = site
        .host(0)
        .spawn(&["unshare", "--mount", "sh", "-c", &script])?;
    site.host(0).wait_for_port(22)?;
    Ok(server)
}

/// Logs in from `host-b` and fetches a megabyte.
fn ssh(site: &Site, dir: &TempDir) -> Result<()> {
    let mut client = site.host(1).command("dbclient");
    client
        .env("HOME", dir.path())
        .args(["-y", "-y", "-T", "-i"]);
    client.arg(dir.path().join("client"));
    client.args(["root@192.0.2.1", "head -c 1000000 /dev/zero"]);
    let said = output(&mut client, SOON)?.success()?;
    ensure!(
        said.stdout.len() == 1_000_000,
        "{} bytes came",
        said.stdout.len()
    );
    Ok(())
}

/// A VXLAN tunnel between the hosts, beside NVGRE.
fn vxlan(site: &Site) -> Result<()> {
    for (host, local, remote) in [(0, "192.0.2.1", "192.0.2.2"), (1, "192.0.2.2", "192.0.2.1")] {
        let netns = site.host(host);
        netns.exec(&[
            "ip", "link", "add", "vx0", "mtu", "1400", "type", "vxlan", "id", "42", "dstport",
            "4789", "local", local, "remote", remote, "dev", "eth0",
        ])?;
        netns.exec(&[
            "ip",
            "address",
            "add",
            &format!("172.16.0.{}/24", host + 1),
            "dev",
            "vx0",
        ])?;
        netns.exec(&["ip", "link", "set", "vx0", "up"])?;
    }
    ping(site.host(0), "172.16.0.2", 1000)?;
    tcp(site.host(0), site.host(1), "172.16.0.2", 2_000_000)
}

/// IPv6 of the hosts: neighbour discovery, ping and TCP.
fn ipv6(site: &Site) -> Result<()> {
    for host in [0, 1] {
        let netns = site.host(host);
        netns.exec(&[
            "sh",
            "-c",
            "echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6",
        ])?;
        let address = format!("2001:db8::{}/64", host + 1);
        netns.exec(&["ip", "address", "add", &address, "dev", "eth0", "nodad"])?;
    }
    ping(site.host(0), "2001:db8::2", 1000)?;
    tcp(site.host(0), site.host(1), "2001:db8::2", 2_000_000)?;
    tcp(site.host(1), site.host(0), "2001:db8::1", 2_000_000)
}

fn mac(netns: &Netns) -> Result<Mac> {
    Ok(Mac(Link::named(netns, "eth0")?.bytes()?))
}

/// An IPv4 packet of another protocol to the PA.
fn carrier(link: &[u8], protocol: u8, payload: &[u8]) -> Result<Vec<u8>> {
    let len = u16::try_from(payload.len())?;
    let mut ip = Ipv4Header::new(len, 64, IpNumber(protocol), PEER, A)?;
    ip.header_checksum = ip.calc_header_checksum();
    let mut frame = link.to_vec();
    ip.write(&mut frame)?;
    frame.extend(payload);
    Ok(frame)
}

/// Frames that are not ours, and the `EtherType` under which the host's stack gets them.
fn foreign(site: &Site) -> Result<Vec<(&'static str, Vec<u8>, u16)>> {
    let (to, from) = (mac(site.host(0))?, mac(site.host(1))?);
    let ip = |protocol, payload: &[u8]| carrier(&eth(to, from, 0x0800), protocol, payload);
    let experimental = [eth(to, from, 0x88b5), vec![0xA5; 60]].concat();
    let gre = |protocol: [u8; 2]| [&[0, 0][..], &protocol, &[0x45; 60]].concat();
    let inside = ip(4, &[0x45; 60])?;
    Ok(vec![
        ("GRE that carries IPv4", ip(47, &gre([8, 0]))?, 0x0800),
        ("IP in IP", inside.clone(), 0x0800),
        ("ESP", ip(50, &[7; 60])?, 0x0800),
        ("a VLAN", tagged(&experimental, &[[0x81, 0, 0, 7]]), 0x88b5),
        (
            "IPv4 in a VLAN",
            tagged(&inside, &[[0x81, 0, 0, 7]]),
            0x0800,
        ),
        (
            "LLDP",
            [eth(to, from, 0x88cc), vec![1; 60]].concat(),
            0x88cc,
        ),
        (
            "ARP",
            arp(1, Mac::BROADCAST, (from, PEER), (Mac([0; 6]), A)),
            0x0806,
        ),
        ("an unknown EtherType", experimental, 0x88b5),
    ])
}

fn frames(site: &Site) -> Result<()> {
    let sender = PacketSocket::open(site.host(1), "eth0")?;
    for (what, frame, ethertype) in foreign(site)? {
        let stack = PacketSocket::open_for(site.host(0), "eth0", ethertype)?;
        sender.send(&frame)?;
        // The kernel has taken the outermost tag away before any protocol sees the frame.
        let bare = match frame[12..14] {
            [0x81, 0x00] => [&frame[..12], &frame[16..]].concat(),
            _ => frame,
        };
        stack
            .find(what, |came| came == bare)
            .with_context(|| format!("{what} did not come to the stack as it was sent"))?;
    }
    Ok(())
}

fn untouched(mode: &str, hook: &str) {
    let site = Site::forced("hosttr", mode, &format!("--tc-hook={hook}"));
    proof(site, |site| {
        site.like_wires()?;
        let dir = TempDir::new("ssh")?;
        let server = sshd(site, &dir)?;
        let busy = || tcp(site.vm("blue-vm1"), site.vm("blue-vm2"), B, 20_000_000);
        std::thread::scope(|scope| {
            let overlay = scope.spawn(busy);
            ssh(site, &dir).with_context(|| server.stderr())?;
            vxlan(site).context("VXLAN")?;
            ipv6(site).context("IPv6")?;
            frames(site)?;
            overlay.join().expect("no panic")
        })?;
        let drops = site.drops(0)?;
        ensure!(
            !drops.keys().any(|drop| drop.starts_with("uplink")),
            "{drops:?}"
        );
        wait_until("a law that holds", SOON, || site.conserved().map(Some))
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn everything_of_the_host_passes_a_tc_uplink() {
    untouched("tc", "tcx");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn everything_of_the_host_passes_a_clsact_uplink() {
    untouched("tc", "clsact");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn everything_of_the_host_passes_an_xdp_uplink() {
    untouched("xdp", "tcx");
}
