//! Makes a frame in each run of `BPF_PROG_TEST_RUN` with live frames, and sends it.
//!
//! The kernel recycles the pages of frames without writing to them, and whoever forwards a frame
//! edits it, so the whole head is written anew each time.

use aya_ebpf::{
    Global,
    bindings::xdp_action::XDP_ABORTED,
    btf_maps::{Array, PerCpuArray},
    helpers::generated::{bpf_get_smp_processor_id, bpf_redirect},
    macros::{btf_map, xdp},
    programs::XdpContext,
};

use crate::{bytes::store, draw::draw};

/// Words of the longest head: two Ethernet, two IPv4, a GRE and a UDP header, and a bit.
const WORDS: usize = 12;
/// Bytes of a word.
const WORD: usize = 8;
/// Room in [`SAMPLES`] is a power of two, so a mask keeps the index inside.
const SAMPLES_LEN: usize = 1 << 20;

/// The head of every frame, key 0 in it.
#[unsafe(no_mangle)]
static HEAD: Global<[u64; WORDS]> = Global::new([0; WORDS]);
/// How many of its words are written.
#[unsafe(no_mangle)]
static HEAD_WORDS: Global<u32> = Global::new(0);
/// Where the key goes, bytes from the frame's first.
#[unsafe(no_mangle)]
static KEY_OFFSET: Global<u32> = Global::new(0);
/// What key 0 is written as.
#[unsafe(no_mangle)]
static FIRST_KEY: Global<u32> = Global::new(0);
/// Where the checksum over the key is; 0: there is none.
#[unsafe(no_mangle)]
static CHECKSUM_OFFSET: Global<u32> = Global::new(0);
/// The checksum of [`HEAD`], host order.
#[unsafe(no_mangle)]
static CHECKSUM: Global<u32> = Global::new(0);
/// Keys in use: 0..this.
#[unsafe(no_mangle)]
static KEYS: Global<u32> = Global::new(1);
/// 1: keys come from [`SAMPLES`]; 0: any is as likely as any other.
#[unsafe(no_mangle)]
static SAMPLED: Global<u32> = Global::new(0);
/// Begin of the sequence of keys.
#[unsafe(no_mangle)]
static SEED: Global<u64> = Global::new(0);
/// The device to send out of.
#[unsafe(no_mangle)]
static DEVICE: Global<u32> = Global::new(0);

/// Frames made so far.
#[btf_map]
static MADE: PerCpuArray<u64, 1> = PerCpuArray::new();
/// Keys in an order that has the frequencies that are wanted.
#[btf_map]
static SAMPLES: Array<u32, SAMPLES_LEN> = Array::new();

/// Makes one frame and sends it.
#[xdp]
pub fn bench_generate(ctx: XdpContext) -> u32 {
    match make(&ctx) {
        // SAFETY: the helper takes plain numbers and only records the target.
        Some(_) => unsafe { bpf_redirect(DEVICE.load(), 0) as u32 },
        None => XDP_ABORTED,
    }
}

/// Writes the head with the next key, which it gives; `None`: the frame is too short.
#[inline(always)]
pub(crate) fn make(ctx: &XdpContext) -> Option<u32> {
    let made = MADE.get_ptr_mut(0)?;
    // SAFETY: the pointer is to this CPU's element of a per-CPU array, which lives as long as the
    // map; no other program runs on this CPU meanwhile.
    let number = unsafe {
        let number = *made;
        *made = number.wrapping_add(1);
        number
    };
    let head = HEAD.load();
    for (word, bytes) in head.into_iter().enumerate() {
        if word < HEAD_WORDS.load() as usize {
            store(ctx, word * WORD, bytes)?;
        }
    }
    let number = pick(number)?;
    let key = FIRST_KEY.load().wrapping_add(number);
    store(ctx, KEY_OFFSET.load() as usize, key.to_be())?;
    let checksum = CHECKSUM_OFFSET.load() as usize;
    if checksum != 0 {
        store(ctx, checksum, updated(key).to_be())?;
    }
    Some(number)
}

/// The key of a CPU's n-th frame.
#[inline(always)]
fn pick(number: u64) -> Option<u32> {
    // SAFETY: the helper takes nothing and returns a number.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    if SAMPLED.load() == 0 {
        return Some(draw(SEED.load(), cpu, number, KEYS.load()));
    }
    // CPUs read the same order from places far apart.
    let apart = u64::from(cpu).wrapping_mul(SAMPLES_LEN as u64 * 3 / 7);
    let index = number.wrapping_add(apart) as u32 & (SAMPLES_LEN as u32 - 1);
    SAMPLES.get(index).copied()
}

/// The checksum with the first key replaced (RFC 1624, equation 3).
#[inline(always)]
fn updated(key: u32) -> u16 {
    let first = !FIRST_KEY.load();
    let mut sum = (!CHECKSUM.load() & 0xFFFF) + (first >> 16) + (first & 0xFFFF);
    sum += (key >> 16) + (key & 0xFFFF);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    !(sum as u16)
}
