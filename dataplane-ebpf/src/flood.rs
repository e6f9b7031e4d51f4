//! Copies of a broadcast (packet walk W6): for the subnet's ports here, and for the other hosts that
//! have ports in it. TC alone can make them; XDP leaves the frame to it. In programs of their own, which
//! the others go on in once they have decided.

use core::hint::black_box;

use dataplane_common::{
    abi::{
        bucket,
        config::Config,
        flood::{Flood, MOST},
        stats::Direction,
        vport::Vport,
    },
    forward::{
        self, Tables as _,
        egress::{fits_path, next_hop, tunnelled},
        parse::Headers,
    },
    reason::DropReason,
    wire::outer::{OuterHeaders, OverV4, OverV6, Tunnelled},
};

use crate::{
    count, edit,
    maps::Maps,
    outcome::{self, Done, NOWHERE, Outcome, Verdict},
    packet::Packet,
    pipeline, scan, upcall,
};

/// From a port to the others here, never to itself; whoever is elsewhere gets copies in
/// [`to_host`]. The decision is made; this makes the copies.
#[inline(always)]
pub fn egress<P: Packet>(maps: &Maps, packet: &mut P) -> Outcome {
    let len = packet.len();
    let Some(port) = maps.vport(packet.ifindex()) else {
        return outcome::dropped(DropReason::PortUnknown, len);
    };
    outcome::of(from_port(maps, packet, port), port.slot, 0, len)
}

#[inline(always)]
fn from_port<P: Packet>(maps: &Maps, packet: &mut P, port: &Vport) -> Done {
    let headers = packet.scan(0)?;
    let to = forward::broadcast::flood(maps, port, headers).map_err(|halt| halt.reason)?;
    let config = maps.config().unwrap_or(&Config::DEFAULT);
    let rate = (config.flood_interval, config.flood_burst);
    upcall::take(rate, bucket::of_flood(port.slot), 1).map_err(|()| DropReason::BcastRate)?;
    local(
        maps,
        packet,
        headers,
        to.flood,
        (Direction::Egress, port.slot),
    );
    Ok((Verdict::Flood, NOWHERE))
}

/// How far the copies for other hosts are.
#[derive(Clone, Copy)]
pub struct Progress {
    /// Number of the next.
    pub number: u32,
    /// Bytes of the outer headers that the last one put in front; 0 before the first.
    pub outer: u32,
}

/// A copy for one other host; `None` behind the last. The outer headers of the one before are
/// overwritten: all are of one family.
#[inline(always)]
pub fn to_host<P: Packet>(
    maps: &Maps,
    packet: &mut P,
    progress: Progress,
) -> (Outcome, Option<Progress>) {
    const V4: u32 = size_of::<OverV4>() as u32;
    const V6: u32 = size_of::<OverV6>() as u32;
    let offset = match progress.outer {
        0 => 0,
        V4 => size_of::<OverV4>(),
        V6 => size_of::<OverV6>(),
        _ => {
            return (
                outcome::dropped(DropReason::BcastFailed, packet.len()),
                None,
            );
        }
    };
    let len = packet.len().wrapping_sub(offset as u32);
    let Some(port) = maps.vport(packet.ifindex()) else {
        return (outcome::dropped(DropReason::PortUnknown, len), None);
    };
    match copy_to_host(maps, packet, port, (offset, progress.number)) {
        Ok(Some(outer)) => {
            let number = progress.number.wrapping_add(1);
            let end = outcome::of(Err(DropReason::BcastFailed.into()), port.slot, 0, len);
            (end, Some(Progress { number, outer }))
        }
        Ok(None) => (outcome::of(FLOODED, port.slot, 0, len), None),
        Err(reason) => {
            let end = outcome::of(Err(reason.into()), port.slot, 0, len);
            (end, None)
        }
    }
}

/// Bytes in front after it; `None` when there is no such receiver.
#[inline(always)]
fn copy_to_host<P: Packet>(
    maps: &Maps,
    packet: &mut P,
    port: &Vport,
    (offset, number): (usize, u32),
) -> Result<Option<u32>, DropReason> {
    // Bounded here: over the look-up of the port, kernel 6.1 has forgotten what it is.
    let headers = packet.scan(black_box(offset) & 0x3F)?;
    let to = forward::broadcast::flood(maps, port, headers).map_err(|halt| halt.reason)?;
    let Some(pa) = to.pa(number as usize) else {
        return Ok(None);
    };
    let mut outer = offset as u32;
    let done = encapped(maps, packet, port, headers, pa, &mut outer);
    count::copy_encapped(port.slot, headers.len, done);
    Ok(Some(outer))
}

/// From the underlay to the ports here; never back.
#[inline(always)]
pub fn ingress<P: Packet>(maps: &Maps, packet: &mut P) -> Outcome {
    let len = packet.len();
    outcome::of(from_underlay(maps, packet), 0, 0, len)
}

#[inline(always)]
fn from_underlay<P: Packet>(maps: &Maps, packet: &mut P) -> Done {
    let tunnel = pipeline::from_underlay(maps, packet).map_err(|stop| stop.halt)?;
    let headers = packet.scan(tunnel.outer_len())?;
    let to = forward::ingress::flood(maps, tunnel).map_err(|halt| halt.reason)?;
    let edit = forward::ingress::flood_edit(tunnel, headers)?;
    pipeline::strip_outer(packet, tunnel, headers)?;
    edit::apply(packet, headers, &edit)?;
    local(maps, packet, headers, to, (Direction::Ingress, 0));
    FLOODED
}

const FLOODED: Done = Ok((Verdict::Flooded, NOWHERE));

#[inline(always)]
fn local<P: Packet>(
    maps: &Maps,
    packet: &mut P,
    headers: &Headers,
    to: &Flood,
    (direction, from): (Direction, u32),
) {
    let sender = packet.ifindex();
    for index in 0..MOST {
        if index as u32 >= to.port_count {
            break;
        }
        let Some(ifindex) = to.ports.get(index).copied() else {
            break;
        };
        if from != 0 && ifindex == sender {
            continue;
        }
        let Some(port) = maps.vport(ifindex) else {
            continue;
        };
        let slot = port.slot;
        let done = forward::fits_port(port, headers.segment).and_then(|()| {
            if packet.copy_to(ifindex) {
                Ok(())
            } else {
                Err(DropReason::NoLocalPort)
            }
        });
        let from = if from == 0 { slot } else { from };
        count::copy_delivered(direction, (from, slot), headers.len, done);
    }
}

/// `outer`: bytes in front, before and after.
#[inline(always)]
fn encapped<P: Packet>(
    maps: &Maps,
    packet: &mut P,
    port: &Vport,
    headers: &Headers,
    pa_index: u32,
    outer: &mut u32,
) -> Result<(), DropReason> {
    let hop = next_hop(maps, pa_index)?;
    fits_path(hop, headers).map_err(|halt| halt.reason)?;
    let what = scan::keep(tunnelled(maps, headers, port.vsid, hop)?)?;
    *outer = if what.dst.is_v4() {
        put::<P, OverV4>(packet, what, headers, *outer)?
    } else {
        put::<P, OverV6>(packet, what, headers, *outer)?
    };
    if packet.copy_to(hop.ifindex) {
        Ok(())
    } else {
        Err(DropReason::EncapFailed)
    }
}

#[inline(always)]
fn put<P: Packet, O: OuterHeaders>(
    packet: &mut P,
    what: &Tunnelled,
    headers: &Headers,
    before: u32,
) -> Result<u32, DropReason> {
    if before == 0 {
        let pushed = packet.push_outer::<O>(what, headers.eth);
        pushed.map_err(|halt| halt.reason)?;
    } else {
        packet
            .store_outer::<O>(what)
            .ok_or(DropReason::EncapFailed)?;
    }
    Ok(O::LEN as u32)
}
