//! Where a key belongs.

use crate::abi::pod;

/// Size and seed of a table; the same for readers and writer.
///
/// The hash is a permutation of 64 bits, so keys meet in a bucket but never in the whole hash. It is
/// no cipher: the seed, from the kernel's random numbers, keeps tenants from choosing addresses that
/// meet. Whoever knows it can fill buckets, and the writer refuses, after a bounded search, the keys
/// that have both of theirs among those.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    xor: u64,
    first: u64,
    second: u64,
    /// Number of buckets; even.
    buckets: u64,
}

const _: () = assert!(size_of::<Geometry>() == 32);

/// Half of a word.
const HALF: u64 = 0xffff_ffff;

/// A key's hash and the two buckets that it may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Where it is looked for first.
    pub home: u32,
    /// Where else; never the same.
    pub alternate: u32,
}

impl Geometry {
    /// `None` unless the number of buckets is even, 2 to 2^31.
    pub const fn new(seed: [u64; 3], buckets: u64) -> Option<Self> {
        if buckets & 1 != 0 || buckets < 2 || buckets > 1 << 31 {
            return None;
        }
        let [xor, first, second] = seed;
        Some(Self {
            xor,
            first: first | 1,
            second: second | 1,
            buckets,
        })
    }

    /// As [`super::header`] has it.
    pub const fn words(&self) -> [u64; 4] {
        [self.xor, self.first, self.second, self.buckets]
    }

    /// The inverse; `None` for words that no geometry has.
    pub fn from_words([xor, first, second, buckets]: [u64; 4]) -> Option<Self> {
        let made = Self::new([xor, first, second], buckets)?;
        (made.words() == [xor, first, second, buckets]).then_some(made)
    }

    /// Number of buckets.
    pub const fn buckets(&self) -> u32 {
        self.buckets as u32
    }

    /// The buckets of a key: home by one half of the hash, and by the other half what both add up to.
    #[inline(always)]
    pub const fn pair(&self, key: u64) -> Pair {
        let hash = self.hash(key);
        let home = (hash & HALF).wrapping_mul(self.buckets) >> 32;
        // Odd, so that the alternate is another bucket, for the number of all is even; a sum, so that
        // home is the alternate's.
        let sum = (hash >> 32).wrapping_mul(self.buckets >> 1) >> 31 | 1;
        let alternate = sum.wrapping_sub(home);
        // All ones if that is negative.
        let around = (alternate.cast_signed() >> 63).cast_unsigned() & self.buckets;
        Pair {
            home: home as u32,
            alternate: alternate.wrapping_add(around) as u32,
        }
    }

    #[inline(always)]
    const fn hash(&self, key: u64) -> u64 {
        let x = (key ^ self.xor).wrapping_mul(self.first);
        let x = (x ^ x >> 32).wrapping_mul(self.second);
        x ^ x >> 32
    }
}

impl Pair {
    /// The bucket of the two that is not this one.
    #[inline(always)]
    pub const fn other(self, bucket: u32) -> u32 {
        self.home ^ self.alternate ^ bucket
    }
}

pod!(Geometry);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_checked() {
        for buckets in [0, 1, 3, (1 << 31) + 2, 1 << 32] {
            assert_eq!(Geometry::new([1, 2, 3], buckets), None, "{buckets}");
        }
        for buckets in [2, 4, 6, 1 << 31] {
            let made = Geometry::new([1, 2, 3], buckets).map(|g| u64::from(g.buckets()));
            assert_eq!(made, Some(buckets));
        }
    }

    /// Neighbouring addresses, as tenants have them, fill buckets like random ones: Poisson with a
    /// mean of 4 has a variance of 4.
    #[test]
    fn dense_keys_spread() {
        for (seed, buckets) in (0..8_u64).flat_map(|seed| [(seed, 1024), (seed, 1434)]) {
            let seeds = [
                seed,
                seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                !seed << 7 ^ 0x5851_f42d_4c95_7f2d,
            ];
            let geometry = Geometry::new(seeds, buckets).expect("a good size");
            let mut filled = [[0_u32; 1434]; 2];
            for key in 0..4 * buckets {
                let pair = geometry.pair(3 << 32 | 0x0a00_0000 | key);
                filled[0][pair.home as usize] += 1;
                filled[1][pair.alternate as usize] += 1;
            }
            let used = usize::try_from(buckets).expect("few");
            for filled in &filled {
                let apart = filled[..used].iter().map(|n| (f64::from(*n) - 4.0).powi(2));
                let variance = apart.sum::<f64>() / f64::from(geometry.buckets());
                assert!(variance < 6.0, "seed {seed}, {buckets} buckets: {variance}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_alternate_of_the_alternate_is_home(
            seed: [u64; 3], half in prop_oneof![1_u64..40, 1_u64..1 << 30, Just(1 << 30)], key: u64
        ) {
            let geometry = Geometry::new(seed, half << 1).expect("a good size");
            let pair = geometry.pair(key);
            prop_assert!(pair.home < geometry.buckets() && pair.alternate < geometry.buckets());
            prop_assert_ne!(pair.home, pair.alternate);
            prop_assert_eq!(pair.other(pair.home), pair.alternate);
            prop_assert_eq!(pair.other(pair.alternate), pair.home);
        }

        #[test]
        fn no_two_keys_have_one_hash(seed: [u64; 3], a: u64, b: u64) {
            let geometry = Geometry::new(seed, 2).expect("a good size");
            prop_assert_eq!(a == b, geometry.hash(a) == geometry.hash(b));
        }
    }
}
