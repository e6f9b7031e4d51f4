//! Ports that are not virtualized: in a VLAN of the underlay, behind an interface of the host, or
//! stations of the host's own network.
//!
//! Frames are switched by MAC and nothing in them is looked at but addresses and tags.

use super::{Tables, fits_port};
use crate::{
    abi::{flood::Flood, scope, vport::Vport},
    id::Mac,
    reason::DropReason,
};

/// What the decision sees of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switched {
    /// Destination.
    pub dst: Mac,
    /// Source.
    pub src: Mac,
    /// Tags, 3 meaning "more than two".
    pub tags: u8,
    /// VLAN id of the first tag if that is an 802.1Q tag; 0 for any other.
    pub vlan: u16,
    /// Bytes of the layer-3 packet; 0 for super-packets, which any MTU is cut to.
    pub packet: u32,
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum To {
    /// To the host's stack, untouched.
    Host,
    /// To a port here.
    Port,
    /// Out of the uplink or the external interface.
    Link,
    /// From a port: to all others here, and out of the link. From the link: to all here, and to the
    /// host's stack.
    All,
}

/// What becomes of a frame. Flat, for the kernel's verifier: see [`super::Deliver`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Where it goes.
    pub to: To,
    /// The device, of a port or the link.
    pub ifindex: u32,
    /// The slot of the port.
    pub slot: u32,
    /// Whether it has the VLAN's tag there.
    pub tagged: bool,
    /// Where broadcast is looked up.
    pub scope: u32,
}

impl Way {
    #[inline(always)]
    const fn new(to: To, ifindex: u32, tagged: bool, scope: u32) -> Self {
        Self {
            to,
            ifindex,
            slot: 0,
            tagged,
            scope,
        }
    }
}

/// Whether the port sends and gets its VLAN's tag itself.
#[inline(always)]
pub const fn bears_tag(port: &Vport) -> bool {
    port.has(Vport::TAGS) && !port.has(Vport::UNTAGGED)
}

/// Where the port's MAC is looked up.
#[inline(always)]
pub const fn scope_of(port: &Vport) -> u32 {
    if port.has(Vport::TAGS) {
        scope::of_vlan(port.vlan)
    } else {
        scope::of_interface(port.link)
    }
}

/// Decides about a frame from the port `from`.
#[inline(always)]
pub fn egress<T: Tables>(tables: &T, from: &Vport, frame: &Switched) -> Result<Way, DropReason> {
    if from.has(Vport::PASSES) {
        return Ok(Way::new(To::Host, 0, false, 0));
    }
    if frame.src != from.mac {
        return Err(DropReason::SpoofMac);
    }
    let tagged = frame.tags != 0;
    if from.has(Vport::TAGS) && !is_own(frame, from.vlan) && (tagged || bears_tag(from)) {
        return Err(DropReason::VlanForeign);
    }
    fits_port(from, frame.packet)?;
    let scope = scope_of(from);
    // On the wire each frame of a VLAN has its tag.
    let out = from.has(Vport::TAGS) || tagged;
    if frame.dst.is_group() {
        return Ok(Way::new(To::All, from.link, out, scope));
    }
    if frame.dst == from.mac {
        return Err(DropReason::Hairpin);
    }
    match tables.local_port(scope, frame.dst) {
        Some(ifindex) => to_port(tables, ifindex, scope, frame),
        None => Ok(Way::new(To::Link, from.link, out, scope)),
    }
}

/// Decides about a frame that the device `link` received, for ports of a scope: a VLAN's, or the
/// device's own.
#[inline(always)]
pub fn ingress<T: Tables>(
    tables: &T,
    link: u32,
    scope: u32,
    frame: &Switched,
) -> Result<Way, DropReason> {
    let host = Way::new(To::Host, 0, frame.tags != 0, scope);
    let vlan = scope == scope::of_vlan(frame.vlan);
    if frame.dst.is_group() {
        // A second tag makes it nobody's here.
        let all = Way::new(To::All, link, frame.tags != 0, scope);
        return Ok(if vlan && frame.tags > 1 { host } else { all });
    }
    let Some(ifindex) = tables.local_port(scope, frame.dst) else {
        return Ok(host);
    };
    let port = tables.vport(ifindex).ok_or(DropReason::NoLocalPort)?;
    if port.link != link {
        return Ok(host);
    }
    if vlan && frame.tags > 1 {
        return Err(DropReason::VlanForeign);
    }
    to_port(tables, ifindex, scope, frame)
}

/// The frame has one tag, and that is the VLAN's.
#[inline(always)]
const fn is_own(frame: &Switched, vlan: u16) -> bool {
    frame.tags == 1 && frame.vlan == vlan
}

#[inline(always)]
fn to_port<T: Tables>(
    tables: &T,
    ifindex: u32,
    scope: u32,
    frame: &Switched,
) -> Result<Way, DropReason> {
    let port = tables.vport(ifindex).ok_or(DropReason::NoLocalPort)?;
    fits_port(port, frame.packet)?;
    let mut way = Way::new(To::Port, ifindex, form(port, frame.tags != 0), scope);
    way.slot = port.slot;
    Ok(way)
}

/// Whether a frame that goes to the port has a tag there.
#[inline(always)]
pub const fn form(port: &Vport, tagged: bool) -> bool {
    if port.has(Vport::TAGS) {
        bears_tag(port)
    } else {
        tagged
    }
}

/// The ports that get a copy of a broadcast, or some of them: see [`Flood::rest`].
#[inline(always)]
pub fn receivers<T: Tables>(tables: &T, scope: u32) -> Option<&Flood> {
    tables.flood(scope).filter(|flood| !flood.is_wide())
}

#[cfg(test)]
mod tests;
