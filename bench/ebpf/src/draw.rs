//! Keys that are drawn, any as likely as any other. No I/O, so that it is tested on the host.

/// The key below `keys` of a CPU's n-th frame.
#[inline(always)]
pub(crate) fn draw(seed: u64, cpu: u32, number: u64, keys: u32) -> u32 {
    let hash = mix(seed ^ ((cpu as u64) << 56) ^ number) >> 32;
    (hash.wrapping_mul(keys as u64) >> 32) as u32
}

/// The finalizer of `SplitMix64`: a bijection of its counter, so that no number comes twice.
#[inline(always)]
fn mix(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
