//! Tables of a host with very many lookup records, and the frames that ask for them.
//!
//! The host has PA 192.0.2.1 and two ports in VSID 6001: one on the device that test runs come
//! from, one beside it. Record `k` is the CA 10.0.0.0 + `FIRST` + `k`, spread evenly over the hosts
//! 198.18.0.0 and following (the addresses of RFC 2544, for benchmarks).

use std::net::Ipv4Addr;

use anyhow::Result;
use dataplane_common::{
    abi::lookup::{LookupKey, LookupRecord},
    id::{Address, Mac},
};
use dataplane_user::{dataplane::maps::Maps, policy::table_image::TableImage};

use crate::tables::{self, Port, Station, Uplink, VSID};

/// The device that test runs come from: the loopback, which is there in every namespace.
pub(super) const SENDER: u32 = 1;
/// Device of the second port, and the underlay's: keys only.
const NEIGHBOUR: u32 = 12;
const UPLINK: u32 = 2;
/// CA of the first port, and of the second.
pub(super) const CA: u32 = 0x0A00_0005;
pub(super) const NEIGHBOUR_CA: u32 = 0x0A00_0006;
/// CA of record 0: leaves room for ports below.
pub(super) const FIRST: u32 = 0x0A01_0000;
/// Capacity of `LOOKUP` that `nved` takes when none is set.
pub(super) const DEFAULT_CAPACITY: u32 = 65_536;
/// Other hosts at most.
pub(super) const HOSTS: u32 = 1024;
/// Records of this host's own ports.
const LOCAL: u32 = 2;
/// Index of our own PA, and of those of the other hosts.
const HERE: u32 = 1;
const FIRST_HOST: u32 = 2;
pub(super) const OUR_PA: u32 = 0xC000_0201;
pub(super) const FIRST_PA: u32 = 0xC612_0000;

/// MAC of the VM with this CA.
pub(super) fn mac(ca: u32) -> Mac {
    let [a, b, c, d] = ca.to_be_bytes();
    Mac([2, 0, a, b, c, d])
}

/// How many of so many records are of other hosts: those that packets can ask for.
pub(super) fn remotes(records: u32) -> u32 {
    records.saturating_sub(LOCAL).max(1)
}

/// The host's tables with so many records, [`remotes`] of them of other hosts.
pub(super) fn image(records: u32) -> TableImage {
    let records = remotes(records);
    let mut image = TableImage::default();
    image.local_pas.insert(address(OUR_PA));
    image.config.pas = [address(OUR_PA), Address::UNSPECIFIED];
    tables::subnet(&mut image, VSID, (Ipv4Addr::new(10, 0, 0, 0), 8));
    image.underlay.insert(HERE, hop(OUR_PA));
    for host in 0..HOSTS.min(records) {
        let (index, pa) = (FIRST_HOST + host, FIRST_PA + host);
        image.underlay.insert(index, hop(pa));
    }
    tables::port(&mut image, &port(1, SENDER, CA), HERE);
    tables::port(&mut image, &port(2, NEIGHBOUR, NEIGHBOUR_CA), HERE);
    image.lookup.extend((0..records).map(remote));
    image
}

/// Record `k`.
pub(super) fn remote(k: u32) -> (LookupKey, LookupRecord) {
    let ca = FIRST + k;
    let record = LookupRecord {
        vsid: VSID,
        pa_index: FIRST_HOST + k % HOSTS,
        ifindex: 0,
        mac: mac(ca),
        flags: 0,
    };
    (key(ca), record)
}

pub(super) fn key(ca: u32) -> LookupKey {
    tables::key(address(ca))
}

pub(super) const fn address(ip: u32) -> Address {
    Address::v4(ip.to_be_bytes())
}

/// How the host reaches a PA.
pub(super) fn hop(pa: u32) -> dataplane_common::abi::underlay::NextHop {
    let station = |pa| Station {
        pa: address(pa),
        mac: mac(pa),
    };
    let uplink = Uplink {
        own: station(OUR_PA),
        ifindex: UPLINK,
        mtu: 1600,
    };
    uplink.hop(station(pa))
}

/// A port of the host.
pub(super) fn port(slot: u32, ifindex: u32, ca: u32) -> Port {
    Port {
        slot,
        ifindex,
        mac: mac(ca),
        ca: address(ca),
        gateway: mac(0x0A00_0001),
        flags: 0,
        pa: None,
    }
}

/// Writes the image into maps, and devices for the redirects of XDP.
pub(super) fn fill(maps: &mut Maps, image: &TableImage) -> Result<()> {
    tables::write(maps, image)?;
    // The device behind a key need only be there: test runs carry no redirect out.
    for ifindex in image.vports.keys().chain([&UPLINK]) {
        maps.tx_ports.insert(*ifindex, SENDER, None, 0)?;
    }
    Ok(())
}

/// A UDP frame of the shortest length (60 bytes) from one CA to another, `src` as its source MAC.
pub(super) fn frame(src: Mac, from: u32, to: u32) -> Vec<u8> {
    frame_to((mac(to), src), from, to)
}

/// The same with both MACs, destination first.
pub(super) fn frame_to((dst, src): (Mac, Mac), from: u32, to: u32) -> Vec<u8> {
    let mut frame = [dst.0, src.0].concat();
    frame.extend([8, 0]);
    frame.extend(ipv4(17, 46, from, to));
    // Ports 4000 and 5000, 26 bytes, no checksum.
    frame.extend([0x0F, 0xA0, 0x13, 0x88, 0, 26, 0, 0]);
    frame.resize(60, 0);
    frame
}

/// The frame as the host of record `k` sends it to us.
pub(super) fn tunnelled(k: u32, inner: &[u8]) -> Vec<u8> {
    let host = FIRST_PA + k % HOSTS;
    let mut frame = [mac(OUR_PA).0, mac(host).0].concat();
    frame.extend([8, 0]);
    let len = u16::try_from(inner.len() + 28).expect("a short frame");
    frame.extend(ipv4(47, len, host, OUR_PA));
    frame.extend([0x20, 0, 0x65, 0x58]);
    frame.extend(&VSID.to_be_bytes()[1..]);
    frame.push(0x42);
    frame.extend(inner);
    frame
}

fn ipv4(protocol: u8, len: u16, from: u32, to: u32) -> [u8; 20] {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&len.to_be_bytes());
    header[8] = 64;
    header[9] = protocol;
    header[12..16].copy_from_slice(&from.to_be_bytes());
    header[16..].copy_from_slice(&to.to_be_bytes());
    let words = header.chunks(2);
    let sum: u32 = words
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
        .sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xFFFF) + (folded >> 16)).expect("folded");
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}
