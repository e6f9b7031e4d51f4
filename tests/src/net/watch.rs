//! Packets that must arrive, packets that must not, and where they are counted.

use super::{Frame, PacketSocket, Site};
use crate::packet::udp_ports;
use anyhow::{Context, Result, ensure};
use std::net::IpAddr;
use xtask::lab::Netns;

/// Destination port of packets that must arrive nowhere.
const BAD: u16 = 0xBAD0;
/// Destination port of packets that must arrive.
const GOOD: u16 = 0x600D;
/// Each case is sent so often.
const TIMES: u64 = 3;

/// A packet that must arrive nowhere: what it is, its bytes, and the reason that it is counted under.
pub type Sin = (&'static str, Frame, &'static str);

/// A UDP packet that must not arrive.
pub fn bad(from: impl Into<IpAddr>, to: impl Into<IpAddr>) -> Frame {
    udp_ports(from, to, 4000, BAD, 64)
}

/// A UDP packet that must arrive.
pub fn good(from: impl Into<IpAddr>, to: impl Into<IpAddr>) -> Frame {
    udp_ports(from, to, 4000, GOOD, 64)
}

fn bears(frame: &[u8], port: u16) -> bool {
    let ports = [4000_u16.to_be_bytes(), port.to_be_bytes()].concat();
    frame.windows(4).any(|bytes| bytes == ports)
}

/// Sockets at every place where nothing may arrive.
pub fn watch<'s>(places: impl IntoIterator<Item = &'s Netns>) -> Result<Vec<PacketSocket>> {
    let open = |place| PacketSocket::open(place, "eth0");
    places.into_iter().map(open).collect()
}

/// Fails if a bad packet is among the frames that came to these places.
pub fn nothing_came(watchers: &[PacketSocket]) -> Result<()> {
    for watcher in watchers {
        let seen = watcher.drain()?.into_iter().find(|frame| bears(frame, BAD));
        ensure!(seen.is_none(), "this arrived: {seen:x?}");
    }
    Ok(())
}

/// Waits for a good packet; no bad one may come before it.
pub fn good_comes_first(place: &PacketSocket) -> Result<Frame> {
    let either = |frame: &[u8]| bears(frame, GOOD) || bears(frame, BAD);
    let first = place.find("a good packet", either)?;
    ensure!(bears(&first, GOOD), "this arrived first: {first:x?}");
    Ok(first)
}

/// Sends a packet and waits until `host-a` has counted it for the port.
pub fn sin(site: &Site, port: &str, sender: &PacketSocket, sin: &Sin) -> Result<()> {
    let (what, frame, reason) = sin;
    let before = site.dropped(0, port, reason)?;
    for _ in 0..TIMES {
        sender.send(frame)?;
    }
    let counted = site.drops_reach(0, port, reason, before + TIMES);
    counted.with_context(|| format!("sent: {what}"))
}
