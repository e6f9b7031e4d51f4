//! The do-nothing twins: they redirect to one device, by the helpers that the real programs use.

use aya_ebpf::{
    Global,
    bindings::xdp_action::XDP_ABORTED,
    btf_maps::DevMapHash,
    helpers::generated::{bpf_redirect, bpf_redirect_peer, bpf_skb_change_type},
    macros::{btf_map, classifier, xdp},
    programs::{TcContext, XdpContext},
};

/// A packet for this machine (`linux/if_packet.h`).
pub const PACKET_HOST: u32 = 0;

/// Index of the device to send to.
#[unsafe(no_mangle)]
static TARGET: Global<u32> = Global::new(0);
/// 1: to the receiving end of the pair that the device is of.
#[unsafe(no_mangle)]
static TO_PEER: Global<u32> = Global::new(0);

/// Devices by index.
#[btf_map]
static DEVICES: DevMapHash<8> = DevMapHash::new();

/// At XDP.
#[xdp]
pub fn bench_twin_xdp(_ctx: XdpContext) -> u32 {
    DEVICES.redirect(TARGET.load(), 0).unwrap_or(XDP_ABORTED)
}

/// At TC.
#[classifier]
pub fn bench_twin_tc(ctx: TcContext) -> i32 {
    let target = TARGET.load();
    // SAFETY: the context is the one of this run; the other helpers take plain numbers and only
    // record the target.
    let action = unsafe {
        if TO_PEER.load() == 0 {
            bpf_redirect(target, 0)
        } else {
            // The frame was not for the host's device, but it is for the tenant's.
            bpf_skb_change_type(ctx.skb.skb, PACKET_HOST);
            bpf_redirect_peer(target, 0)
        }
    };
    action as i32
}
