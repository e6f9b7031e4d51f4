//! Blue with IP rewrite, and what comes for its PAs from the underlay.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use dataplane_common::{
    abi::{lookup::LookupRecord, rewrite::RewriteEntry, underlay::NextHop, vport::Vport},
    forward::Tables as _,
    id::Address,
    reason::DropReason,
};
use dataplane_tests::{
    packet::{icmp::ping, patch, tcp, udp},
    policy::{BLUE, BLUE_RDID, GATEWAY_MAC, HOP_MAC, OUR_MAC, UPLINK_DEVICE, ca},
    random::Dice,
};
use dataplane_user::{policy::table_image::TableImage, slowpath::packet::Packet};
use etherparse::{IpNumber, Ipv4Header, PacketBuilder, checksum::Sum16BitWords};

/// Index of the first PA of a CA.
const FIRST: u32 = 100;
/// Stations by subnet and last byte: ports here, one that is not attached, one elsewhere.
const OWN: [(u8, u8); 7] = [(0, 5), (0, 5), (0, 6), (0, 6), (1, 16), (0, 55), (0, 7)];
/// Others: elsewhere, here, and one without a PA.
const FAR: [(u8, u8); 7] = [(0, 7), (0, 7), (0, 66), (1, 9), (1, 9), (0, 6), (9, 9)];

/// The PA of `ca(v6, subnet, last)`.
fn pa(v6: bool, (subnet, last): (u8, u8)) -> IpAddr {
    if v6 {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&[0x20, 1, 0x0D, 0xB8, 0, 0xF]);
        (bytes[7], bytes[15]) = (subnet, last);
        bytes.into()
    } else {
        [198, 51, subnet, last].into()
    }
}

fn pa_of(ca: Address) -> Address {
    let bytes = ca.to_bytes();
    let subnet = if ca.is_v4() { bytes[14] } else { bytes[3] };
    pa(!ca.is_v4(), (subnet, bytes[15])).into()
}

/// All that blue has by rule `TranslationMethodNat`.
pub(crate) fn rewriting(mut image: TableImage) -> TableImage {
    let records = image.lookup.clone();
    let blue = records.iter().filter(|(key, record)| {
        let stays = record.has(LookupRecord::GATEWAY) || record.has(LookupRecord::NO_TRANSLATION);
        key.rdid == BLUE_RDID && !stays
    });
    for (index, (key, mut record)) in (FIRST..).zip(blue) {
        let pa = pa_of(key.ca);
        let mut hop = image.underlay[&record.pa_index];
        hop.pa = pa;
        let local = record.has(LookupRecord::LOCAL);
        if local {
            (hop.state, hop.ifindex) = (NextHop::RESOLVED, UPLINK_DEVICE);
        }
        image.underlay.insert(index, hop);
        record.pa_index = index;
        record.flags |= LookupRecord::REWRITE;
        image.lookup.insert(key, record);
        let entry = RewriteEntry {
            rdid: key.rdid,
            vsid: record.vsid,
            ifindex: record.ifindex,
            pa_index: index,
            ca: key.ca,
            mac: record.mac,
            flags: if local { RewriteEntry::LOCAL } else { 0 },
        };
        image.rewrites.insert(pa, entry);
    }
    for port in image
        .vports
        .values_mut()
        .filter(|port| port.rdid == BLUE_RDID)
    {
        port.flags |= Vport::REWRITES;
        port.pas = port.cas.map(pa_of);
    }
    image.config.rewrites = 1;
    image
}

/// A frame for the PA of a CA: of a station, or of a router about a packet of the CA's.
pub(crate) fn received(dice: &mut Dice) -> Vec<u8> {
    let v6 = dice.one_in(2);
    let [own, far] = [dice.of(&OWN), dice.of(&FAR)].map(|station| pa(v6, station));
    let frame = if dice.one_in(2) {
        reported(dice, own, far)
    } else {
        patch(&packet(dice, far, own), 0, &OUR_MAC.0)
    };
    if !dice.one_in(12) {
        return frame;
    }
    let at = dice.below(90.min(u16::try_from(frame.len()).expect("short")));
    let byte = u8::try_from(dice.below(256)).expect("a byte");
    patch(&frame, usize::from(at), &[byte])
}

fn packet(dice: &mut Dice, from: IpAddr, to: IpAddr) -> Vec<u8> {
    match dice.below(3) {
        0 => ping(from, to, false),
        1 => tcp(from, to, usize::from(dice.below(1500))),
        _ => udp(from, to, usize::from(dice.below(1500))),
    }
}

fn reported(dice: &mut Dice, own: IpAddr, far: IpAddr) -> Vec<u8> {
    let sent = if dice.one_in(8) {
        packet(dice, far, own)
    } else {
        packet(dice, own, far)
    };
    let most = dice.of(&[20, 48, 90, 1232]);
    let quote = &sent[14..sent.len().min(14 + most)];
    let link = PacketBuilder::ethernet2(HOP_MAC.0, OUR_MAC.0);
    let (mut frame, rest) = (Vec::new(), [0, 0, 5, 0x20]);
    match own {
        IpAddr::V4(own) => {
            let (kind, code) = dice.of(&[(3, 4), (3, 1), (11, 0), (12, 0), (5, 1)]);
            let ip = link.ipv4([192, 0, 2, 254], own.octets(), 60);
            ip.icmpv4_raw(kind, code, rest).write(&mut frame, quote)
        }
        IpAddr::V6(own) => {
            let (kind, code) = dice.of(&[(1, 4), (2, 0), (3, 0), (4, 1)]);
            let router = dataplane_tests::packet::peer(true);
            let IpAddr::V6(router) = router else {
                unreachable!("an IPv6 peer")
            };
            let ip = link.ipv6(router.octets(), own.octets(), 60);
            ip.icmpv6_raw(kind, code, rest).write(&mut frame, quote)
        }
    }
    .expect("a vector takes it");
    frame
}

/// The port hears in CAs what the router said in PAs, and all checksums are right.
pub(crate) fn translated(tables: &TableImage, frame: &[u8], answer: &[u8]) -> Result<()> {
    let [(_, was), (link, is)] = [read(frame)?, read(answer)?];
    let own = tables.rewrite(was.destination.into()).context("no PA")?;
    ensure!(link.destination == own.mac.0 && link.source == GATEWAY_MAC.0);
    ensure!(is.is_intact_icmp() && is.hop_limit == 64, "{is:?}");
    let [(said, quoted), (says, quotes)] = [parts(&was)?, parts(&is)?];
    ensure!(said == says, "{said:02x?} became {says:02x?}");
    let far = tables.rewrite(quoted.destination.into()).context("no PA")?;
    let v6 = is.source.is_ipv6();
    let gateway = if own.vsid == BLUE {
        ca(v6, 0, 1)
    } else {
        far.ca.into()
    };
    ensure!(
        (is.source, is.destination) == (gateway, own.ca.into()),
        "{is:?}"
    );
    let stations = (own.ca.into(), far.ca.into());
    ensure!(
        (quotes.source, quotes.destination) == stations,
        "{quotes:?}"
    );
    ensure!(own.rdid == far.rdid && tables.rewrite(was.source.into()).is_none());
    summed(&quotes)
}

fn read(frame: &[u8]) -> Result<(etherparse::Ethernet2Header, Packet<'_>)> {
    Packet::framed(frame).context("no packet")
}

/// Type, code and the bytes behind the checksum; the quoted packet.
fn parts<'p>(error: &Packet<'p>) -> Result<([u8; 6], Packet<'p>)> {
    let (header, quote) = error.payload.split_first_chunk::<8>().context("short")?;
    let [kind, code, _, _, a, b, c, d] = *header;
    let quote = Packet::read(quote).context("no quote")?;
    Ok(([kind, code, a, b, c, d], quote))
}

/// Summed from the beginning, not updated.
fn summed(quote: &Packet<'_>) -> Result<()> {
    if quote.source.is_ipv4() {
        let (header, _) = Ipv4Header::from_slice(quote.bytes)?;
        ensure!(
            header.header_checksum == header.calc_header_checksum(),
            "{header:?}"
        );
    }
    if !quote.is_whole() {
        return Ok(());
    }
    let mut sum = Sum16BitWords::new().add_slice(quote.payload);
    if quote.protocol != IpNumber::ICMP {
        let len = u16::try_from(quote.payload.len())?;
        for address in [quote.source, quote.destination] {
            sum = match address {
                IpAddr::V4(address) => sum.add_4bytes(address.octets()),
                IpAddr::V6(address) => sum.add_16bytes(address.octets()),
            };
        }
        sum = sum
            .add_2bytes([0, quote.protocol.0])
            .add_2bytes(len.to_be_bytes());
    }
    ensure!(sum.ones_complement() == 0, "{quote:02x?}");
    Ok(())
}

/// Why a report ends when nobody listens.
pub(crate) const UNHEARD: DropReason = DropReason::NatSrcUnknown;
