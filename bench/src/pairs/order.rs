//! Which of two goes first.

use anyhow::Result;
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::scenario::Comparison;

/// The seed of the order of one comparison. With that of the run itself all comparisons would begin
/// with the same side.
pub(super) fn seed_of(seed: u64, comparison: &Comparison) -> Result<u64> {
    // FNV-1a: the same in every build, which the standard library's hashes do not promise.
    const BASIS: u64 = 0xCBF2_9CE4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01B3;
    let words = serde_json::to_vec(comparison)?;
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    Ok(words.iter().fold(BASIS ^ seed, mix))
}

/// Orders of pairs: in blocks of two, one each way (ABBA or BAAB by chance), so that what drifts
/// with time touches both alike.
pub(super) struct Order {
    random: SmallRng,
    second: Option<bool>,
}

impl Order {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: SmallRng::seed_from_u64(seed),
            second: None,
        }
    }

    /// Whether ours goes first in the next pair.
    pub(super) fn ours_first(&mut self) -> bool {
        if let Some(order) = self.second.take() {
            return order;
        }
        let order: bool = self.random.random();
        self.second = Some(!order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{profile, results::row::MachineKind};

    #[test]
    fn each_block_has_both_ways_and_blocks_differ() {
        let mut order = Order::new(3);
        let blocks: Vec<_> = (0..50)
            .map(|_| (order.ours_first(), order.ours_first()))
            .collect();
        assert!(blocks.iter().all(|(one, two)| one != two));
        let abba = blocks.iter().filter(|(one, _)| *one).count();
        assert!((10..=40).contains(&abba), "{abba} of 50 begin with ours");
    }

    #[test]
    fn comparisons_begin_with_either_side() {
        let full = profile::find("full").expect("a profile");
        let all = full.comparisons(MachineKind::Host);
        let first = |comparison| Order::new(seed_of(1, comparison).expect("a seed")).ours_first();
        let ours = all.iter().filter(|comparison| first(comparison)).count();
        let third = all.len() / 3;
        assert!(
            (third..=2 * third).contains(&ours),
            "{ours} of {}",
            all.len()
        );
    }

    #[test]
    fn a_seed_gives_the_same_order_again() {
        let (mut one, mut two) = (Order::new(9), Order::new(9));
        assert!((0..20).all(|_| one.ours_first() == two.ours_first()));
    }
}
