//! At XDP.

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    btf_maps::DevMap,
    helpers::generated::bpf_xdp_adjust_head,
    macros::{btf_map, xdp},
    programs::XdpContext,
};

use super::{
    IP_CHECKSUM, IP_DST, IP_SRC, OUTER_LEN, TEXTBOOK_MAC, TEXTBOOK_PA, folded, is_gre, is_ipv4,
    look, outer, words,
};
use crate::bytes::{load, store};

/// The one device to send to.
#[btf_map]
static TEXTBOOK_DEVICE: DevMap<1> = DevMap::new();

/// From a tenant into the underlay.
#[xdp]
pub fn bench_textbook_encap(ctx: XdpContext) -> u32 {
    encap(&ctx).unwrap_or(XDP_DROP)
}

/// From the underlay to a tenant.
#[xdp]
pub fn bench_textbook_decap(ctx: XdpContext) -> u32 {
    decap(&ctx).unwrap_or(XDP_DROP)
}

/// Other addresses in place of those of a packet, in either direction: what differs are the records.
#[xdp]
pub fn bench_textbook_rewrite(ctx: XdpContext) -> u32 {
    rewrite(&ctx).unwrap_or(XDP_DROP)
}

#[inline(always)]
fn encap(ctx: &XdpContext) -> Option<u32> {
    if !is_ipv4(ctx)? {
        return Some(XDP_PASS);
    }
    let outer = outer(ctx)?;
    // SAFETY: the context is the one that the kernel gave; packet pointers are taken anew after this.
    if unsafe { bpf_xdp_adjust_head(ctx.ctx, -(OUTER_LEN as i32)) } != 0 {
        return None;
    }
    store(ctx, 0, outer)?;
    Some(send())
}

#[inline(always)]
fn decap(ctx: &XdpContext) -> Option<u32> {
    if !is_gre(ctx)? {
        return Some(XDP_PASS);
    }
    // SAFETY: as in `encap`.
    if unsafe { bpf_xdp_adjust_head(ctx.ctx, OUTER_LEN as i32) } != 0 {
        return None;
    }
    Some(send())
}

/// The packets have no checksum of UDP: the IP header's is the only one.
#[inline(always)]
fn rewrite(ctx: &XdpContext) -> Option<u32> {
    if !is_ipv4(ctx)? {
        return Some(XDP_PASS);
    }
    let (src, dst): ([u8; 4], [u8; 4]) = (load(ctx, IP_SRC)?, load(ctx, IP_DST)?);
    let checksum = u16::from_be(load(ctx, IP_CHECKSUM)?);
    let remote = look(dst)?;
    let new = TEXTBOOK_PA.load();
    // Less the old words is more their complements (RFC 1624).
    let gone = words(src.map(|byte| !byte)) + words(dst.map(|byte| !byte));
    let sum = folded(u32::from(!checksum) + gone + words(new) + words(remote.pa));
    store(ctx, 0, remote.mac)?;
    store(ctx, size_of_val(&remote.mac), TEXTBOOK_MAC.load())?;
    store(ctx, IP_CHECKSUM, (!sum).to_be())?;
    store(ctx, IP_SRC, new)?;
    store(ctx, IP_DST, remote.pa)?;
    Some(send())
}

#[inline(always)]
fn send() -> u32 {
    TEXTBOOK_DEVICE.redirect(0, 0).unwrap_or(XDP_DROP)
}
