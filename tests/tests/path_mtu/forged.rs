//! ICMP of the underlay that quotes nothing of ours.

use crate::{FAR, LINK, NEAR, VSID, path_mtu, plan};
use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{
    Frame, Link, PacketSocket, SOON, Site,
    fabric::{Family, link_to},
    hear::{mark, tell},
    outer::contains,
    path::large_ping,
    ping,
    plan::{A, B, C},
    proof,
};
use etherparse::{Icmpv4Type, Icmpv6Type, PacketBuilder, icmpv4::DestUnreachableHeader};
use std::net::IpAddr;
use xtask::lab::wait_until;

/// The MTU that the messages tell.
const TOLD: u16 = 1300;
/// Offsets in an outer packet, without its Ethernet header, by family.
const SOURCE: [usize; 2] = [12, 8];
const DESTINATION: [usize; 2] = [16, 24];
const GRE: [usize; 2] = [20, 40];

/// A packet of `host-a` to `host-b` as it is on the underlay, without its Ethernet header.
fn genuine(site: &Site, family: Family) -> Result<Vec<u8>> {
    let plan = plan(family, "tc", 1600);
    let (wire, mark) = (site.wire(A)?, mark());
    let mouth = PacketSocket::open(site.vm("near"), "eth0")?;
    mouth.send(&tell(plan.find("near"), plan.find("far"), &mark)?)?;
    let frame = wire.find("the packet", |frame| contains(frame, &mark))?;
    Ok(frame.get(14..).context("an Ethernet frame")?.to_vec())
}

/// "Too big" from the router to `host-a` about a packet.
fn too_big(site: &Site, family: Family, quoted: &[u8]) -> Result<Frame> {
    let router = Link::named(site.middle(), link_to(A))?.bytes()?;
    let host = Link::named(site.host(A), "eth0")?.bytes()?;
    let from: IpAddr = family.of(["192.0.2.62", "2001:db8:a::fe"]).parse()?;
    let to: IpAddr = family.pa(A).parse()?;
    let ethernet = PacketBuilder::ethernet2(router, host);
    let mut frame = Frame::new();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let told = DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: TOLD };
            let ip = ethernet.ipv4(from.octets(), to.octets(), 64);
            let icmp = ip.icmpv4(Icmpv4Type::DestinationUnreachable(told));
            icmp.write(&mut frame, quoted)?;
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let ip = ethernet.ipv6(from.octets(), to.octets(), 64);
            let icmp = ip.icmpv6(Icmpv6Type::PacketTooBig { mtu: TOLD.into() });
            icmp.write(&mut frame, quoted)?;
        }
        _ => anyhow::bail!("two families"),
    }
    Ok(frame)
}

/// The packet with other bytes in it.
fn with(packet: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[at..at + bytes.len()].copy_from_slice(bytes);
    packet
}

fn octets(pa: &str) -> Result<Vec<u8>> {
    Ok(match pa.parse()? {
        IpAddr::V4(pa) => pa.octets().to_vec(),
        IpAddr::V6(pa) => pa.octets().to_vec(),
    })
}

/// What somebody could make up about a packet of ours.
fn forgeries(family: Family, packet: &[u8]) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let (source, destination) = (family.of(SOURCE), family.of(DESTINATION));
    let gre = family.of(GRE);
    let unused = octets(family.of(["192.0.2.99", "2001:db8:b::99"]))?;
    Ok(vec![
        (
            "to a PA that is not in use",
            with(packet, destination, &unused),
        ),
        (
            "to a host without a VM",
            with(packet, destination, &octets(family.pa(C))?),
        ),
        ("from a PA that is not ours", with(packet, source, &unused)),
        (
            "of a VSID that is not here",
            with(packet, gre + 4, &[0, 0x27, 0x0F]),
        ),
        ("of a reserved VSID", with(packet, gre + 4, &[0, 0, 1])),
        ("GRE without a key", with(packet, gre, &[0, 0])),
        ("of another protocol", with(packet, gre + 2, &[8, 0])),
        ("cut before the key", packet[..gre + 4].to_vec()),
    ])
}

/// Whatever is made up changes nothing; the packet as it was sent lowers the path at once.
fn only_what_was_sent_counts(name: &str, family: Family, mode: &'static str) {
    proof(Site::of(name, &plan(family, mode, 1600)), |site| {
        let packet = genuine(site, family)?;
        ensure!(
            packet[family.of(GRE) + 4..family.of(GRE) + 7] == VSID.to_be_bytes()[1..],
            "no NVGRE: {packet:x?}"
        );
        let router = PacketSocket::open(site.middle(), link_to(A))?;
        for (what, forged) in forgeries(family, &packet)? {
            router.send(&too_big(site, family, &forged)?)?;
            // What comes behind it on the same wire is through, so it would have been heard.
            ping(site.vm("far"), NEAR[0], 56)?;
            let now = path_mtu(site, A, family.pa(B))?;
            ensure!(now == LINK as u64, "{what}: the path is {now} now");
        }
        let largest = LINK - family.overhead();
        let said = large_ping(site.vm("near"), FAR[0], largest)?;
        ensure!(said.contains(" 1 received"), "{said}");
        router.send(&too_big(site, family, &packet)?)?;
        wait_until("a path that is believed to be narrow", SOON, || {
            let now = path_mtu(site, A, family.pa(B))?;
            ensure!(now == u64::from(TOLD), "{now}");
            Ok(Some(()))
        })?;
        let said = large_ping(site.vm("near"), FAR[0], largest)?;
        let inner = usize::from(TOLD) - family.overhead();
        ensure!(said.contains(&format!("mtu = {inner}")), "{said}");
        // The way back is another's.
        ping(site.vm("far"), NEAR[0], 1200)?;
        let back = path_mtu(site, B, family.pa(A))?;
        ensure!(back == LINK as u64, "the way back is {back} now");
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn forged_icmp_changes_no_path_with_tc_uplinks() {
    only_what_was_sent_counts("pmforge4", Family::V4, "tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn forged_icmp_changes_no_path_with_xdp_uplinks() {
    only_what_was_sent_counts("pmforge4x", Family::V4, "xdp");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn forged_icmpv6_changes_no_path() {
    only_what_was_sent_counts("pmforge6", Family::V6, "tc");
}
