//! `FlowID`: entropy for the underlay's load balancing (RFC 7637, section 3.2).

use crate::forward::parse::Headers;

/// Eight bits from the inner 5-tuple and the host's seed. All
/// fragments of one datagram get the same, because they are hashed without ports.
#[inline(always)]
pub fn flow_id(headers: &Headers, seed: u32) -> u8 {
    let (src, dst) = (headers.src.words(), headers.dst.words());
    let mut hash = u64::from(seed);
    if headers.src.is_v4() {
        hash = mix(hash, pair(src[3], dst[3]));
    } else {
        hash = mix(mix(hash, pair(src[0], src[1])), pair(src[2], src[3]));
        hash = mix(mix(hash, pair(dst[0], dst[1])), pair(dst[2], dst[3]));
    }
    let ports = u64::from(u32::from_ne_bytes(headers.ports));
    hash = mix(hash, ports << 8 ^ u64::from(headers.protocol));
    // The highest bits depend on all others.
    (hash.wrapping_mul(LAST) >> 56) as u8
}

/// The multipliers of `SplitMix64`.
const FIRST: u64 = 0x9E37_79B9_7F4A_7C15;
const LAST: u64 = 0x94D0_49BB_1331_11EB;

#[inline(always)]
const fn pair(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// A step of `SplitMix64`: one multiplication, where a 32-bit hash would need two and rotations,
/// for which BPF has no instruction.
#[inline(always)]
const fn mix(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(FIRST);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{
        parse,
        testing::{Bytes, tcp_ports, tcp6_between},
    };
    use crate::id::Address;

    /// Chi-square with 255 degrees of freedom: 99.9 % of even spreads are below 330.5.
    fn spreads(ids: impl Iterator<Item = u8>) -> f64 {
        let (mut seen, mut all) = ([0_u32; 256], 0_u32);
        for id in ids {
            *seen.get_mut(id as usize).expect("8 bits") += 1;
            all += 1;
        }
        let expected = f64::from(all) / 256.0;
        let of = |n: &u32| (f64::from(*n) - expected).powi(2) / expected;
        seen.iter().map(of).sum()
    }

    /// Whatever it is that flows differ by, in neighbouring numbers as tenants have them.
    #[test]
    fn every_part_of_the_tuple_counts() {
        let id = |frame: &[u8], seed| {
            let headers = parse::headers(&Bytes::new(frame), 0).expect("valid");
            flow_id(&headers, seed)
        };
        let v4 = |last: u16| {
            let [a, b] = last.to_be_bytes();
            [10, 0, a, b]
        };
        let v6 = |last: u16| {
            let mut bytes = [0xFD; 16];
            (bytes[14], bytes[15]) = last.to_be_bytes().into();
            Address::v6(bytes)
        };
        let (src, dst) = ([10, 1, 0, 5], [10, 1, 0, 7]);
        let each = || 0..10_000_u16;
        for seed in [0, 1, 7, u32::MAX] {
            let of = [
                spreads(each().map(|n| id(&tcp_ports(v4(n), dst, 5, 80), seed))),
                spreads(each().map(|n| id(&tcp_ports(src, v4(n), 5, 80), seed))),
                spreads(each().map(|n| id(&tcp_ports(src, dst, n, 80), seed))),
                spreads(each().map(|n| id(&tcp_ports(src, dst, 5, n), seed))),
                spreads(each().map(|n| id(&tcp6_between(v6(n), v6(3)), seed))),
                spreads(each().map(|n| id(&tcp6_between(v6(3), v6(n)), seed))),
            ];
            assert!(of.iter().all(|chi| *chi < 330.5), "seed {seed}: {of:?}");
        }
    }

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
