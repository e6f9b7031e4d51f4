//! Parser and decision as functions of their own, which leave what they found in memory of this CPU.
//!
//! Inlined into one, they would need more stack than a program has, and the verifier would go through
//! the rest of the program once for every way on which each of them can be left.

use core::hint::black_box;

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use dataplane_common::{
    abi::vport::Vport,
    forward::{
        self, Deliver, Edit, Encap, Halt,
        egress::Taker,
        neighbour::NeighbourReply,
        parse::{self, Frame, Headers},
    },
    id::Mac,
    reason::DropReason,
    wire::outer::Tunnelled,
};

use crate::maps::Maps;

/// What was found. Zeroes are valid for all of it but the reason in [`Halt`], which is read only once
/// it was written.
struct Scratch {
    headers: Headers,
    rest: Rest,
}

/// What the decision writes while it reads the headers.
struct Rest {
    halt: Halt,
    outer: Tunnelled,
    edit: Edit,
    ifindex: u32,
    slot: u32,
    act: u32,
    peer: bool,
    router: bool,
    mac: Mac,
}

/// Of this CPU's packet. Neither does one program of ours interrupt another, nor does a packet change
/// CPUs under way.
#[btf_map]
static SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();

/// What becomes of a frame that a port sent, where it was decided: see `forward::Egress`.
pub enum Found<'k> {
    /// To another host: what to put in front, the interface, what changes before.
    Encap(&'k Tunnelled, u32, &'k Edit),
    /// To another port: its device, its slot, whether it is a peer, what changes.
    Deliver(u32, u32, bool, &'k Edit),
    /// Who has the CA.
    Neighbour(NeighbourReply),
    /// The gateway is there.
    Echo,
    /// To all.
    Flood,
}

const HALT: u32 = 0;
const ENCAP: u32 = 1;
const DELIVER: u32 = 2;
const NEIGHBOUR: u32 = 3;
const ECHO: u32 = 4;
const FLOOD: u32 = 5;

#[inline(always)]
fn scratch<'k>() -> Option<&'k mut Scratch> {
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: the element lives as long as the map and is this program's alone: see `SCRATCH`. Nobody
    // holds a reference into it over a call of this module that writes it.
    Some(unsafe { &mut *black_box(scratch) })
}

/// Reads the headers of the frame at `offset` and keeps them; 0 when there are some. For functions
/// that are not inlined.
#[inline(always)]
pub fn write<F: Frame>(frame: &F, offset: u32) -> u32 {
    let Some(scratch) = scratch() else {
        return 1;
    };
    match parse::read(frame, offset as usize, &mut scratch.headers) {
        Ok(()) => 0,
        Err(reason) => {
            scratch.rest.halt.reason = reason;
            1
        }
    }
}

/// What [`write`] kept, by what it returned.
#[inline(always)]
pub fn kept<'k>(returned: u32) -> Result<&'k Headers, DropReason> {
    let scratch = scratch().ok_or(DropReason::Truncated)?;
    if returned == 0 {
        Ok(&scratch.headers)
    } else {
        Err(scratch.rest.halt.reason)
    }
}

/// Decides about the frame whose headers were kept, from this port.
#[inline(always)]
pub fn egress<'k>(port: &Vport) -> Result<Found<'k>, Halt> {
    let act = decide_egress(port);
    let Some(Scratch { rest: found, .. }) = scratch() else {
        return Err(DropReason::Truncated.into());
    };
    match act {
        ENCAP => Ok(Found::Encap(&found.outer, found.ifindex, &found.edit)),
        DELIVER => {
            let Rest { ifindex, slot, .. } = *found;
            Ok(Found::Deliver(ifindex, slot, found.peer, &found.edit))
        }
        NEIGHBOUR => Ok(Found::Neighbour(NeighbourReply {
            mac: found.mac,
            router: found.router,
        })),
        ECHO => Ok(Found::Echo),
        FLOOD => Ok(Found::Flood),
        _ => Err(found.halt),
    }
}

#[inline(never)]
fn decide_egress(port: &Vport) -> u32 {
    let Some(Scratch { headers, rest }) = scratch() else {
        return HALT;
    };
    rest.act = HALT;
    match forward::egress::decide(&Maps::new(), port, headers, rest) {
        Ok(()) => rest.act,
        Err(halt) => {
            rest.halt = halt;
            HALT
        }
    }
}

impl Taker for Rest {
    #[inline(always)]
    fn encap(&mut self, encap: Encap) {
        self.outer = encap.outer;
        self.edit = encap.edit;
        self.ifindex = encap.ifindex;
        self.act = ENCAP;
    }
    #[inline(always)]
    fn deliver(&mut self, deliver: Deliver) {
        self.edit = deliver.edit;
        self.ifindex = deliver.ifindex;
        self.slot = deliver.slot;
        self.peer = deliver.peer;
        self.act = DELIVER;
    }
    #[inline(always)]
    fn neighbour(&mut self, reply: NeighbourReply) {
        self.mac = reply.mac;
        self.router = reply.router;
        self.act = NEIGHBOUR;
    }
    #[inline(always)]
    fn echo(&mut self) {
        self.act = ECHO;
    }
    #[inline(always)]
    fn flood(&mut self) {
        self.act = FLOOD;
    }
}

/// Keeps what the outer headers say over the making of room for them.
#[inline(always)]
pub fn keep<'k>(outer: Tunnelled) -> Result<&'k Tunnelled, DropReason> {
    let scratch = scratch().ok_or(DropReason::EncapFailed)?;
    scratch.rest.outer = outer;
    Ok(&scratch.rest.outer)
}
