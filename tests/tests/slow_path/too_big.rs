//! Packets with DF: their sender is told, as a router would.

use crate::{A, B, INNER, discover, narrow, punted};
use anyhow::{Context, Result, ensure};
use dataplane_common::wire::ether;
use dataplane_tests::net::{Frame, PacketSocket, SOON, inside, proof, tcp};
use etherparse::{
    Icmpv4Type, NetSlice, SlicedPacket, TransportSlice, icmpv4::DestUnreachableHeader,
};
use std::net::UdpSocket;
use xtask::lab::{Netns, output, wait_until};

const GATEWAY: [u8; 4] = [10, 0, 0, 1];
const PORT_A: &str = "blue/blue-vm1";

/// An ICMP error, from the gateway or anybody.
fn is_error(frame: &[u8]) -> bool {
    let ip = ether::LEN;
    frame.get(12..14) == Some(&[8, 0])
        && frame.get(ip + 9) == Some(&1)
        && frame.get(ip + 20) == Some(&3)
}

/// What the kernel of a VM holds the path to an address for.
fn path_mtu(vm: &Netns, to: &str) -> Result<Option<u16>> {
    let shown = vm.exec(&["ip", "route", "get", to])?.stdout;
    let mut words = shown
        .split_whitespace()
        .skip_while(|word| *word != "mtu")
        .skip(1);
    words.next().map(str::parse).transpose().context("an MTU")
}

/// Whether the answer is right, read by another's decoder; `asked` is the packet it is about.
fn is_right(answer: &Frame, asked: &[u8], gateway: [u8; 6]) -> Result<()> {
    let sliced = SlicedPacket::from_ethernet(answer)?;
    ensure!(
        answer[6..12] == gateway && answer[..6] == asked[6..12],
        "MACs of {answer:x?}"
    );
    let Some(NetSlice::Ipv4(ip)) = &sliced.net else {
        anyhow::bail!("no IPv4: {answer:x?}");
    };
    let header = ip.header().to_header();
    ensure!(
        header.source == GATEWAY && header.destination == [10, 0, 0, 5],
        "{header:?}"
    );
    ensure!(
        header.header_checksum == header.calc_header_checksum(),
        "{header:?}"
    );
    let Some(TransportSlice::Icmpv4(icmp)) = &sliced.transport else {
        anyhow::bail!("no ICMP: {answer:x?}");
    };
    let told = DestUnreachableHeader::FragmentationNeeded {
        next_hop_mtu: INNER,
    };
    ensure!(
        icmp.icmp_type() == Icmpv4Type::DestinationUnreachable(told),
        "{:?}",
        icmp.icmp_type()
    );
    let sum = icmp.icmp_type().calc_checksum(icmp.payload());
    ensure!(
        icmp.checksum() == sum,
        "checksum {} is not {sum}",
        icmp.checksum()
    );
    let packet = &asked[ether::LEN..];
    let quote = icmp.payload();
    ensure!(
        quote.len() >= 28 && packet.starts_with(quote),
        "not the packet: {quote:x?}"
    );
    Ok(())
}

/// The MAC that the VM hears when it asks for the gateway.
fn gateway_mac(vm: &Netns) -> Result<[u8; 6]> {
    let ask = ["sh", "-c", "ping -n -c 1 -W 0.1 10.0.0.1 || true"];
    vm.exec(&ask)?;
    let shown = vm.exec(&["ip", "neighbour", "show", "10.0.0.1"])?.stdout;
    let mut words = shown
        .split_whitespace()
        .skip_while(|word| *word != "lladdr")
        .skip(1);
    let mac = words
        .next()
        .with_context(|| format!("no gateway in {shown:?}"))?;
    let bytes: Result<Vec<u8>, _> = mac.split(':').map(|b| u8::from_str_radix(b, 16)).collect();
    bytes?.try_into().ok().context("six bytes")
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_sender_is_told_with_tc_uplinks() {
    told("sptold", "tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_sender_is_told_with_xdp_uplinks() {
    told("sptoldx", "xdp");
}

/// The sender hears of the path's MTU, and goes by it.
fn told(name: &str, mode: &str) {
    proof(narrow(name, mode), |site| {
        let (vm1, vm2) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        let gateway = gateway_mac(vm1)?;
        let wire = PacketSocket::open(vm1, "eth0")?;
        let mut ping = vm1.command("ping");
        ping.args(["-n", "-c", "1", "-W", "2", "-M", "do", "-s", "1472", B]);
        let said = output(&mut ping, SOON)?;
        ensure!(
            said.code() == 1,
            "exit code {}: {}",
            said.code(),
            said.stdout
        );
        ensure!(said.stdout.contains("mtu = 1300"), "{}", said.stdout);
        let frames = wire.drain()?;
        let asked = frames.iter().find(|frame| frame.len() == ether::LEN + 1500);
        let answer = frames.iter().find(|frame| is_error(frame));
        is_right(
            answer.context("no answer")?,
            asked.context("no request")?,
            gateway,
        )?;
        ensure!(path_mtu(vm1, B)? == Some(INNER), "{:?}", path_mtu(vm1, B)?);
        tcp(vm1, vm2, B, 3_000_000)?;
        tcp(vm2, vm1, A, 3_000_000)?;
        punted(site, PORT_A, 1)?;
        let exceeded = site.dropped(0, PORT_A, "MTU_EXCEEDED")?;
        ensure!(exceeded >= 1, "{:?}", site.drops(0)?);
        ensure!(site.drops(1)?.is_empty(), "{:?}", site.drops(1)?);
        site.conserved()
    });
}

/// TCP that knows nothing of the path yet: its super-packets are told, too.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn tcp_finds_the_path_mtu_by_itself() {
    proof(narrow("sptcp", "tc"), |site| {
        let (vm1, vm2) = (site.vm("red-vm1"), site.vm("red-vm2"));
        tcp(vm1, vm2, B, 5_000_000)?;
        ensure!(path_mtu(vm1, B)? == Some(INNER), "{:?}", path_mtu(vm1, B)?);
        site.conserved()
    });
}

/// A sender that does not listen is told now and then, and each packet is counted.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_flood_of_them_gets_few_answers() {
    // A veth's far end has a queue of `net.core.netdev_max_backlog` (1,000) packets.
    const SENT: u64 = 600;
    proof(narrow("spflood", "tc"), |site| {
        let vm1 = site.vm("blue-vm1");
        let wire = PacketSocket::open(vm1, "eth0")?;
        let socket = inside(vm1, || Ok(UdpSocket::bind("0.0.0.0:0")?))?;
        probe(&socket)?;
        for _ in 0..SENT {
            socket.send_to(&[7; 1400], (B, 9))?;
        }
        wait_until("all of them to be counted", SOON, || {
            let drops = site.drops(0)?;
            let sum: u64 = drops.values().sum();
            ensure!(sum == SENT, "{sum}: {drops:?}");
            Ok(Some(()))
        })?;
        let answers = wire.drain()?.iter().filter(|frame| is_error(frame)).count();
        ensure!(
            (1..200).contains(&answers),
            "{answers} answers to {SENT} packets"
        );
        site.conserved()
    });
}

/// DF on every packet, whatever was told of the path (`IP_PMTUDISC_PROBE`).
fn probe(socket: &UdpSocket) -> Result<()> {
    discover(socket, libc::IP_PMTUDISC_PROBE)
}
