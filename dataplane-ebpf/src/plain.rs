//! Frames of and for ports that are not virtualized: VLANs of the uplink and external interfaces.
//! All at TC, in programs of their own: whoever has virtualized ports alone does not pay for it.

use core::cell::Cell;

use dataplane_common::{
    abi::{
        flood::{Flood, PLAIN_MOST},
        programs::{EXTERNAL_INGRESS, PLAIN_EGRESS, VLAN_INGRESS},
        scope,
        stats::Direction,
        vport::Vport,
    },
    forward::{
        Tables as _, fits_port,
        parse::Frame as _,
        plain::{self, Switched, To, Way},
    },
    reason::DropReason,
    wire::ether::{self, EthHeader},
};

use crate::{
    count,
    maps::Maps,
    outcome::{self, Done, NOWHERE, Outcome, Target, Verdict},
    packet::{
        Packet as _,
        tc::{Skb, Tag},
    },
};

/// From a port.
#[inline(always)]
pub fn egress(maps: &Maps, packet: &mut Skb) -> Outcome {
    let len = packet.len();
    let Some(port) = maps.vport(packet.ifindex()) else {
        return outcome::dropped(DropReason::PortUnknown, len);
    };
    let done = from_port(maps, packet, port);
    outcome::of(done, port.slot, 0, len)
}

#[inline(always)]
fn from_port(maps: &Maps, packet: &mut Skb, port: &Vport) -> Done {
    let (frame, tag) = read(packet)?;
    let way = plain::egress(maps, port, &frame)?;
    // An untagged frame of a VLAN gets the VLAN's tag, without priority.
    let tag = if frame.tags == 0 {
        Tag::vlan(port.vlan)
    } else {
        tag
    };
    match way.to {
        To::Host => Ok((Verdict::Passed, NOWHERE)),
        To::Port => to_port(packet, &frame, tag, &way),
        To::Link => {
            shape(packet, frame.tags != 0, way.tagged, tag)?;
            Ok((Verdict::Sent, target(way.ifindex, 0)))
        }
        To::All => {
            let copies = Copies {
                direction: Direction::Egress,
                program: PLAIN_EGRESS,
            };
            let from = (port.slot, port.link);
            copies.make(maps, packet, &way, from, (&frame, tag))?;
            let sent = copied(packet, port.link, DropReason::EncapFailed);
            count::copy_sent(port.slot, packet.len(), sent);
            Ok((Verdict::Flooded, NOWHERE))
        }
    }
}

/// A frame with a VLAN tag, from an uplink.
#[inline(always)]
pub fn vlan(maps: &Maps, packet: &mut Skb) -> Outcome {
    let len = packet.len();
    outcome::of(from_vlan(maps, packet), 0, 0, len)
}

#[inline(always)]
fn from_vlan(maps: &Maps, packet: &mut Skb) -> Done {
    let (frame, tag) = read(packet)?;
    let scope = scope::of_vlan(frame.vlan);
    from_link(maps, packet, (scope, VLAN_INGRESS), (&frame, tag))
}

/// A frame from an external interface.
#[inline(always)]
pub fn external(maps: &Maps, packet: &mut Skb) -> Outcome {
    let len = packet.len();
    outcome::of(from_external(maps, packet), 0, 0, len)
}

#[inline(always)]
fn from_external(maps: &Maps, packet: &mut Skb) -> Done {
    let (frame, tag) = read(packet)?;
    let scope = scope::of_interface(packet.ifindex());
    from_link(maps, packet, (scope, EXTERNAL_INGRESS), (&frame, tag))
}

#[inline(always)]
fn from_link(
    maps: &Maps,
    packet: &mut Skb,
    (scope, program): (u32, u32),
    (frame, tag): (&Switched, Tag),
) -> Done {
    let way = plain::ingress(maps, packet.ifindex(), scope, frame)?;
    match way.to {
        To::Host | To::Link => {}
        To::Port => return to_port(packet, frame, tag, &way),
        To::All => {
            let copies = Copies {
                direction: Direction::Ingress,
                program,
            };
            let from = (0, packet.ifindex());
            // The host gets it as it came.
            copies.make(maps, packet, &way, from, (frame, tag))?;
        }
    }
    Ok((Verdict::Passed, NOWHERE))
}

#[inline(always)]
fn to_port(packet: &mut Skb, frame: &Switched, tag: Tag, way: &Way) -> Done {
    shape(packet, frame.tags != 0, way.tagged, tag)?;
    Ok((Verdict::Delivered, target(way.ifindex, way.slot)))
}

const fn target(ifindex: u32, slot: u32) -> Target {
    Target {
        ifindex,
        slot,
        peer: 0,
    }
}

/// What there is to know of a frame, and what was done to it.
#[derive(Clone, Copy)]
pub struct Whole {
    frame: Switched,
    tag: Tag,
    /// Whether it has the tag at the moment.
    tagged: bool,
    /// Whether it has the tag when all copies are made.
    at_last: bool,
    /// Where the next receivers are.
    scope: u32,
    /// Slot of the port that sent it; 0: it came from the link.
    from: u32,
    link: u32,
}

/// How copies of a broadcast for ports here are made.
struct Copies {
    direction: Direction,
    /// This very program.
    program: u32,
}

impl Copies {
    /// Copies the frame, which goes on as `way` says. Where one run of the program cannot make all
    /// copies, it starts anew for the others; whatever is left to do is left to the last run.
    #[inline(always)]
    fn make(
        &self,
        maps: &Maps,
        packet: &mut Skb,
        way: &Way,
        (from, link): (u32, u32),
        (frame, tag): (&Switched, Tag),
    ) -> Result<(), DropReason> {
        let whole = maps.keep_whole(Whole {
            from,
            link,
            at_last: way.tagged,
            frame: *frame,
            tag,
            tagged: frame.tags != 0,
            scope: match packet.word() {
                0 => way.scope,
                rest => rest,
            },
        })?;
        for index in 0..PLAIN_MOST {
            let Some(flood) = plain::receivers(maps, whole.get().scope) else {
                break;
            };
            if index as u32 >= flood.port_count {
                break;
            }
            let ifindex = flood.ports.get(index).copied().unwrap_or(0);
            self.copy(maps, packet, whole, ifindex)?;
        }
        let now = whole.get();
        shape(packet, now.tagged, now.at_last, now.tag)?;
        let flood = plain::receivers(maps, now.scope);
        if let Some(rest) = flood.and_then(Flood::rest) {
            packet.go_on_with(self.program, rest);
        }
        Ok(())
    }

    #[inline(always)]
    fn copy(
        &self,
        maps: &Maps,
        packet: &mut Skb,
        whole: &Cell<Whole>,
        ifindex: u32,
    ) -> Result<(), DropReason> {
        let Some(port) = maps.vport(ifindex) else {
            return Ok(());
        };
        let mut now = whole.get();
        if port.slot == now.from || port.link != now.link {
            return Ok(());
        }
        let slot = port.slot;
        let fits = fits_port(port, now.frame.packet);
        let form = plain::form(port, now.frame.tags != 0);
        shape(packet, now.tagged, form, now.tag)?;
        now.tagged = form;
        whole.set(now);
        let done = fits.and_then(|()| copied(packet, ifindex, DropReason::NoLocalPort));
        let from = if now.from == 0 { slot } else { now.from };
        count::copy_delivered(self.direction, (from, slot), packet.len(), done);
        Ok(())
    }
}

#[inline(always)]
fn copied(packet: &mut Skb, ifindex: u32, reason: DropReason) -> Result<(), DropReason> {
    if packet.copy_to(ifindex) {
        Ok(())
    } else {
        Err(reason)
    }
}

/// Gives the frame its tag, or takes it.
#[inline(always)]
fn shape(packet: &mut Skb, is: bool, shall: bool, tag: Tag) -> Result<(), DropReason> {
    let done = match (is, shall) {
        (true, false) => packet.pop_tag(),
        (false, true) => packet.push_tag(tag),
        (true, true) | (false, false) => true,
    };
    if done {
        Ok(())
    } else {
        Err(DropReason::VlanForeign)
    }
}

/// Addresses and tags.
#[inline(always)]
fn read(packet: &Skb) -> Result<(Switched, Tag), DropReason> {
    let eth: EthHeader = packet.load(0).ok_or(DropReason::Truncated)?;
    let (tags, tag) = (packet.tags(), packet.tag());
    let layer2 = (ether::LEN + if tag.inside { ether::TAG_LEN } else { 0 }) as u32;
    let frame = Switched {
        dst: eth.dst,
        src: eth.src,
        tags,
        vlan: tag.id(),
        packet: if packet.gso_size() == 0 {
            packet.len().wrapping_sub(layer2)
        } else {
            0
        },
    };
    Ok((frame, tag))
}
