//! Ping, TCP and UDP, and what they look like on the underlay.

use crate::{FAR, FAR_PA, NEAR, NEAR_PA, plan, plan_with, site, sums::octets};
use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{
    Frame, Link, SOON, Site,
    decode::checksums,
    fabric::{Family, link_to},
    inside,
    outer::{contains, nvgre},
    path::reply_ttl,
    ping,
    plan::{A, B},
    proof, tcp, udp,
};
use etherparse::{NetSlice, SlicedPacket};
use std::{
    io::ErrorKind,
    net::{IpAddr, UdpSocket},
};
use xtask::lab::Netns;

/// Datagrams: empty, one packet, fragments, many fragments.
const SIZES: [usize; 4] = [0, 1200, 9000, 60_000];
/// What the hosts' links carry, and so the VMs' do.
const LINK: u16 = 1600;
/// Where quoted headers end, too.
const HEADERS: usize = 14 + 40 + 8 + 40 + 20;

/// Everything in both directions; then the books balance.
fn carries_everything(site: &Site, family: Family) -> Result<()> {
    let (near, far) = (site.vm("near"), site.vm("far"));
    let largest = LINK - family.of([28, 48]);
    for (from, to, address) in [(near, far, FAR), (far, near, NEAR)] {
        let address = family.of(address);
        for size in [56, 1200, largest] {
            ping(from, address, size)?;
        }
        tcp(from, to, address, 3_000_000)?;
        for size in SIZES {
            udp(from, to, address, size)?;
        }
        // The underlay's router takes one off; nothing of ours does.
        ensure!(reply_ttl(from, address)? == 63, "the TTL was changed");
    }
    let rewritten = site.counter(A, "blue/near", "egress_rewritten")?;
    ensure!(rewritten > 10, "{rewritten} packets were rewritten");
    site.conserved()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn everything_passes_with_tc_uplinks() {
    for (name, family) in [("rwtc4", Family::V4), ("rwtc6", Family::V6)] {
        proof(site(name, family, "tc"), |site| {
            carries_everything(site, family)
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn everything_passes_with_xdp_uplinks() {
    for (name, family) in [("rwxdp4", Family::V4), ("rwxdp6", Family::V6)] {
        proof(site(name, family, "xdp"), |site| {
            carries_everything(site, family)
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn everything_passes_with_xdp_ports_and_uplinks() {
    for (name, family) in [("rwxx4", Family::V4), ("rwxx6", Family::V6)] {
        let plan = plan_with(family, "xdp", "mode: xdp");
        proof(Site::of(name, &plan), |site| {
            // Such a port takes frames as a NIC gets them.
            for vm in ["near", "far"] {
                site.vm(vm).exec(&["ethtool", "-K", "eth0", "tx", "off"])?;
            }
            carries_everything(site, family)
        });
    }
}

/// Source and destination of an IP packet.
fn ends(frame: &[u8]) -> Result<Option<[IpAddr; 2]>> {
    let sliced = SlicedPacket::from_ethernet(frame)?;
    Ok(match sliced.net {
        Some(NetSlice::Ipv4(ip)) => {
            let ip = ip.header();
            Some([ip.source_addr().into(), ip.destination_addr().into()])
        }
        Some(NetSlice::Ipv6(ip)) => {
            let ip = ip.header();
            Some([ip.source_addr().into(), ip.destination_addr().into()])
        }
        Some(NetSlice::Arp(_)) | None => None,
    })
}

/// The underlay's own: routers, hosts, and what they ask their link.
fn is_the_underlays(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_multicast() || ip.is_unicast_link_local() || ip.is_unspecified(),
    }
}

/// Only PAs are in the headers, no CA is anywhere in those or in quotes, nothing is encapsulated.
fn bears_only_pas(frames: &[Frame], family: Family) -> Result<usize> {
    let gateways = family.of([
        ["192.0.2.62", "192.0.2.126"],
        ["2001:db8:a::fe", "2001:db8:b::fe"],
    ]);
    let pas = [family.of(NEAR_PA), family.of(FAR_PA)];
    let hosts = [family.pa(A), family.pa(B)];
    let known = [pas, hosts, gateways].concat();
    let known: Vec<IpAddr> = known
        .iter()
        .map(|ip| ip.parse())
        .collect::<Result<_, _>>()?;
    let cas = [NEAR, FAR].map(|both| family.of(both).parse().map(octets));
    let cas = cas.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut ours = 0;
    for frame in frames {
        let own = frame.get(..HEADERS).unwrap_or(frame);
        for ca in &cas {
            ensure!(!contains(own, ca), "a CA is in {frame:02x?}");
        }
        let Some(ends) = ends(frame)? else {
            continue;
        };
        let fine = |end: &IpAddr| known.contains(end) || is_the_underlays(*end);
        ensure!(ends.iter().all(fine), "between {ends:?}: {frame:02x?}");
        ours += usize::from(ends.iter().all(|end| known[..2].contains(end)));
    }
    ensure!(nvgre(frames).is_empty(), "something is encapsulated");
    Ok(ours)
}

/// Nobody listens: an ICMP error comes back, and it quotes what was sent, or the kernel would not know
/// whose it is.
fn refused(from: &Netns, to: &str) -> Result<()> {
    let to: IpAddr = to.parse()?;
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = inside(from, || Ok(UdpSocket::bind(any)?))?;
    socket.set_read_timeout(Some(SOON))?;
    socket.connect((to, 9))?;
    socket.send(b"anybody?")?;
    let said = socket.recv(&mut [0; 8]).map_err(|error| error.kind());
    ensure!(said == Err(ErrorKind::ConnectionRefused), "{said:?}");
    Ok(())
}

/// Talks in every way while the wire is listened to; what is on it as a cable would carry it.
fn shows_only_pas(site: &Site, family: Family) -> Result<()> {
    site.like_wires()?;
    let (near, far, to) = (site.vm("near"), site.vm("far"), family.of(FAR));
    let wires = [site.wire(A)?, site.wire(B)?];
    for state in ["on", "off"] {
        for vm in [near, far] {
            vm.exec(&["ethtool", "-K", "eth0", "tx", state])?;
        }
        ping(near, to, 1200)?;
        tcp(near, far, to, 200_000)?;
        for bytes in SIZES {
            udp(near, far, to, bytes)?;
        }
        refused(near, to)?;
    }
    for (wire, name) in wires.iter().zip(["a", "b"]) {
        let frames = wire.drain()?;
        let ours = bears_only_pas(&frames, family)?;
        ensure!(ours > 100, "only {ours} packets of ours");
        let right = checksums(site, name, &frames)?;
        for layer in family.of([["ip", "tcp", "udp"], ["icmpv6", "tcp", "udp"]]) {
            let count = right.get(layer).copied().unwrap_or_default();
            ensure!(count > 3, "{count} of {layer} in {right:?}");
        }
    }
    site.conserved()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_underlay_sees_pas_alone_and_right_checksums() {
    for (name, family, mode) in [
        ("rwpa4", Family::V4, "tc"),
        ("rwpa6", Family::V6, "tc"),
        ("rwpa4x", Family::V4, "xdp"),
        ("rwpa6x", Family::V6, "xdp"),
    ] {
        proof(site(name, family, mode), |site| {
            shows_only_pas(site, family)
        });
    }
}

/// MACs of frames that bear a PA as their source.
fn stations(site: &Site, family: Family) -> Result<Vec<[u8; 6]>> {
    let wire = site.wire(A)?;
    ping(site.vm("near"), family.of(FAR), 56)?;
    let pa: IpAddr = family.of(NEAR_PA).parse()?;
    let mut macs = Vec::new();
    for frame in wire.drain()? {
        if ends(&frame)?.is_some_and(|[from, _]| from == pa) {
            macs.push(frame[6..12].try_into().context("a MAC")?);
        }
    }
    ensure!(macs.len() >= 3, "only {} packets", macs.len());
    Ok(macs)
}

/// The router knows the PA by the VM's MAC where the port says so, else by the host's.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_source_mac_is_the_hosts_or_the_vms_as_the_port_says() {
    for (name, family, more) in [
        ("rwmac4", Family::V4, ""),
        ("rwmac6", Family::V6, ""),
        ("rwmac4v", Family::V4, "useVmMACAddress: true"),
        ("rwmac6v", Family::V6, "useVmMACAddress: true"),
    ] {
        proof(Site::of(name, &plan_with(family, "tc", more)), |site| {
            let host = Link::named(site.host(A), "eth0")?.bytes()?;
            let vm = plan(family, "tc").find("near").mac();
            let wanted = if more.is_empty() { host } else { vm };
            let macs = stations(site, family)?;
            ensure!(macs.iter().all(|mac| *mac == wanted), "{macs:x?}");
            let pa = family.of(NEAR_PA);
            let known = ["ip", "neighbour", "show", pa, "dev", link_to(A)];
            let shown = site.middle().exec(&known)?.stdout;
            let text = wanted.map(|byte| format!("{byte:02x}")).join(":");
            ensure!(shown.contains(&text), "the router knows {shown:?}");
            site.conserved()
        });
    }
}
