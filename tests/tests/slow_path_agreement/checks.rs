//! What is true of the slow path's own frames, whatever the programs say.

use anyhow::{Context as _, Result, ensure};
use dataplane_common::{
    abi::{lookup::LookupRecord, route},
    forward::{
        Tables as _,
        parse::{self, Headers, Kind},
    },
    id::Address,
    reason::DropReason,
};
use dataplane_tests::{
    model::Bytes,
    policy::{BLUE_RDID, GATEWAY_MAC, ca},
};
use dataplane_user::policy::table_image::TableImage;
use etherparse::{Icmpv4Type, Icmpv6Type, SlicedPacket, TransportSlice, icmpv4, icmpv6};

use crate::side::Fate;

/// With the whole table the packet was dropped as too large.
pub(crate) fn too_large(want: &Fate) -> Result<()> {
    let reasons = want.reasons();
    let large = matches!(reasons[..], [DropReason::MtuExceeded | DropReason::PortMtu]);
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

/// The sender hears from its gateway why the packet went no further.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever the others are, it was too big"
)]
pub(crate) fn told(
    tables: &TableImage,
    frame: &[u8],
    answer: &[u8],
    reason: DropReason,
) -> Result<()> {
    let asked = headers(frame)?;
    let told = headers(answer)?;
    let v6 = !asked.src.is_v4();
    ensure!(told.eth.dst == asked.eth.src && told.eth.src == GATEWAY_MAC);
    ensure!(told.src == ca(v6, 0, 1).into() && told.dst == asked.src);
    let packet = SlicedPacket::from_ethernet(answer)?;
    match &packet.transport {
        Some(TransportSlice::Icmpv4(icmp)) if !v6 => {
            let want = match reason {
                DropReason::TtlExceeded => {
                    Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit)
                }
                DropReason::GatewayBound => {
                    Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port)
                }
                _ => {
                    let next_hop_mtu = path_mtu(tables, asked.dst)?;
                    Icmpv4Type::DestinationUnreachable(
                        icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu },
                    )
                }
            };
            ensure!(icmp.icmp_type() == want, "{want:?} of {packet:?}");
        }
        Some(TransportSlice::Icmpv6(icmp)) if v6 => {
            let want = match reason {
                DropReason::TtlExceeded => {
                    Icmpv6Type::TimeExceeded(icmpv6::TimeExceededCode::HopLimitExceeded)
                }
                DropReason::GatewayBound => {
                    Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port)
                }
                // Hosts take no notice of less (RFC 8201, section 4).
                _ => Icmpv6Type::PacketTooBig {
                    mtu: path_mtu(tables, asked.dst)?.max(1280).into(),
                },
            };
            ensure!(icmp.icmp_type() == want, "{want:?} of {packet:?}");
        }
        _ => anyhow::bail!("{packet:?}"),
    }
    Ok(())
}

fn headers(frame: &[u8]) -> Result<Headers> {
    let headers = parse::headers(&Bytes(frame), 0);
    headers.map_err(|reason| anyhow::anyhow!("{reason:?}"))
}

/// The largest packet of blue's that comes to the CA: a port's, or one that fits the tunnel.
fn path_mtu(tables: &TableImage, dst: Address) -> Result<u16> {
    let record = match tables.record(BLUE_RDID, dst) {
        Some(record) => record,
        None => *tables
            .route(route::of_domain(BLUE_RDID), dst)
            .context("a route")?,
    };
    if record.has(LookupRecord::LOCAL) {
        return Ok(tables.vports[&record.ifindex].mtu);
    }
    let hop = tables.underlay[&record.pa_index];
    if record.has(LookupRecord::REWRITE) {
        return Ok(hop.path_mtu);
    }
    Ok(hop.path_mtu - if hop.pa.is_v4() { 42 } else { 62 })
}

/// An advertisement of the CA that the sender asked about, to it or to all.
pub(crate) fn advertised(frame: &[u8], answer: &[u8]) -> Result<()> {
    let (asked, told) = (headers(frame)?, headers(answer)?);
    ensure!(told.kind == Kind::Advertisement && told.target == asked.target);
    let to_all = told.eth.dst.is_group() && told.dst.is_group();
    let to_sender = told.eth.dst == asked.eth.src && told.dst == asked.src;
    ensure!(
        if asked.src.is_unspecified() {
            to_all
        } else {
            to_sender
        },
        "to another: {told:?}"
    );
    Ok(())
}
