//! What an underlay's router says about tenants' packets: it is the tenant's gateway that says it.

use crate::{FAR, FAR_PA, GATEWAY, NEAR, plan};
use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{
    PacketSocket, SOON, Site, everywhere,
    fabric::{Family, set_way},
    inside,
    outer::fragments,
    path::{hops, large_ping, learns, path_mtu},
    plan::B,
    tcp,
};
use etherparse::{NetSlice, SlicedPacket};
use std::net::{IpAddr, UdpSocket};
use xtask::lab::wait_until;

/// What the hosts' links carry, and what one hop of the underlay does.
const LINK: usize = 1600;
const HOP: u16 = 1400;
/// Who sent a frame.
fn sender(frame: &[u8]) -> Option<IpAddr> {
    match SlicedPacket::from_ethernet(frame).ok()?.net? {
        NetSlice::Ipv4(ip) => Some(ip.header().source_addr().into()),
        NetSlice::Ipv6(ip) => Some(ip.header().source_addr().into()),
        NetSlice::Arp(_) => None,
    }
}

/// A tenant sees no address of the underlay.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn traceroute_shows_the_gateway_in_place_of_the_underlays_router() {
    everywhere("rwhop", plan, |site, family| {
        for (from, to) in [("near", FAR), ("far", NEAR)] {
            let ear = PacketSocket::open(site.vm(from), "eth0")?;
            let found = hops(site.vm(from), family.of(to))?;
            ensure!(found == [family.of(GATEWAY)], "{from}: {found:?}");
            let known = [NEAR, FAR, GATEWAY].map(|both| family.of(both).parse::<IpAddr>());
            for from in ear.drain()?.iter().filter_map(|frame| sender(frame)) {
                let link_local = matches!(from, IpAddr::V6(ip) if ip.is_unicast_link_local());
                let fine = known.contains(&Ok(from)) || link_local;
                ensure!(fine, "the VM heard of {from}");
            }
        }
        site.conserved()
    });
}

fn narrow(site: &Site, family: Family) -> Result<()> {
    set_way(site.middle(), family.of(FAR_PA), B, HOP)
}

/// The VM's own kernel learns the MTU, and what fits gets through.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_vm_learns_the_mtu_of_a_narrow_hop() {
    everywhere("rwmtu", plan, |site, family| {
        narrow(site, family)?;
        let (near, to) = (site.vm("near"), family.of(FAR));
        learns(near, to, LINK, HOP.into())?;
        let said = large_ping(near, to, usize::from(HOP) + 1)?;
        ensure!(said.contains("1400"), "{said}");
        // The way back carries all.
        let said = large_ping(site.vm("far"), family.of(NEAR), 1400)?;
        ensure!(said.contains(" 1 received"), "{said}");
        site.conserved()
    });
}

/// A stream that begins with packets too large for the path recovers by itself.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn tcp_recovers_from_a_narrow_hop() {
    everywhere("rwslow", plan, |site, family| {
        narrow(site, family)?;
        let (near, far) = (site.vm("near"), site.vm("far"));
        tcp(near, far, family.of(FAR), 1_000_000)?;
        let held = path_mtu(near, family.of(FAR))?;
        ensure!(held == Some(HOP.into()), "the path is {held:?}");
        tcp(far, near, family.of(NEAR), 1_000_000)?;
        site.conserved()
    });
}

/// Datagrams that are cut by their sender, and over IPv4 by the router again, are put together.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn datagrams_in_fragments_arrive() {
    const LEN: usize = 8 << 10;
    everywhere("rwcut", plan, |site, family| {
        narrow(site, family)?;
        let to: IpAddr = family.of(FAR).parse()?;
        let any = family.of(["0.0.0.0:0", "[::]:0"]);
        let receiver = inside(site.vm("far"), || Ok(UdpSocket::bind((to, 0))?))?;
        receiver.set_nonblocking(true)?;
        let sender = inside(site.vm("near"), || Ok(UdpSocket::bind(any)?))?;
        let sent: Vec<u8> = (0..LEN).map(|at| at.to_le_bytes()[0]).collect();
        let (mut came, wire) = (vec![0; LEN + 1], site.wire(B)?);
        wait_until("a datagram of 8 KB", SOON, || {
            // While the path is being learned, an error of an earlier one is told here.
            let _ = sender.send_to(&sent, receiver.local_addr()?);
            let len = receiver.recv(&mut came).context("nothing yet")?;
            ensure!(came[..len] == sent, "another datagram: {len} bytes");
            Ok(Some(()))
        })?;
        let cut = fragments(&wire.drain()?);
        let largest = cut.iter().map(|frame| frame.len() - 14).max();
        let largest = largest.context("nothing was cut")?;
        ensure!(largest <= HOP.into(), "a fragment of {largest} bytes");
        site.conserved()
    });
}
