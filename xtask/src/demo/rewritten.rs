//! What goes over the wire of a tenant whose addresses are rewritten.

use super::capture::fields;
use super::pcap;
use super::score::table;
use super::tenants::{CLIENT, PEER};
use anyhow::{Context, Result, bail, ensure};
use std::net::Ipv4Addr;
use std::path::Path;

const FIELDS: [&str; 6] = [
    "frame.number",
    "ip.src",
    "ip.dst",
    "ip.ttl",
    "frame.protocols",
    "frame.len",
];

/// One packet without an outer header.
#[derive(Debug, PartialEq)]
struct Packet {
    /// Its number in the capture, from 1.
    frame: usize,
    way: [String; 2],
    ttl: String,
    protocols: String,
    bytes: String,
}

/// Shows some packets; fails unless all that is not NVGRE is between these two PAs, both ways, and a
/// CA is nowhere in it.
pub(super) fn check(capture: &Path, pas: &[&str; 2]) -> Result<String> {
    let lines = fields(capture, "!gre", &FIELDS)?;
    let packets = lines
        .iter()
        .map(|line| packet(line))
        .collect::<Result<Vec<_>>>()?;
    show(&packets);
    let [client, server] = *pas;
    for way in [[client, server], [server, client]] {
        let seen = packets.iter().any(|packet| packet.way == way);
        ensure!(seen, "no packet from {} to {}", way[0], way[1]);
    }
    let strange = |packet: &&Packet| {
        let [src, dst] = &packet.way;
        src == dst || !pas.contains(&src.as_str()) || !pas.contains(&dst.as_str())
    };
    let stranger = packets.iter().find(strange);
    ensure!(stranger.is_none(), "not between the PAs: {stranger:?}");
    no_ca(capture, &packets)?;
    Ok(format!(
        "{} packets between {client} and {server}, no GRE, no CA in any",
        packets.len()
    ))
}

/// Fails if the bytes of a CA stand anywhere in one of the packets.
fn no_ca(capture: &Path, packets: &[Packet]) -> Result<()> {
    let file =
        std::fs::read(capture).with_context(|| format!("cannot read {}", capture.display()))?;
    let frames = pcap::frames(&file)?;
    for packet in packets {
        let index = packet.frame.checked_sub(1);
        let bytes = index.and_then(|index| frames.get(index));
        let bytes = bytes.with_context(|| format!("the capture ends before {packet:?}"))?;
        for ca in [CLIENT, PEER] {
            let found = pcap::contains(bytes, ca.parse::<Ipv4Addr>()?.octets());
            ensure!(!found, "{ca} stands in {packet:?}");
        }
    }
    Ok(())
}

/// Reads a line of fields; an error says what about it is no plain IPv4 packet.
fn packet(line: &str) -> Result<Packet> {
    let cells: Vec<_> = line.split('|').collect();
    let [frame, src, dst, ttl, protocols, bytes] = cells[..] else {
        bail!("tshark gave {} fields: {line}", cells.len());
    };
    let one = !src.is_empty() && ![src, dst, ttl].iter().any(|cell| cell.contains(','));
    ensure!(one, "not one IPv4 header: {line}");
    let inside = protocols.strip_prefix("eth:ethertype:ip:");
    let inside = inside.with_context(|| format!("not IPv4 in Ethernet: {line}"))?;
    Ok(Packet {
        frame: frame
            .parse()
            .with_context(|| format!("no frame number: {line}"))?,
        way: [src.to_owned(), dst.to_owned()],
        ttl: ttl.to_owned(),
        protocols: inside.to_owned(),
        bytes: bytes.to_owned(),
    })
}

/// The first packet of each way and protocol.
fn show(packets: &[Packet]) {
    println!("\non the wire without an outer header:");
    let mut rows = vec![["IP", "TTL", "protocol", "bytes"].map(str::to_owned)];
    let mut seen = Vec::new();
    for packet in packets {
        let protocol = packet.protocols.split(':').next().unwrap_or_default();
        let kind = (&packet.way, protocol);
        if seen.contains(&kind) {
            continue;
        }
        seen.push(kind);
        let [from, to] = &packet.way;
        rows.push([
            format!("{from} > {to}"),
            packet.ttl.clone(),
            protocol.to_owned(),
            packet.bytes.clone(),
        ]);
    }
    for line in table(&rows) {
        println!("  {line}");
    }
    println!();
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "9|192.0.2.105|192.0.2.107|64|eth:ethertype:ip:icmp:data|98";

    #[test]
    fn a_plain_packet_is_read() {
        let packet = packet(GOOD).unwrap();
        assert_eq!(packet.frame, 9);
        assert_eq!(packet.way, ["192.0.2.105", "192.0.2.107"]);
        assert_eq!((packet.ttl.as_str(), packet.bytes.as_str()), ("64", "98"));
        assert_eq!(packet.protocols, "icmp:data");
    }

    #[test]
    fn what_has_a_second_header_is_refused() {
        for (from, to) in [
            ("192.0.2.105", "192.0.2.105,10.0.0.5"),
            ("192.0.2.105", ""),
            ("ip:icmp", "arp"),
            ("64", "64,63"),
            ("|98", ""),
        ] {
            assert!(
                packet(&GOOD.replacen(from, to, 1)).is_err(),
                "{from} as {to}"
            );
        }
    }
}
