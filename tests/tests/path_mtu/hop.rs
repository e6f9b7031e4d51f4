//! A hop of 1400 bytes between the hosts.

use crate::{FAR, GATEWAY, HOP, LINK, NEAR, path_mtu, plan};
use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{
    Frame, PacketSocket, SOON, Site, everywhere,
    fabric::Family,
    inside,
    outer::{fragments, nvgre},
    path::{learns, neighbour_mac},
    plan::{A, B, Plan},
    tcp,
};
use etherparse::{
    Icmpv4Type, Icmpv6Type, NetSlice, SlicedPacket, TransportSlice, icmpv4::DestUnreachableHeader,
};
use std::{
    net::{IpAddr, UdpSocket},
    os::fd::AsRawFd,
};
use xtask::lab::wait_until;

fn narrow(family: Family, mode: &'static str) -> Plan {
    plan(family, mode, HOP)
}

/// The largest packet of a VM that gets through.
fn inner_mtu(family: Family) -> usize {
    usize::from(HOP) - family.overhead()
}

/// The MTU that an ICMP error tells, who tells it, and by which MAC.
fn told(frame: &[u8]) -> Option<(usize, IpAddr, [u8; 6])> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let transport = sliced.transport?;
    let mtu = if let TransportSlice::Icmpv4(icmp) = &transport
        && let Icmpv4Type::DestinationUnreachable(why) = icmp.icmp_type()
        && let DestUnreachableHeader::FragmentationNeeded { next_hop_mtu } = why
    {
        next_hop_mtu.into()
    } else if let TransportSlice::Icmpv6(icmp) = &transport
        && let Icmpv6Type::PacketTooBig { mtu } = icmp.icmp_type()
    {
        usize::try_from(mtu).ok()?
    } else {
        return None;
    };
    let from = match sliced.net? {
        NetSlice::Ipv4(ip) => ip.header().source_addr().into(),
        NetSlice::Ipv6(ip) => ip.header().source_addr().into(),
        NetSlice::Arp(_) => return None,
    };
    Some((mtu, from, frame.get(6..12)?.try_into().ok()?))
}

/// A large ping is told of the hop's MTU by the gateway, and one of that size gets through.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_large_ping_is_told_of_a_narrow_hop_by_the_gateway() {
    everywhere("pmping", narrow, |site, family| {
        let near = site.vm("near");
        for inner in Family::ALL {
            let (to, gateway) = (inner.of(FAR), inner.of(GATEWAY));
            let mac = neighbour_mac(near, gateway)?;
            let wire = PacketSocket::open(near, "eth0")?;
            learns(near, to, LINK - family.overhead(), inner_mtu(family))?;
            let frames = wire.drain()?;
            let answer = frames.iter().find_map(|frame| told(frame));
            let (mtu, from, by) = answer.context("nobody told the VM")?;
            ensure!(mtu == inner_mtu(family), "{mtu} was told");
            ensure!(from == gateway.parse::<IpAddr>()?, "{from} told it");
            let by: Vec<String> = by.iter().map(|byte| format!("{byte:02x}")).collect();
            ensure!(by.join(":") == mac, "{by:?} is not {mac}");
        }
        ensure!(path_mtu(site, A, family.pa(B))? == u64::from(HOP));
        site.conserved()
    });
}

/// A stream that begins with packets too large for the path recovers by itself.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn tcp_recovers_from_a_narrow_hop() {
    everywhere("pmtcp", narrow, |site, family| {
        let (near, far) = (site.vm("near"), site.vm("far"));
        let wire = site.wire(B)?;
        for inner in Family::ALL {
            tcp(near, far, inner.of(FAR), 3_000_000)?;
            tcp(far, near, inner.of(NEAR), 1_000_000)?;
        }
        ensure!(fragments(&wire.drain()?).is_empty(), "outer fragments");
        ensure!(path_mtu(site, A, family.pa(B))? == u64::from(HOP));
        site.conserved()
    });
}

/// Has the sender's kernel cut datagrams by its own interface, and set no DF.
fn may_be_cut(socket: &UdpSocket) -> Result<()> {
    let value = libc::IP_PMTUDISC_DONT;
    let len = libc::socklen_t::try_from(size_of_val(&value))?;
    // SAFETY: the value lives through the call and `len` is its size.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            (&raw const value).cast(),
            len,
        )
    };
    ensure!(done == 0, std::io::Error::last_os_error());
    Ok(())
}

/// Sends datagrams of so many bytes until one arrives; the first ones teach the path.
fn arrives(site: &Site, bytes: usize) -> Result<()> {
    let receiver = inside(site.vm("far"), || Ok(UdpSocket::bind((FAR[0], 0))?))?;
    receiver.set_nonblocking(true)?;
    let sender = inside(site.vm("near"), || Ok(UdpSocket::bind("0.0.0.0:0")?))?;
    may_be_cut(&sender)?;
    let sent: Vec<u8> = (0..bytes).map(|at| at.to_le_bytes()[0]).collect();
    let mut came = vec![0; bytes + 1];
    wait_until(&format!("a datagram of {bytes} bytes"), SOON, || {
        sender.send_to(&sent, receiver.local_addr()?)?;
        let len = receiver.recv(&mut came)?;
        ensure!(came[..len] == sent, "another datagram: {len} bytes");
        Ok(Some(()))
    })
}

/// Whether a frame has an IPv4 fragment in it.
fn is_inner_fragment(inner: &Frame) -> bool {
    let flags = inner
        .get(20..22)
        .map(|word| u16::from_be_bytes([word[0], word[1]]));
    inner.get(12..14) == Some(&[8, 0]) && flags.is_some_and(|word| word & 0x3FFF != 0)
}

/// Without DF a packet is cut before it is encapsulated, and no outer packet is a fragment.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn datagrams_without_df_are_cut_inside() {
    everywhere("pmcut", narrow, |site, family| {
        for bytes in [1450, 9000] {
            arrives(site, bytes)?;
            let wire = site.wire(B)?;
            arrives(site, bytes)?;
            let frames = wire.drain()?;
            ensure!(fragments(&frames).is_empty(), "outer fragments");
            let pa: IpAddr = family.pa(A).parse()?;
            let packets = nvgre(&frames)
                .into_iter()
                .filter(|packet| packet.from == pa);
            let packets: Vec<_> = packets.collect();
            let largest = packets.iter().map(|packet| packet.inner.len() - 14);
            let largest = largest.max().context("no packets")?;
            ensure!(largest <= inner_mtu(family), "{largest} bytes inside");
            let cut = packets
                .iter()
                .filter(|packet| is_inner_fragment(&packet.inner));
            ensure!(cut.count() >= 2, "nothing was cut");
        }
        site.conserved()
    });
}
