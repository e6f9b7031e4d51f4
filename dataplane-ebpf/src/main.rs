//! Entry points of the eBPF programs, and what each verdict means to the kernel.
//!
//! The way of a packet is in [`pipeline`]; what is decided, in `dataplane-common`.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod count;
mod edit;
mod flood;
mod maps;
mod opaque;
mod outcome;
mod packet;
mod pipeline;
mod plain;
mod records;
mod rewrite;
mod scan;
mod upcall;

use aya_ebpf::{
    bindings::{
        TC_ACT_SHOT, TC_ACT_UNSPEC,
        xdp_action::{XDP_DROP, XDP_PASS},
    },
    helpers::generated::{bpf_redirect, bpf_redirect_peer},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use dataplane_common::{
    abi::{
        config::Config,
        programs::{
            EXTERNAL_INGRESS, FLOOD_EGRESS, FLOOD_INGRESS, PA_NEIGHBOUR, PLAIN_EGRESS, VLAN_INGRESS,
        },
        stats::Direction,
        upcall::{MOST_FRAME, PAIR},
    },
    forward::Tables as _,
    reason::DropReason,
};

use crate::{
    flood::Progress,
    maps::Maps,
    outcome::{Outcome, Target, Verdict},
    packet::{tc::Skb, xdp::Buff},
};

/// vport -> underlay, at TC.
#[classifier]
pub fn nve_tc_egress(ctx: TcContext) -> i32 {
    let maps = Maps::new();
    let mut skb = Skb::new(ctx);
    let outcome = pipeline::egress(&maps, &mut skb);
    tc_action(&maps, &mut skb, Direction::Egress, outcome)
}

/// underlay -> vport, at TC.
#[classifier]
pub fn nve_tc_ingress(ctx: TcContext) -> i32 {
    let maps = Maps::new();
    let mut skb = Skb::new(ctx);
    let outcome = pipeline::ingress(&maps, &mut skb);
    tc_action(&maps, &mut skb, Direction::Ingress, outcome)
}

/// A broadcast of a vport: `nve_tc_egress` and `nve_tc_back_egress` go on here.
#[classifier]
pub fn nve_tc_flood_egress(ctx: TcContext) -> i32 {
    let maps = Maps::new();
    let mut skb = Skb::continued(ctx);
    let mut outcome = flood::egress(&maps, &mut skb);
    if matches!(outcome.verdict, Verdict::Flood) {
        let (number, outer) = (0, 0);
        skb.go_on_copying(Progress { number, outer });
        outcome.verdict = Verdict::Dropped(DropReason::BcastFailed);
    }
    count::outcome(Direction::Egress, &outcome);
    tc_send(&outcome)
}

/// One other host's copy of it: `nve_tc_flood_egress` goes on here, and this in itself.
#[classifier]
pub fn nve_tc_flood_remote(ctx: TcContext) -> i32 {
    let maps = Maps::new();
    let mut skb = Skb::continued(ctx);
    let progress = skb.progress();
    let (outcome, next) = flood::to_host(&maps, &mut skb, progress);
    if let Some(next) = next {
        skb.go_on_copying(next);
    }
    count::outcome(Direction::Egress, &outcome);
    tc_send(&outcome)
}

/// A broadcast from the underlay: `nve_tc_ingress` and `nve_tc_back_ingress` go on here.
#[classifier]
pub fn nve_tc_flood_ingress(ctx: TcContext) -> i32 {
    let maps = Maps::new();
    let mut skb = Skb::continued(ctx);
    let outcome = flood::ingress(&maps, &mut skb);
    count::outcome(Direction::Ingress, &outcome);
    tc_send(&outcome)
}

/// A frame of a vport that is not virtualized: `nve_tc_egress` goes on here.
#[classifier]
pub fn nve_tc_plain_egress(ctx: TcContext) -> i32 {
    let maps = Maps::new();
    let mut skb = Skb::continued(ctx);
    let outcome = plain::egress(&maps, &mut skb);
    count::outcome(Direction::Egress, &outcome);
    tc_send(&outcome)
}

/// A frame of an uplink with a VLAN tag: `nve_tc_ingress` goes on here.
#[classifier]
pub fn nve_tc_vlan_ingress(ctx: TcContext) -> i32 {
    let maps = Maps::new();
    let mut skb = Skb::continued(ctx);
    let outcome = plain::vlan(&maps, &mut skb);
    count::outcome(Direction::Ingress, &outcome);
    tc_send(&outcome)
}

/// Who asks on an uplink for an address: `nve_tc_ingress` goes on here.
#[classifier]
pub fn nve_tc_pa_neighbour(ctx: TcContext) -> i32 {
    let maps = Maps::new();
    let mut skb = Skb::continued(ctx);
    let outcome = rewrite::asked(&maps, &mut skb);
    count::outcome(Direction::Ingress, &outcome);
    tc_send(&outcome)
}

/// External interface -> vport.
#[classifier]
pub fn nve_tc_external(ctx: TcContext) -> i32 {
    Skb::new(ctx).go_on(EXTERNAL_INGRESS);
    TC_ACT_UNSPEC
}

/// `nve_tc_external` goes on here.
#[classifier]
pub fn nve_tc_external_ingress(ctx: TcContext) -> i32 {
    let maps = Maps::new();
    let mut skb = Skb::continued(ctx);
    let outcome = plain::external(&maps, &mut skb);
    count::outcome(Direction::Ingress, &outcome);
    tc_send(&outcome)
}

/// vport -> underlay, at XDP: for frames that are complete.
#[xdp]
pub fn nve_xdp_egress(ctx: XdpContext) -> u32 {
    let mut outcome = pipeline::egress(&Maps::new(), &mut Buff::new(ctx));
    xdp_action(Direction::Egress, &mut outcome)
}

/// underlay -> vport, at XDP.
#[xdp]
pub fn nve_xdp_ingress(ctx: XdpContext) -> u32 {
    let (ifindex, queue) = (ctx.ingress_ifindex() as u32, ctx.rx_queue_index());
    let maps = Maps::new();
    let mut outcome = pipeline::ingress(&maps, &mut Buff::new(ctx));
    if outcome.punt.is_some()
        && let Some(place) = upcall::socket(ifindex, queue)
    {
        return to_socket(&maps, &mut outcome, place);
    }
    xdp_action(Direction::Ingress, &mut outcome)
}

/// At the far end of the upcall pair: everything is for `nved`.
#[xdp]
pub fn nve_xdp_upcall(_ctx: XdpContext) -> u32 {
    maps::XSKS.redirect(PAIR, 0).unwrap_or(XDP_DROP)
}

/// What user space gives back, on the near end of the upcall pair; nothing else is there.
#[classifier]
pub fn nve_tc_upcall(ctx: TcContext) -> i32 {
    let maps = Maps::new();
    let mut skb = Skb::new(ctx);
    match upcall::back(&maps, &mut skb) {
        Some(outcome) => tc_send(&outcome),
        None => TC_ACT_SHOT,
    }
}

/// vport -> underlay, a second time: `nve_tc_upcall` goes on here.
#[classifier]
pub fn nve_tc_back_egress(ctx: TcContext) -> i32 {
    let maps = Maps::new();
    let mut skb = Skb::continued(ctx);
    let outcome = pipeline::egress(&maps, &mut skb);
    tc_again(&skb, Direction::Egress, outcome)
}

/// underlay -> vport, a second time: `nve_tc_upcall` goes on here.
#[classifier]
pub fn nve_tc_back_ingress(ctx: TcContext) -> i32 {
    let maps = Maps::new();
    let mut skb = Skb::continued(ctx);
    let outcome = pipeline::ingress(&maps, &mut skb);
    tc_again(&skb, Direction::Ingress, outcome)
}

/// Nobody is asked twice about one packet; and the stack has no use for one.
#[inline(always)]
fn tc_again(skb: &Skb, direction: Direction, mut outcome: Outcome) -> i32 {
    match outcome.verdict {
        // Nor is anybody asked about a port that is not virtualized: it was another's meanwhile.
        Verdict::Passed | Verdict::Plain | Verdict::Asked => {
            outcome.verdict = Verdict::Dropped(DropReason::PuntFailed);
        }
        Verdict::Dropped(_) if outcome.punt.is_some() => {
            outcome.verdict = Verdict::Dropped(DropReason::PuntLoop);
        }
        Verdict::Encapped
        | Verdict::Rewritten
        | Verdict::Delivered
        | Verdict::Replied
        | Verdict::Sent
        | Verdict::Punted
        | Verdict::Flood
        | Verdict::Flooded
        | Verdict::Dropped(_) => {}
    }
    count::again(direction, &outcome);
    spread(skb, direction, &mut outcome);
    count::outcome(direction, &outcome);
    tc_send(&outcome)
}

/// A frame in driver memory, to the socket of its queue.
#[inline(always)]
fn to_socket(maps: &Maps, outcome: &mut Outcome, place: u32) -> u32 {
    let config = maps.config().unwrap_or(&Config::DEFAULT);
    let fits = outcome.len <= MOST_FRAME;
    let paid = if fits {
        upcall::spend(config, outcome.payer(), 1)
    } else {
        Err(DropReason::PuntFailed)
    };
    let action = match paid {
        Ok(()) => {
            outcome.verdict = Verdict::Punted;
            maps::XSKS.redirect(place, 0).unwrap_or_else(|_| {
                outcome.verdict = Verdict::Dropped(DropReason::PuntFailed);
                XDP_DROP
            })
        }
        Err(reason) => {
            outcome.verdict = Verdict::Dropped(reason);
            XDP_DROP
        }
    };
    count::outcome(Direction::Ingress, outcome);
    action
}

#[inline(always)]
fn tc_action(maps: &Maps, skb: &mut Skb, direction: Direction, mut outcome: Outcome) -> i32 {
    if let Some(punt) = outcome.punt
        && upcall::there()
    {
        match upcall::wrap(maps, skb, &outcome, punt) {
            Ok(device) => {
                outcome.verdict = Verdict::Punted;
                outcome.target.ifindex = device;
            }
            Err(reason) => outcome.verdict = Verdict::Dropped(reason),
        }
    }
    spread(skb, direction, &mut outcome);
    count::outcome(direction, &outcome);
    tc_send(&outcome)
}

/// Goes on in another program, if that shall decide or make copies: it has a stack of its own.
#[inline(always)]
fn spread(skb: &Skb, direction: Direction, outcome: &mut Outcome) {
    let (place, without) = match (outcome.verdict, direction) {
        (Verdict::Flood, Direction::Egress) => (FLOOD_EGRESS, BCAST_FAILED),
        (Verdict::Flood, Direction::Ingress) => (FLOOD_INGRESS, BCAST_FAILED),
        (Verdict::Plain, Direction::Egress) => (PLAIN_EGRESS, BCAST_FAILED),
        // The host's own VLANs go on.
        (Verdict::Plain, Direction::Ingress) => (VLAN_INGRESS, Verdict::Passed),
        (Verdict::Asked, _) => (PA_NEIGHBOUR, Verdict::Passed),
        (
            Verdict::Encapped
            | Verdict::Rewritten
            | Verdict::Delivered
            | Verdict::Replied
            | Verdict::Passed
            | Verdict::Sent
            | Verdict::Punted
            | Verdict::Flooded
            | Verdict::Dropped(_),
            _,
        ) => return,
    };
    skb.go_on(place);
    outcome.verdict = without;
}

const BCAST_FAILED: Verdict = Verdict::Dropped(DropReason::BcastFailed);

#[inline(always)]
fn tc_send(outcome: &Outcome) -> i32 {
    let Target { ifindex, peer, .. } = outcome.target;
    match outcome.verdict {
        // SAFETY: the helper takes plain numbers and only records the target; `peer`
        // was found out by the agent when it attached the port.
        Verdict::Delivered if peer != 0 => unsafe { bpf_redirect_peer(ifindex, 0) as i32 },
        // SAFETY: as above.
        Verdict::Encapped
        | Verdict::Rewritten
        | Verdict::Delivered
        | Verdict::Replied
        | Verdict::Sent
        | Verdict::Punted => unsafe { bpf_redirect(ifindex, 0) as i32 },
        // "Next": other programs on the device, then the stack.
        Verdict::Passed => TC_ACT_UNSPEC,
        Verdict::Plain
        | Verdict::Asked
        | Verdict::Flood
        | Verdict::Flooded
        | Verdict::Dropped(_) => TC_ACT_SHOT,
    }
}

/// What XDP passes or punts goes to the TC program on the same device, which decides
/// and counts it.
#[inline(always)]
fn xdp_action(direction: Direction, outcome: &mut Outcome) -> u32 {
    let action = match outcome.verdict {
        // Not XDP_TX for an answer: veth sends that only while its peer has a program.
        Verdict::Encapped | Verdict::Rewritten | Verdict::Delivered | Verdict::Replied => {
            match maps::TX_PORTS.redirect(outcome.target.ifindex, 0) {
                Ok(action) => action,
                Err(_) => {
                    outcome.verdict = Verdict::Dropped(match outcome.verdict {
                        Verdict::Encapped | Verdict::Rewritten => DropReason::EncapFailed,
                        _ => DropReason::NoLocalPort,
                    });
                    XDP_DROP
                }
            }
        }
        // Tags and copies are TC's to make.
        Verdict::Passed
        | Verdict::Sent
        | Verdict::Plain
        | Verdict::Asked
        | Verdict::Punted
        | Verdict::Flood => {
            return XDP_PASS;
        }
        Verdict::Dropped(_) if outcome.punt.is_some() => return XDP_PASS,
        Verdict::Flooded | Verdict::Dropped(_) => XDP_DROP,
    };
    count::outcome(direction, outcome);
    action
}

/// Licence of the programs, for helpers that the kernel gives to GPL programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
pub static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
