//! Which of two goes first.

use rand::{Rng, SeedableRng, rngs::SmallRng};

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
    fn a_seed_gives_the_same_order_again() {
        let (mut one, mut two) = (Order::new(9), Order::new(9));
        assert!((0..20).all(|_| one.ours_first() == two.ours_first()));
    }
}
