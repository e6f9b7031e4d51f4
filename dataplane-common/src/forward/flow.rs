//! `FlowID`: entropy for the underlay's load balancing (RFC 7637, section 3.2).

use crate::{forward::parse::Headers, id::Address};

/// Eight bits from the inner 5-tuple and the host's seed. All
/// fragments of one datagram get the same, because they are hashed without ports.
#[inline(always)]
pub fn flow_id(headers: &Headers, seed: u32) -> u8 {
    let mut hash = address(seed, &headers.src);
    hash = address(hash, &headers.dst);
    hash = mix(hash, u32::from_ne_bytes(headers.ports));
    hash = mix(hash, u32::from(headers.protocol));
    finish(hash)
}

#[inline(always)]
fn address(mut hash: u32, address: &Address) -> u32 {
    let [a, b, c, d] = address.words();
    if !address.is_v4() {
        hash = mix(mix(mix(hash, a), b), c);
    }
    mix(hash, d)
}

/// One round of MurmurHash3 (x86, 32 bits).
#[inline(always)]
fn mix(hash: u32, word: u32) -> u32 {
    let word = word
        .wrapping_mul(0xCC9E_2D51)
        .rotate_left(15)
        .wrapping_mul(0x1B87_3593);
    (hash ^ word)
        .rotate_left(13)
        .wrapping_mul(5)
        .wrapping_add(0xE654_6B64)
}

/// MurmurHash3's finalizer, folded to eight bits.
#[inline(always)]
fn finish(mut hash: u32) -> u8 {
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85EB_CA6B);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xC2B2_AE35);
    hash ^= hash >> 16;
    (hash & 0xFF) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{
        parse,
        testing::{Bytes, tcp_ports},
    };

    #[test]
    fn ten_thousand_flows_spread_evenly() {
        let mut seen = [0_u32; 256];
        for flow in 0..10_000_u16 {
            let frame = tcp_ports([10, 0, 0, 5], [10, 0, 0, 7], 20_000 + flow, 80);
            let headers = parse::headers(&Bytes::new(&frame), 0).expect("valid");
            let id = flow_id(&headers, 7);
            assert_eq!(id, flow_id(&headers, 7), "one flow, one FlowID");
            *seen.get_mut(id as usize).expect("8 bits") += 1;
        }
        assert!(seen.iter().filter(|n| **n > 0).count() >= 250);
        // Chi-square with 255 degrees of freedom: 99.9 % of even spreads are below 330.5.
        let expected = 10_000.0 / 256.0;
        let chi: f64 = seen
            .iter()
            .map(|n| (f64::from(*n) - expected).powi(2) / expected)
            .sum();
        assert!(chi < 330.5, "chi-square {chi}");
    }
}
