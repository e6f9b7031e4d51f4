//! First packets: what they fetch, and that they arrive.

use crate::{
    A, B, PORTS, RED, VMS, address, ca, knows, nothing_dropped, policy, site, until_in_use,
};
use anyhow::{Result, ensure};
use dataplane_tests::net::{
    Burst, Frame, PAIR, PacketSocket, SOON, Site, inside, ping, proof, sent_by, tcp, udp,
};
use std::net::UdpSocket;
use xtask::lab::wait_until;

const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;

fn ethertype(frame: &[u8]) -> u16 {
    frame
        .get(12..14)
        .map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// An ARP request for this address.
fn asks_for(frame: &[u8], address: &str) -> bool {
    ethertype(frame) == ARP
        && frame.get(20..22) == Some(&[0, 1])
        && frame.get(38..42) == Some(&ca(address).octets())
}

/// The first segment of a TCP connection to this address.
fn opens(frame: &[u8], address: &str) -> bool {
    ethertype(frame) == IPV4
        && frame.get(23) == Some(&6)
        && frame.get(30..34) == Some(&ca(address).octets())
        && frame.get(47).is_some_and(|flags| flags & 0x12 == 0x02)
}

fn echo_request(frame: &[u8], address: &str) -> bool {
    ethertype(frame) == IPV4
        && frame.get(23) == Some(&1)
        && frame.get(30..34) == Some(&ca(address).octets())
}

/// The sender had no reason to send any of these twice.
fn sent_once(frames: &[Frame], what: &str, is: impl Fn(&[u8]) -> bool) -> Result<()> {
    let times = frames.iter().filter(|frame| is(frame)).count();
    ensure!(times == 1, "{what} was sent {times} times");
    Ok(())
}

/// One of each kind, each the first to its destination, through both hosts' misses.
fn each_kind(site: &Site) -> Result<()> {
    let (vm1, vm2) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
    let (by_datagrams, by_ping, by_tcp) = (address(100), address(101), address(102));
    let seen = PacketSocket::open(vm1, "eth0")?;
    knows(site, &by_datagrams)?;
    let mut burst = Burst::between(vm1, vm2, &by_datagrams)?;
    burst.send(8)?;
    burst.whole(2)?;
    until_in_use(site, 0, &[&by_datagrams])?;
    until_in_use(site, 1, &[A])?;
    vm1.exec(&["ping", "-n", "-c", "1", "-W", "5", &by_ping])?;
    tcp(vm1, vm2, &by_tcp, 1_000_000)?;
    let frames = seen.drain()?;
    sent_once(&frames, "the ARP request of the ping", |frame| {
        asks_for(frame, &by_ping)
    })?;
    sent_once(&frames, "the echo request", |frame| {
        echo_request(frame, &by_ping)
    })?;
    sent_once(&frames, "the ARP request of TCP", |frame| {
        asks_for(frame, &by_tcp)
    })?;
    sent_once(&frames, "the SYN", |frame| opens(frame, &by_tcp))?;
    until_in_use(site, 0, &[&by_datagrams, &by_ping, &by_tcp])
}

fn first_packets(name: &str, mode: &str) {
    proof(site(name, mode), |site| {
        let of_red = site.lookups(0, RED)?;
        ensure!(site.in_use(0, RED)? == [ca(B)], "{of_red:?}");
        until_in_use(site, 0, &[])?;
        each_kind(site)?;
        for place in ["red-vm1", "blue-vm1"] {
            let other = site.vm(&place.replace('1', "2"));
            ping(site.vm(place), B, 1472)?;
            udp(site.vm(place), other, B, 1472)?;
            tcp(other, site.vm(place), A, 1_000_000)?;
        }
        ensure!(
            site.lookups(0, RED)? == of_red,
            "the other tenant's records changed"
        );
        ensure!(
            site.counter(0, "red/red-vm1", "egress_punted")? == 0,
            "a punt of red"
        );
        ensure!(
            site.counter(0, PORTS[0], "egress_punted")? >= 4,
            "no punts of blue"
        );
        by_which_socket(site, mode)?;
        all_accounted(site)
    });
}

fn all_accounted(site: &Site) -> Result<()> {
    nothing_dropped(site)?;
    for host in [0, 1] {
        site.frames_accounted(host)?;
        site.given_back(host)?;
    }
    site.conserved()
}

/// From an uplink in XDP mode packets come by its own sockets, and only the ports' by the pair.
fn by_which_socket(site: &Site, mode: &str) -> Result<()> {
    let uplink = site.queues(1, "eth0")?;
    let from_ports = site.counter(1, PORTS[1], "egress_punted")?;
    let from_uplink = site.counter(1, "uplink", "ingress_punted")?;
    ensure!(from_uplink > 0, "no punt from the uplink of host-b");
    let by_pair = sent_by(site.host(1), PAIR[0])?;
    let expected = if mode == "xdp" {
        ensure!(!uplink.is_empty(), "no queue of the uplink");
        ensure!(
            uplink.iter().all(|queue| queue["mode"] == "copy"),
            "{uplink:?}"
        );
        from_ports
    } else {
        ensure!(uplink.is_empty(), "{uplink:?}");
        from_ports + from_uplink
    };
    ensure!(by_pair == expected, "{by_pair} by the pair, not {expected}");
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn first_packets_arrive_with_tc_uplinks() {
    first_packets("odtc", "tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn first_packets_arrive_with_xdp_uplinks() {
    first_packets("odxdp", "xdp");
}

/// What a port in XDP mode misses goes on to the TC program, and from there to user space.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn first_packets_arrive_from_ports_at_xdp() {
    proof(site("odports", "xdp"), |site| {
        let at_xdp = policy(site).replace("  attach:", "  mode: xdp\n  attach:");
        for host in [0, 1] {
            site.apply(host, &at_xdp)?;
        }
        site.ready()?;
        for vm in VMS {
            site.vm(vm).exec(&["ethtool", "-K", "eth0", "tx", "off"])?;
        }
        each_kind(site)?;
        // One for each of the three destinations; what follows may find the record there.
        let again = site.counter(0, PORTS[0], "egress_reinjected")?;
        ensure!(again >= 3, "{again} packets of blue went by user space");
        all_accounted(site)
    });
}

/// Many flows in the same moment to one CA: one record, and nothing of any of them is lost.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn many_flows_ask_once() {
    const FLOWS: usize = 8;
    proof(site("odone", "tc"), |site| {
        let to = address(110);
        knows(site, &to)?;
        let receiver = inside(site.vm("blue-vm2"), || Ok(UdpSocket::bind((ca(&to), 0))?))?;
        receiver.set_read_timeout(Some(SOON))?;
        let at = receiver.local_addr()?;
        let open = || Ok(UdpSocket::bind("0.0.0.0:0")?);
        let flows: Result<Vec<_>> = (0..FLOWS)
            .map(|_| inside(site.vm("blue-vm1"), open))
            .collect();
        for flow in &flows? {
            flow.send_to(b"first", at)?;
        }
        for _ in 0..FLOWS {
            receiver.recv(&mut [0; 8])?;
        }
        until_in_use(site, 0, &[&to])?;
        wait_until("one record in the status", SOON, || {
            let told = &site.ask(0, &["status"])?["slowPath"];
            ensure!(told["recordsInUse"] == 1, "{told}");
            Ok(Some(()))
        })?;
        nothing_dropped(site)
    });
}
