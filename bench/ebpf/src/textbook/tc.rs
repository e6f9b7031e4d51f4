//! At TC.

use aya_ebpf::{
    Global,
    bindings::{
        BPF_F_ADJ_ROOM_ENCAP_L2_ETH, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L4_GRE,
        BPF_F_ADJ_ROOM_FIXED_GSO, TC_ACT_SHOT, TC_ACT_UNSPEC, bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
    },
    helpers::generated::{
        bpf_redirect, bpf_redirect_peer, bpf_skb_adjust_room, bpf_skb_change_type,
    },
    macros::classifier,
    programs::TcContext,
};

use super::{OUTER_LEN, is_gre, is_ipv4, outer};
use crate::{
    bytes::{load, store},
    twin::PACKET_HOST,
};

/// An Ethernet header.
type Eth = [u8; 14];

/// Index of the device to send to.
#[unsafe(no_mangle)]
static TEXTBOOK_TARGET: Global<u32> = Global::new(0);

/// From a tenant into the underlay.
#[classifier]
pub fn bench_textbook_encap_tc(ctx: TcContext) -> i32 {
    encap(&ctx).unwrap_or(TC_ACT_SHOT)
}

/// From the underlay to a tenant.
#[classifier]
pub fn bench_textbook_decap_tc(ctx: TcContext) -> i32 {
    decap(&ctx).unwrap_or(TC_ACT_SHOT)
}

#[inline(always)]
fn encap(ctx: &TcContext) -> Option<i32> {
    const MARKS: u32 = BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_GRE;
    const L2: u64 = (size_of::<Eth>() as u64) << 56;
    const FLAGS: u64 = (MARKS | BPF_F_ADJ_ROOM_ENCAP_L2_ETH | BPF_F_ADJ_ROOM_FIXED_GSO) as u64 | L2;
    if !is_ipv4(ctx)? {
        return Some(TC_ACT_UNSPEC);
    }
    let (inner, outer): (Eth, _) = (load(ctx, 0)?, outer(ctx)?);
    if !adjust(ctx, OUTER_LEN as i32, FLAGS) {
        return None;
    }
    store(ctx, 0, outer)?;
    store(ctx, OUTER_LEN, inner)?;
    // SAFETY: the helper takes plain numbers and only records the target.
    Some(unsafe { bpf_redirect(TEXTBOOK_TARGET.load(), 0) } as i32)
}

#[inline(always)]
fn decap(ctx: &TcContext) -> Option<i32> {
    if !is_gre(ctx)? {
        return Some(TC_ACT_UNSPEC);
    }
    let inner: Eth = load(ctx, OUTER_LEN)?;
    if !adjust(ctx, -(OUTER_LEN as i32), BPF_F_ADJ_ROOM_FIXED_GSO as u64) {
        return None;
    }
    store(ctx, 0, inner)?;
    // SAFETY: the context is the one of this run; the other helper takes plain numbers.
    let action = unsafe {
        bpf_skb_change_type(ctx.skb.skb, PACKET_HOST);
        bpf_redirect_peer(TEXTBOOK_TARGET.load(), 0)
    };
    Some(action as i32)
}

/// Makes the packet so much longer, or shorter, behind its first Ethernet header.
#[inline(always)]
fn adjust(ctx: &TcContext, by: i32, flags: u64) -> bool {
    // SAFETY: the context is the one that the kernel gave; packet pointers are taken anew after this.
    unsafe { bpf_skb_adjust_room(ctx.skb.skb, by, BPF_ADJ_ROOM_MAC, flags) == 0 }
}
