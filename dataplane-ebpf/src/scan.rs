//! Parser and decision as functions of their own, which leave what they found in memory of this CPU.
//!
//! Inlined into one, they would need more stack than a program has, and the verifier would go through
//! the rest of the program once for every way on which each of them can be left.

use core::hint::black_box;

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use dataplane_common::{
    abi::{rewrite::RewriteEntry, vport::Vport},
    forward::{
        self, Deliver, Edit, Encap, Halt,
        egress::Taker,
        neighbour::NeighbourReply,
        outer::Tunnel,
        parse::{self, Frame, Headers},
        rewrite::{self, Pair, Rewrite},
    },
    id::Mac,
    reason::DropReason,
    wire::{ether::EthHeader, outer::Tunnelled},
};

use crate::{maps::Maps, packet::Packet};

/// What was found. Zeroes are valid for all of it but the reason in [`Halt`], which is read only once
/// it was written.
struct Scratch {
    headers: Headers,
    rest: Rest,
}

/// What the decision writes while it reads the headers.
struct Rest {
    tunnel: Tunnel,
    halt: Halt,
    outer: Tunnelled,
    edit: Edit,
    pair: Pair,
    pa_index: u32,
    ifindex: u32,
    slot: u32,
    act: u32,
    offset: u32,
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
    /// To another host with other addresses, see [`readdressed`]: the interface, what else changes.
    Rewrite(u32, &'k Edit),
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
const REWRITE: u32 = 6;

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
    scratch().map_or(1, |scratch| scratch.read(frame, offset))
}

impl Scratch {
    /// See [`write`].
    #[inline(always)]
    fn read<F: Frame>(&mut self, frame: &F, offset: u32) -> u32 {
        match parse::read(frame, offset as usize, &mut self.headers) {
            Ok(()) => 0,
            Err(reason) => {
                self.rest.halt = reason.into();
                1
            }
        }
    }

    /// What the frame becomes whose headers were read, and which is from this port.
    #[inline(always)]
    fn decide(&mut self, port: &Vport) -> u32 {
        let Self { headers, rest } = self;
        rest.act = HALT;
        match forward::egress::decide(&Maps::new(), port, headers, rest) {
            Ok(()) => rest.act,
            Err(halt) => {
                rest.halt = halt;
                HALT
            }
        }
    }
}

/// Keeps what the outer headers said, which the verifier need not know in each of its forms.
#[inline(always)]
pub fn keep_tunnel<'k>(tunnel: Tunnel) -> Result<&'k Tunnel, DropReason> {
    let scratch = scratch().ok_or(DropReason::Truncated)?;
    scratch.rest.tunnel = tunnel;
    Ok(&scratch.rest.tunnel)
}

/// Bytes in front of the inner frame, of which the verifier forgets that they are 42 or 62: it would go
/// through the parser once for each.
#[inline(always)]
pub fn offset_of_inner(tunnel: &Tunnel) -> Result<usize, DropReason> {
    let scratch = scratch().ok_or(DropReason::Truncated)?;
    let offset = &raw mut scratch.rest.offset;
    // SAFETY: the element is this program's alone, as in `scratch`; volatile, so that the number is read
    // from there.
    let known = unsafe {
        offset.write_volatile(tunnel.outer_len() as u32);
        offset.read_volatile()
    };
    Ok((known & MOST_OUTER) as usize)
}

/// Bits that the length of outer headers has.
const MOST_OUTER: u32 = 0x3F;

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

/// Reads the headers of a frame from this port, and decides about it.
#[inline(always)]
pub fn egress<'k, P: Packet>(packet: &P, port: &Vport) -> Result<(&'k Headers, Found<'k>), Halt> {
    let mut act = packet.decide(port);
    if act == REWRITE {
        act = decide_pas(port);
    }
    let Some(Scratch {
        headers,
        rest: found,
    }) = scratch()
    else {
        return Err(DropReason::Truncated.into());
    };
    Ok((headers, told_what(act, found)?))
}

#[inline(always)]
fn told_what(act: u32, found: &Rest) -> Result<Found<'_>, Halt> {
    match act {
        ENCAP => Ok(Found::Encap(&found.outer, found.ifindex, &found.edit)),
        REWRITE => Ok(Found::Rewrite(found.ifindex, &found.edit)),
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

/// What the frame becomes whose headers were kept, and which is from this port; [`HALT`], if `scanned`
/// says that there are none.
#[inline(always)]
pub fn judge(scanned: u32, port: &Vport) -> u32 {
    if scanned == 0 {
        decide_egress(port)
    } else {
        HALT
    }
}

/// [`write`] and [`judge`] in the caller's function.
#[inline(always)]
pub fn write_and_judge<F: Frame>(frame: &F, port: &Vport) -> u32 {
    let Some(scratch) = scratch() else {
        return HALT;
    };
    if scratch.read(frame, 0) != 0 {
        return HALT;
    }
    scratch.decide(port)
}

#[inline(never)]
fn decide_egress(port: &Vport) -> u32 {
    scratch().map_or(HALT, |scratch| scratch.decide(port))
}

/// One function less deep than if the one before called it.
#[inline(never)]
fn decide_pas(port: &Vport) -> u32 {
    let Some(Scratch { headers, rest }) = scratch() else {
        return HALT;
    };
    let to = (rest.pa_index, rest.edit);
    match rewrite::egress(&Maps::new(), port, headers, to) {
        Ok(Rewrite {
            ifindex,
            pair,
            edit,
        }) => {
            rest.ifindex = ifindex;
            rest.pair = pair;
            rest.edit = edit;
            REWRITE
        }
        Err(halt) => {
            rest.halt = halt;
            HALT
        }
    }
}

/// A packet for the PA of a port here.
pub struct Back<'k> {
    /// The port's device.
    pub ifindex: u32,
    /// Its slot.
    pub slot: u32,
    /// Whether it is a peer.
    pub peer: bool,
    /// What changes but the addresses, see [`readdressed`].
    pub edit: &'k Edit,
}

/// Decides about the packet whose headers were kept, and which is for the PA of a port here.
#[inline(always)]
pub fn back<'k>(to: &RewriteEntry) -> Result<Back<'k>, Halt> {
    let act = decide_back(to);
    let Some(Scratch { rest: found, .. }) = scratch() else {
        return Err(DropReason::Truncated.into());
    };
    if act != DELIVER {
        return Err(found.halt);
    }
    let Rest { ifindex, slot, .. } = *found;
    Ok(Back {
        ifindex,
        slot,
        peer: found.peer,
        edit: &found.edit,
    })
}

#[inline(never)]
fn decide_back(to: &RewriteEntry) -> u32 {
    let Some(Scratch { headers, rest }) = scratch() else {
        return HALT;
    };
    match rewrite::ingress(&Maps::new(), to, headers) {
        Ok(rewrite::Back { deliver, pair }) => {
            rest.pair = pair;
            rest.deliver(deliver);
            DELIVER
        }
        Err(halt) => {
            rest.halt = halt;
            HALT
        }
    }
}

/// Keeps the reason of what a function that is not inlined could not do; 0 where there is none.
#[inline(always)]
pub fn tell(done: Result<(), DropReason>) -> u32 {
    let (Err(reason), Some(scratch)) = (done, scratch()) else {
        return 0;
    };
    scratch.rest.halt.reason = reason;
    1
}

/// What [`tell`] kept, by what it returned.
#[inline(always)]
pub fn told(returned: u32) -> Result<(), DropReason> {
    if returned == 0 {
        return Ok(());
    }
    let scratch = scratch().ok_or(DropReason::Truncated)?;
    Err(scratch.rest.halt.reason)
}

/// The headers that were kept, and the addresses and Ethernet header that the packet gets.
#[inline(always)]
pub fn readdressed<'k>() -> Option<(&'k Headers, &'k Pair, &'k EthHeader)> {
    let Scratch { headers, rest } = scratch()?;
    Some((headers, &rest.pair, &rest.edit.eth))
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
    fn rewrite(&mut self, pa_index: u32, edit: Edit) {
        self.edit = edit;
        self.pa_index = pa_index;
        self.act = REWRITE;
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
