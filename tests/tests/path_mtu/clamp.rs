//! The MSS option of connections of a port that asks for it.

use crate::{FAR, NEAR, VSID};
use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{
    Frame, PacketSocket, Site,
    documents::subnet,
    fabric::Family,
    plan::{A, B, Plan, Vm},
    proof, tcp,
};
use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TcpOptionElement, TransportSlice};
use std::net::IpAddr;

/// What the senders ask for.
const ASKED: u16 = 1460;
/// The MTU of the subnet's ports.
const MTU: u16 = 1300;
/// Ports of the connections: each SYN has its own.
const SERVER: u16 = 80;

/// Two VMs; the first one's port clamps as told, the second one's does not.
fn plan(clamp: &str) -> Plan {
    let prefixes = ["10.0.0.0/24", "fd00:6001::/64"];
    let mut plan = Plan::new()
        .network(
            "blue",
            0xB1,
            "",
            &[subnet(VSID, &prefixes, &format!("mtu: {MTU}"))],
        )
        .vm_with(("near", "blue"), A, Some(VSID), &NEAR, clamp)
        .vm(("far", "blue"), B, VSID, &FAR);
    plan.hosts = 2;
    plan
}

/// The first packet of a connection of a VM to another.
fn syn(from: &Vm, to: &Vm, family: Family, port: u16, ack: bool) -> Result<Frame> {
    let index = family.of([0, 1]);
    let (source, destination) = (from.cas[index].parse()?, to.cas[index].parse()?);
    let ethernet = PacketBuilder::ethernet2(from.mac(), to.mac());
    let ip = match (source, destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
        _ => anyhow::bail!("two families"),
    };
    let options = [
        TcpOptionElement::Noop,
        TcpOptionElement::MaximumSegmentSize(ASKED),
        TcpOptionElement::WindowScale(7),
    ];
    let tcp = ip.tcp(port, SERVER, 1, 65_000).syn().options(&options)?;
    let tcp = if ack { tcp.ack(9) } else { tcp };
    let mut frame = Frame::new();
    tcp.write(&mut frame, &[])?;
    Ok(frame)
}

/// The MSS in a SYN of a connection; fails when its checksum is not right.
fn mss(frame: &[u8], port: u16) -> Option<Result<u16>> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let (Some(TransportSlice::Tcp(tcp)), Some(net)) = (sliced.transport, sliced.net) else {
        return None;
    };
    if tcp.source_port() != port || !tcp.syn() {
        return None;
    }
    let header = tcp.to_header();
    let sum = match net {
        NetSlice::Ipv4(ip) => header.calc_checksum_ipv4(&ip.header().to_header(), tcp.payload()),
        NetSlice::Ipv6(ip) => header.calc_checksum_ipv6(&ip.header().to_header(), tcp.payload()),
        NetSlice::Arp(_) => return None,
    };
    let options = tcp.options_iterator().filter_map(Result::ok);
    let found = options.into_iter().find_map(|option| match option {
        TcpOptionElement::MaximumSegmentSize(mss) => Some(mss),
        TcpOptionElement::Noop
        | TcpOptionElement::WindowScale(_)
        | TcpOptionElement::SelectiveAcknowledgementPermitted
        | TcpOptionElement::SelectiveAcknowledgement(..)
        | TcpOptionElement::Timestamp(..) => None,
    });
    Some(
        found
            .filter(|_| sum.is_ok_and(|sum| sum == tcp.checksum()))
            .with_context(|| format!("no MSS, or a wrong checksum: {frame:x?}")),
    )
}

/// The MSS that a VM sees of what another asks for.
fn seen(
    site: &Site,
    plan: &Plan,
    from: &str,
    to: &str,
    (family, ack): (Family, bool),
) -> Result<u16> {
    let port = 40_000 + u16::from(ack) + 2 * family.of([0, 1]) + 4 * u16::from(from == "near");
    let ear = PacketSocket::open(site.vm(to), "eth0")?;
    let mouth = PacketSocket::open(site.vm(from), "eth0")?;
    mouth.send(&syn(plan.find(from), plan.find(to), family, port, ack)?)?;
    let frame = ear.find("the SYN", |frame| mss(frame, port).is_some())?;
    mss(&frame, port).context("a SYN")?
}

/// Both ways, in SYN and SYN-ACK, the MSS is what it should be.
fn clamps(name: &str, clamp: &str, wanted: [u16; 2]) {
    let plan = plan(clamp);
    proof(Site::of(name, &plan), |site| {
        for family in Family::ALL {
            for (from, to) in [("near", "far"), ("far", "near")] {
                for ack in [false, true] {
                    let seen = seen(site, &plan, from, to, (family, ack))?;
                    let right = seen == family.of(wanted);
                    ensure!(right, "{from} to {to}, {family:?}, ack {ack}: {seen}");
                }
            }
            tcp(site.vm("near"), site.vm("far"), family.of(FAR), 1_000_000)?;
        }
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_automatic_clamp_fits_the_ports_mtu() {
    clamps("pmauto", "mssClamp: auto", [MTU - 40, MTU - 60]);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_clamp_may_be_a_number() {
    clamps("pmnumber", "mssClamp: 1000", [1000; 2]);
}

/// A clamp that is larger than what is asked for raises nothing.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_clamp_raises_nothing() {
    clamps("pmraise", "mssClamp: 8960", [ASKED; 2]);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_a_clamp_the_mss_is_the_tenants() {
    clamps("pmnone", "", [ASKED; 2]);
}
