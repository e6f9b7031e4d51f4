//! Counts frames by the record that they show: one of two, or something of both.

use aya_ebpf::{
    Global,
    bindings::xdp_action::XDP_DROP,
    btf_maps::PerCpuArray,
    macros::{btf_map, xdp},
    programs::XdpContext,
};

use crate::bytes::load;

const ETHER_TYPE: usize = 12;
const IPV4: u16 = 0x0800;
const PROTOCOL: usize = 23;
const GRE: u8 = 47;
const OUTER_DST: usize = 30;
const GRE_KEY: usize = 38;
const INNER_DST: usize = 42;
/// Bits of the FlowID behind the VSID.
const FLOW_BITS: u32 = 8;

/// Outer destination, VSID and inner destination MAC of the two records, the MAC in two words of its
/// bytes' own order.
#[unsafe(no_mangle)]
static SHOWN_LOOKS: Global<[[u32; 4]; 2]> = Global::new([[0; 4]; 2]);

/// Frames that show the first, the second, and neither.
#[btf_map]
static SHOWN: PerCpuArray<u64, 3> = PerCpuArray::new();

/// Counts NVGRE frames; no other is one of ours.
#[xdp]
pub fn bench_sink_shown(ctx: XdpContext) -> u32 {
    if let Some(look) = look(&ctx)
        && let Some(seen) = SHOWN.get_ptr_mut(which(look))
    {
        // SAFETY: the pointer is to this CPU's element of a per-CPU array, which lives as long as
        // the map; no other program runs on this CPU meanwhile.
        unsafe { *seen = (*seen).wrapping_add(1) };
    }
    XDP_DROP
}

#[inline(always)]
fn which(look: [u32; 4]) -> u32 {
    let [first, second] = SHOWN_LOOKS.load();
    if same(look, first) {
        0
    } else if same(look, second) {
        1
    } else {
        2
    }
}

#[inline(always)]
fn same(one: [u32; 4], other: [u32; 4]) -> bool {
    let [a, b, c, d] = one;
    let [e, f, g, h] = other;
    a == e && b == f && c == g && d == h
}

#[inline(always)]
fn look(ctx: &XdpContext) -> Option<[u32; 4]> {
    if load::<u16>(ctx, ETHER_TYPE)? != IPV4.to_be() || load::<u8>(ctx, PROTOCOL)? != GRE {
        return None;
    }
    Some([
        u32::from_be(load(ctx, OUTER_DST)?),
        u32::from_be(load(ctx, GRE_KEY)?) >> FLOW_BITS,
        load(ctx, INNER_DST)?,
        u32::from(load::<u16>(ctx, INNER_DST + 4)?),
    ])
}
