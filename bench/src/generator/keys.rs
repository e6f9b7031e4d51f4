//! Which records packets ask for, and how many different ones that makes.

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};

use crate::scenario::Keys;

/// Length of a sampled order of keys, the one of the program's map.
pub const SAMPLES: usize = 1 << 20;

/// Keys of [`Keys::ThousandHot`].
const THOUSAND: u32 = 1024;

/// An order of keys for `records` records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// All keys are below this.
    pub keys: u32,
    /// The order, to be repeated without end; `None`: each key is as likely as any other, each time.
    pub samples: Option<Vec<u32>>,
}

impl Pattern {
    /// The pattern of a scenario; the same seed makes the same order.
    pub fn new(keys: Keys, records: u32, seed: u64) -> Self {
        let keys_in_use = match keys {
            Keys::OneHot => 1,
            Keys::ThousandHot => THOUSAND.min(records),
            Keys::Zipf | Keys::Uniform => records,
        };
        let keys_in_use = keys_in_use.max(1);
        Self {
            keys: keys_in_use,
            samples: (keys == Keys::Zipf).then(|| zipf(keys_in_use, seed)),
        }
    }

    /// How many different keys `packets` packets have: exactly for a sampled order, otherwise what is to be expected.
    pub fn touched(&self, packets: u64) -> u64 {
        if let Some(samples) = &self.samples {
            let len = usize::try_from(packets).map_or(SAMPLES, |n| n.min(SAMPLES));
            let mut seen = samples.get(..len).unwrap_or(samples).to_vec();
            seen.sort_unstable();
            seen.dedup();
            return seen.len() as u64;
        }
        let keys = f64::from(self.keys);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let draws = packets as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the keys"
        )]
        let touched = (keys * -(-draws / keys).exp_m1()).round() as u64;
        touched
    }
}

/// Draws from Zipf's distribution with exponent 1: key `k` (from 0) has a weight of 1 / (k + 1).
fn zipf(keys: u32, seed: u64) -> Vec<u32> {
    let mut total = 0.0;
    let up_to: Vec<f64> = (0..keys)
        .map(|key| {
            total += 1.0 / (f64::from(key) + 1.0);
            total
        })
        .collect();
    let mut random = SmallRng::seed_from_u64(seed);
    let mut draw = || {
        let at = random.random::<f64>() * total;
        let key = up_to.partition_point(|sum| *sum <= at);
        u32::try_from(key).map_or(keys - 1, |key| key.min(keys - 1))
    };
    (0..SAMPLES).map(|_| draw()).collect()
}

#[cfg(test)]
#[path = "../../ebpf/src/draw.rs"]
#[allow(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::inline_always,
    reason = "as the programs are written"
)]
mod draw;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_drawn_as_often_as_any_other() {
        const KEYS: u32 = 65_536;
        const EACH: u32 = 64;
        for cpu in [0, 1] {
            let mut counts = vec![0_u32; KEYS as usize];
            for number in 0..u64::from(KEYS * EACH) {
                counts[draw::draw(7, cpu, number, KEYS) as usize] += 1;
            }
            assert!(counts.iter().all(|count| *count > 0), "no key is left out");
            // Chi-square with 65,535 degrees of freedom: the mean plus five standard deviations.
            let expected = f64::from(EACH);
            let deviations = counts
                .iter()
                .map(|count| (f64::from(*count) - expected).powi(2));
            let chi: f64 = deviations.sum::<f64>() / expected;
            assert!(chi < 65_535.0 + 5.0 * (2.0 * 65_535.0_f64).sqrt(), "{chi}");
        }
        assert!((0..1000).all(|number| draw::draw(7, 0, number, 1) == 0));
        let keys = 8_000_000;
        assert!((0..100_000).all(|number| draw::draw(7, 1, number, keys) < keys));
    }

    #[test]
    fn zipf_has_the_frequencies_of_its_law() {
        let pattern = Pattern::new(Keys::Zipf, 1_000_000, 7);
        let samples = pattern.samples.as_ref().expect("sampled");
        assert_eq!(samples.len(), SAMPLES);
        // The harmonic number of 10^6.
        let harmonic = 14.392_727;
        for key in [0_u32, 1, 9, 99] {
            let count = samples.iter().filter(|sample| **sample == key).count();
            let expected = 1_048_576.0 / harmonic / f64::from(key + 1);
            let deviation = (f64::from(u32::try_from(count).expect("few")) - expected).abs();
            // Five standard deviations of a count.
            assert!(
                deviation < 5.0 * expected.sqrt(),
                "key {key}: {count}, not {expected}"
            );
        }
        assert!(samples.iter().all(|key| *key < 1_000_000));
        assert!(
            samples.iter().any(|key| *key > 900_000),
            "the tail is there"
        );
    }

    #[test]
    fn a_seed_makes_one_order_and_another_seed_another() {
        let make = |seed| Pattern::new(Keys::Zipf, 65_536, seed);
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }

    #[test]
    fn what_is_touched_is_told() {
        let touched = |keys, records, packets| Pattern::new(keys, records, 1).touched(packets);
        assert_eq!(touched(Keys::OneHot, 65_536, 1000), 1);
        assert_eq!(touched(Keys::ThousandHot, 65_536, 1_000_000), 1024);
        assert_eq!(touched(Keys::ThousandHot, 100, 1_000_000), 100);
        assert_eq!(touched(Keys::Uniform, 65_536, 10_000_000), 65_536);
        assert_eq!(touched(Keys::Uniform, 8_000_000, 0), 0);
        let half = touched(Keys::Uniform, 1_000_000, 693_147);
        assert!((499_999..=500_001).contains(&half), "{half}");
        let zipf = touched(Keys::Zipf, 65_536, u64::MAX);
        assert!((50_000..65_536).contains(&zipf), "{zipf}");
    }
}
