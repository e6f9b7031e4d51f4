//! Counts what a device receives, and ends it there.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, xdp_action::XDP_DROP},
    btf_maps::PerCpuArray,
    macros::{btf_map, classifier, xdp},
    programs::{TcContext, XdpContext},
};

/// Packets received.
#[btf_map]
static RECEIVED: PerCpuArray<u64, 1> = PerCpuArray::new();

/// At XDP: frames.
#[xdp]
pub fn bench_sink_xdp(_ctx: XdpContext) -> u32 {
    count();
    XDP_DROP
}

/// At TC: skbs.
#[classifier]
pub fn bench_sink_tc(_ctx: TcContext) -> i32 {
    count();
    TC_ACT_SHOT
}

#[inline(always)]
fn count() {
    if let Some(received) = RECEIVED.get_ptr_mut(0) {
        // SAFETY: the pointer is to this CPU's element of a per-CPU array, which lives as long as
        // the map; no other program runs on this CPU meanwhile.
        unsafe { *received = (*received).wrapping_add(1) };
    }
}
