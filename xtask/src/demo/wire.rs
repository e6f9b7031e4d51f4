//! What tshark makes of the NVGRE packets between the hosts.

use super::capture::{fields, tshark};
use super::score::table;
use super::tenants::{Carried, TENANTS, Tenant};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;

/// Outer and inner values of a field stand in one cell, separated by a comma.
const FIELDS: [&str; 9] = [
    "frame.number",
    "ip.src",
    "ip.dst",
    "gre.flags_and_version",
    "gre.proto",
    "gre.key",
    "eth.src",
    "eth.dst",
    "eth.type",
];

/// One packet on the wire, as tshark reads it.
#[derive(Debug, PartialEq)]
struct Packet {
    frame: u32,
    outer: [String; 2],
    inner: [String; 2],
    inner_mac: [String; 2],
    vsid: u32,
    flow_id: u8,
}

/// Shows some packets; fails unless every one is NVGRE and each tenant has its VSID both ways.
pub(super) fn check(capture: &Path) -> Result<String> {
    let lines = fields(capture, "gre", &FIELDS)?;
    let packets = lines
        .iter()
        .map(|line| packet(line))
        .collect::<Result<Vec<_>>>()?;
    show(capture, &packets)?;
    let vsids: Vec<_> = TENANTS.iter().filter_map(vsid).collect();
    for vsid in &vsids {
        for way in [["192.0.2.1", "192.0.2.2"], ["192.0.2.2", "192.0.2.1"]] {
            let seen = packets
                .iter()
                .any(|packet| packet.vsid == *vsid && packet.outer == way);
            let [from, to] = way;
            ensure!(seen, "no packet of VSID {vsid} from {from} to {to}");
        }
    }
    let stranger = packets.iter().find(|packet| !vsids.contains(&packet.vsid));
    ensure!(
        stranger.is_none(),
        "a VSID that no tenant has: {stranger:?}"
    );
    let vsids: Vec<_> = vsids.iter().map(u32::to_string).collect();
    Ok(format!(
        "{} packets, VSIDs {}",
        packets.len(),
        vsids.join(" and ")
    ))
}

/// That of a tenant whose packets are encapsulated.
fn vsid(tenant: &Tenant) -> Option<u32> {
    match tenant.carried {
        Carried::Nvgre(vsid) => Some(vsid),
        Carried::Rewritten(_) => None,
    }
}

/// Reads a line of fields; an error says what about it is not NVGRE.
fn packet(line: &str) -> Result<Packet> {
    let cells: Vec<_> = line.split('|').collect();
    let [
        frame,
        ip_src,
        ip_dst,
        flags,
        proto,
        key,
        eth_src,
        eth_dst,
        eth_type,
    ] = cells[..]
    else {
        bail!("tshark gave {} fields: {line}", cells.len());
    };
    ensure!(
        number(flags) == Some(0x2000),
        "the GRE flags are {flags}, not 0x2000: {line}"
    );
    ensure!(
        number(proto) == Some(0x6558),
        "the GRE protocol is {proto}, not 0x6558: {line}"
    );
    let key = number(key).with_context(|| format!("no GRE key: {line}"))?;
    let types: Vec<_> = eth_type.split(',').collect();
    ensure!(
        types == ["0x0800", "0x0800"],
        "not IPv4 in Ethernet in IPv4: {line}"
    );
    let both = |cell: &str| {
        cell.split_once(',')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
    };
    let (src, dst) = both(ip_src)
        .zip(both(ip_dst))
        .with_context(|| format!("no inner IP: {line}"))?;
    let (mac_src, mac_dst) = both(eth_src)
        .zip(both(eth_dst))
        .with_context(|| format!("no inner Ethernet: {line}"))?;
    let [.., flow_id] = key.to_be_bytes();
    Ok(Packet {
        frame: number(frame).with_context(|| format!("no frame number: {line}"))?,
        outer: [src.0, dst.0],
        inner: [src.1, dst.1],
        inner_mac: [mac_src.1, mac_dst.1],
        vsid: key >> 8,
        flow_id,
    })
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The first packet of each tenant as tshark prints it, and the first of each way in a table.
fn show(capture: &Path, packets: &[Packet]) -> Result<()> {
    println!("\non the wire, decoded by tshark:");
    let mut rows = vec![["outer", "VSID", "FlowID", "inner MAC", "inner IP"].map(str::to_owned)];
    let mut seen = Vec::new();
    for packet in packets {
        let way = (packet.vsid, &packet.outer);
        if seen.contains(&way) {
            continue;
        }
        if !seen.iter().any(|(vsid, _)| *vsid == packet.vsid) {
            print_layers(capture, packet.frame)?;
        }
        seen.push(way);
        rows.push(row(packet));
    }
    for line in table(&rows) {
        println!("  {line}");
    }
    println!();
    Ok(())
}

fn print_layers(capture: &Path, frame: u32) -> Result<()> {
    let only = format!("frame.number == {frame}");
    let text = tshark(capture, &["-Y", &only, "-O", "gre"])?;
    for line in text.lines().filter(|line| !line.is_empty()) {
        println!("  {line}");
    }
    println!();
    Ok(())
}

fn row(packet: &Packet) -> [String; 5] {
    let way = |[from, to]: &[String; 2]| format!("{from} > {to}");
    [
        way(&packet.outer),
        packet.vsid.to_string(),
        packet.flow_id.to_string(),
        way(&packet.inner_mac),
        way(&packet.inner),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "7|192.0.2.1,10.0.0.5|192.0.2.2,10.0.0.7|0x2000|0x6558|0x0017712a|\
        02:11:00:00:00:01,02:00:00:00:00:05|02:11:00:00:00:02,02:00:00:00:00:07|0x0800,0x0800";

    #[test]
    fn the_key_is_vsid_and_flow_id() {
        let packet = packet(GOOD).unwrap();
        assert_eq!((packet.frame, packet.vsid, packet.flow_id), (7, 6001, 0x2a));
        assert_eq!(packet.outer, ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(packet.inner, ["10.0.0.5", "10.0.0.7"]);
        assert_eq!(packet.inner_mac, ["02:00:00:00:00:05", "02:00:00:00:00:07"]);
    }

    #[test]
    fn what_is_not_nvgre_is_refused() {
        for (from, to) in [
            ("0x2000", "0x3000"),
            ("0x6558", "0x0800"),
            ("0x0017712a", ""),
            ("0x0800,0x0800", "0x0800,0x86dd"),
            ("192.0.2.1,10.0.0.5", "192.0.2.1"),
        ] {
            assert!(
                packet(&GOOD.replacen(from, to, 1)).is_err(),
                "{from} as {to}"
            );
        }
    }
}
