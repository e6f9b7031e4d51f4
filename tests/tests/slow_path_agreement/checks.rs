//! What is true of the slow path's own frames, whatever the programs say.

use anyhow::{Context as _, Result, ensure};
use dataplane_common::reason::DropReason;
use dataplane_tests::policy::BLUE_RDID;
use dataplane_user::policy::table_image::TableImage;
use etherparse::{Icmpv4Type, NetSlice, SlicedPacket, TransportSlice, icmpv4};

use crate::side::Fate;

/// With the whole table the packet was dropped as too large.
pub(crate) fn too_large(want: &Fate) -> Result<()> {
    let large = want.reasons() == [DropReason::MtuExceeded];
    ensure!(large, "the whole table says {want:02x?}");
    Ok(())
}

/// The fragments have every byte of the packet's payload once, at its place.
pub(crate) fn whole_again(frame: &[u8], fragments: &[Vec<u8>]) -> Result<()> {
    let parts = |frame: &[u8]| -> Result<(usize, bool, Vec<u8>)> {
        let header = usize::from(frame[14] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        let word = u16::from_be_bytes([frame[20], frame[21]]);
        let payload = frame
            .get(14 + header..14 + total)
            .context("a whole packet")?;
        Ok((
            usize::from(word & 0x1FFF) * 8,
            word & 0x2000 != 0,
            payload.to_vec(),
        ))
    };
    let (start, more, payload) = parts(frame)?;
    let mut found = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        let (at, behind, part) = parts(fragment)?;
        ensure!(at == start + found.len(), "fragment {index} begins at {at}");
        let last = index + 1 == fragments.len();
        ensure!(
            behind == (more || !last),
            "fragment {index}: more is {behind}"
        );
        found.extend(part);
    }
    ensure!(found == payload, "other bytes");
    Ok(())
}

/// The sender hears from its gateway how large a packet may be.
pub(crate) fn told(tables: &TableImage, frame: &[u8], answer: &[u8]) -> Result<()> {
    let dst: [u8; 4] = frame[30..34].try_into()?;
    let mut records = tables.lookup.iter();
    let record = records.find(|(key, _)| key.rdid == BLUE_RDID && key.ca == dst);
    let path = tables.underlay[&record.context("a record")?.1.pa_index].path_mtu;
    let packet = SlicedPacket::from_ethernet(answer)?;
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Icmpv4(icmp))) =
        (&packet.net, &packet.transport)
    else {
        anyhow::bail!("{packet:?}")
    };
    let header = icmpv4::DestUnreachableHeader::FragmentationNeeded {
        next_hop_mtu: path - 42,
    };
    ensure!(icmp.icmp_type() == Icmpv4Type::DestinationUnreachable(header));
    ensure!(ip.header().source() == [10, 0, 0, 1] && ip.header().destination() == frame[26..30]);
    ensure!(answer[..6] == frame[6..12], "to another MAC");
    Ok(())
}
