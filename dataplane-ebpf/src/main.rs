//! Entry points of the eBPF programs, and what each verdict means to the kernel.
//!
//! The way of a packet is in [`pipeline`]; what is decided, in `dataplane-common`.
#![no_std]
#![no_main]

mod count;
mod maps;
mod packet;
mod pipeline;
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
        stats::Direction,
        upcall::{MOST_FRAME, PAIR, Task},
    },
    forward::Tables as _,
    reason::DropReason,
};

use crate::{
    maps::Maps,
    packet::{tc::Skb, xdp::Buff},
    pipeline::{Outcome, Target, Verdict},
};

/// vport -> underlay, at TC.
#[classifier]
pub fn nve_tc_egress(ctx: TcContext) -> i32 {
    let mut skb = Skb::new(ctx);
    let outcome = pipeline::egress(&mut skb);
    tc_action(&mut skb, Direction::Egress, outcome)
}

/// underlay -> vport, at TC.
#[classifier]
pub fn nve_tc_ingress(ctx: TcContext) -> i32 {
    let mut skb = Skb::new(ctx);
    let outcome = pipeline::ingress(&mut skb);
    tc_action(&mut skb, Direction::Ingress, outcome)
}

/// vport -> underlay, at XDP: for frames that are complete.
#[xdp]
pub fn nve_xdp_egress(ctx: XdpContext) -> u32 {
    let mut outcome = pipeline::egress(&mut Buff::new(ctx));
    xdp_action(Direction::Egress, &mut outcome)
}

/// underlay -> vport, at XDP.
#[xdp]
pub fn nve_xdp_ingress(ctx: XdpContext) -> u32 {
    let (ifindex, queue) = (ctx.ingress_ifindex() as u32, ctx.rx_queue_index());
    let mut outcome = pipeline::ingress(&mut Buff::new(ctx));
    if outcome.punt.is_some()
        && let Some(place) = upcall::socket(ifindex, queue)
    {
        return to_socket(&mut outcome, place);
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
    let mut skb = Skb::new(ctx);
    let Some((task, mut outcome)) = upcall::back(&mut skb) else {
        return TC_ACT_SHOT;
    };
    let direction = match task {
        Task::Egress => Direction::Egress,
        Task::Ingress => Direction::Ingress,
        // Made by user space, which counts it.
        Task::Deliver | Task::Handle => return tc_send(&outcome),
    };
    // Nobody is asked twice about one packet; and the stack has no use for one.
    match outcome.verdict {
        Verdict::Passed => outcome.verdict = Verdict::Dropped(DropReason::PuntFailed),
        Verdict::Dropped(_) if outcome.punt.is_some() => {
            outcome.verdict = Verdict::Dropped(DropReason::PuntLoop);
        }
        Verdict::Encapped
        | Verdict::Delivered
        | Verdict::Replied
        | Verdict::Punted
        | Verdict::Dropped(_) => {}
    }
    count::again(direction, &outcome);
    count::outcome(direction, &outcome);
    tc_send(&outcome)
}

/// A frame in driver memory, to the socket of its queue.
#[inline(always)]
fn to_socket(outcome: &mut Outcome, place: u32) -> u32 {
    let config = Maps.config().unwrap_or(&Config::DEFAULT);
    let fits = outcome.len <= MOST_FRAME;
    let paid = if fits {
        upcall::spend(config, outcome.bucket, 1)
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
fn tc_action(skb: &mut Skb, direction: Direction, mut outcome: Outcome) -> i32 {
    if let Some(punt) = outcome.punt
        && upcall::there()
    {
        match upcall::wrap(skb, &outcome, punt) {
            Ok(device) => {
                outcome.verdict = Verdict::Punted;
                outcome.target.ifindex = device;
            }
            Err(reason) => outcome.verdict = Verdict::Dropped(reason),
        }
    }
    count::outcome(direction, &outcome);
    tc_send(&outcome)
}

#[inline(always)]
fn tc_send(outcome: &Outcome) -> i32 {
    let Target { ifindex, peer, .. } = outcome.target;
    match outcome.verdict {
        // SAFETY: the helper takes plain numbers and only records the target; `peer`
        // was found out by the agent when it attached the port.
        Verdict::Delivered if peer != 0 => unsafe { bpf_redirect_peer(ifindex, 0) as i32 },
        // SAFETY: as above.
        Verdict::Encapped | Verdict::Delivered | Verdict::Replied | Verdict::Punted => unsafe {
            bpf_redirect(ifindex, 0) as i32
        },
        // "Next": other programs on the device, then the stack.
        Verdict::Passed => TC_ACT_UNSPEC,
        Verdict::Dropped(_) => TC_ACT_SHOT,
    }
}

/// What XDP passes or punts goes to the TC program on the same device, which decides
/// and counts it.
#[inline(always)]
fn xdp_action(direction: Direction, outcome: &mut Outcome) -> u32 {
    let action = match outcome.verdict {
        // Not XDP_TX for an answer: veth sends that only while its peer has a program.
        Verdict::Encapped | Verdict::Delivered | Verdict::Replied => {
            match maps::TX_PORTS.redirect(outcome.target.ifindex, 0) {
                Ok(action) => action,
                Err(_) => {
                    outcome.verdict = Verdict::Dropped(match outcome.verdict {
                        Verdict::Encapped => DropReason::EncapFailed,
                        _ => DropReason::NoLocalPort,
                    });
                    XDP_DROP
                }
            }
        }
        Verdict::Passed | Verdict::Punted => return XDP_PASS,
        Verdict::Dropped(_) if outcome.punt.is_some() => return XDP_PASS,
        Verdict::Dropped(_) => XDP_DROP,
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
