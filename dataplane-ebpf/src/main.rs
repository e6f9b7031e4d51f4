//! Entry points of the eBPF programs, and what each verdict means to the kernel.
//!
//! The way of a packet is in [`pipeline`]; what is decided, in `dataplane-common`.
#![no_std]
#![no_main]

mod count;
mod maps;
mod packet;
mod pipeline;

use aya_ebpf::{
    bindings::{
        TC_ACT_SHOT, TC_ACT_UNSPEC,
        xdp_action::{XDP_DROP, XDP_PASS},
    },
    helpers::generated::{bpf_redirect, bpf_redirect_peer},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use dataplane_common::{abi::stats::Direction, reason::DropReason};

use crate::{
    packet::{tc::Skb, xdp::Buff},
    pipeline::{Outcome, Target, Verdict},
};

/// vport -> underlay, at TC.
#[classifier]
pub fn nve_tc_egress(ctx: TcContext) -> i32 {
    tc_action(Direction::Egress, pipeline::egress(&mut Skb::new(ctx)))
}

/// underlay -> vport, at TC.
#[classifier]
pub fn nve_tc_ingress(ctx: TcContext) -> i32 {
    tc_action(Direction::Ingress, pipeline::ingress(&mut Skb::new(ctx)))
}

/// vport -> underlay, at XDP: for frames that are complete.
#[xdp]
pub fn nve_xdp_egress(ctx: XdpContext) -> u32 {
    xdp_action(Direction::Egress, pipeline::egress(&mut Buff::new(ctx)))
}

/// underlay -> vport, at XDP.
#[xdp]
pub fn nve_xdp_ingress(ctx: XdpContext) -> u32 {
    xdp_action(Direction::Ingress, pipeline::ingress(&mut Buff::new(ctx)))
}

#[inline(always)]
fn tc_action(direction: Direction, outcome: Outcome) -> i32 {
    count::outcome(direction, &outcome);
    let Target { ifindex, peer, .. } = outcome.target;
    match outcome.verdict {
        // SAFETY: the helper takes plain numbers and only records the target; `peer`
        // was found out by the agent when it attached the port.
        Verdict::Delivered if peer != 0 => unsafe { bpf_redirect_peer(ifindex, 0) as i32 },
        // SAFETY: as above.
        Verdict::Encapped | Verdict::Delivered | Verdict::Replied => unsafe {
            bpf_redirect(ifindex, 0) as i32
        },
        // "Next": other programs on the device, then the stack.
        Verdict::Passed => TC_ACT_UNSPEC,
        Verdict::Dropped(_) => TC_ACT_SHOT,
    }
}

/// What XDP passes goes to the TC program on the same device, which decides
/// and counts it.
#[inline(always)]
fn xdp_action(direction: Direction, mut outcome: Outcome) -> u32 {
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
        Verdict::Passed => return XDP_PASS,
        Verdict::Dropped(_) => XDP_DROP,
    };
    count::outcome(direction, &outcome);
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
