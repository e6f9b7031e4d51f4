//! Gives the program that is measured another packet in each run of one `BPF_PROG_TEST_RUN`: the
//! kernel repeats the frame as the last run left it, so it is made whole again first.

use core::arch::asm;

use aya_ebpf::{
    Global,
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP},
    btf_maps::{Array, ProgramArray},
    helpers::generated::bpf_xdp_adjust_head,
    macros::{btf_map, xdp},
    programs::XdpContext,
};

use crate::{
    bytes::{load, store},
    generator::make,
};

/// Offsets of an outer IPv4 header behind Ethernet.
const OUTER_CHECKSUM: usize = 24;
const OUTER_SRC: usize = 26;

/// Length of a whole frame, bytes.
#[unsafe(no_mangle)]
static DRIVEN_LEN: Global<u32> = Global::new(60);
/// Outer sources: key `k` comes from the first one plus `k` modulo this, a power of two; 0: there is
/// no outer source.
#[unsafe(no_mangle)]
static DRIVEN_SOURCES: Global<u32> = Global::new(0);
/// The program that is measured.
#[btf_map]
static DRIVEN: ProgramArray<1> = ProgramArray::new();

/// Where the fence writes.
#[btf_map]
static FENCES: Array<u64, 1> = Array::new();

/// Makes the next packet and goes on in the program that is measured.
#[xdp]
pub fn bench_drive(ctx: XdpContext) -> u32 {
    if next(&ctx).is_some() && fence().is_some() {
        // SAFETY: the context is the one that the kernel gave; where the call succeeds it does not
        // return.
        unsafe { DRIVEN.tail_call(&ctx, 0) };
    }
    XDP_ABORTED
}

/// Waits until what was written is in the cache: a frame of a device was not written just now, and to
/// read what is still on its way there costs time that no packet has to pay. An atomic operation does
/// so on x86-64.
#[inline(always)]
fn fence() -> Option<()> {
    let count = FENCES.get_ptr_mut(0)?;
    // SAFETY: an atomic addition to an element of an array, aligned as its type, which lives as long as
    // the map and to which nothing has a reference; it touches nothing else.
    unsafe { asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) count, in(reg) 1_u64) };
    Some(())
}

/// What the others are compared with.
#[xdp]
pub fn bench_driven_empty(_ctx: XdpContext) -> u32 {
    XDP_DROP
}

#[inline(always)]
fn next(ctx: &XdpContext) -> Option<()> {
    let longer = (ctx.data_end() - ctx.data()) as i32 - DRIVEN_LEN.load() as i32;
    // Called in each run, so that all of them cost the same.
    // SAFETY: the context is the one that the kernel gave; packet pointers are taken anew after this.
    if unsafe { bpf_xdp_adjust_head(ctx.ctx, longer) } != 0 {
        return None;
    }
    let key = make(ctx)?;
    let sources = DRIVEN_SOURCES.load();
    if sources == 0 {
        return Some(());
    }
    let host = key & (sources - 1);
    let first = u32::from_be(load(ctx, OUTER_SRC)?);
    store(ctx, OUTER_SRC, first.wrapping_add(host).to_be())?;
    let sum = u32::from(!u16::from_be(load(ctx, OUTER_CHECKSUM)?)) + host;
    let sum = (sum & 0xFFFF) + (sum >> 16);
    store(ctx, OUTER_CHECKSUM, (!(sum as u16)).to_be())
}
