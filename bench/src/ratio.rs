//! Pairs of measurements taken one after the other, and the ratio between them.

/// One pair: ours and its twin, in the same unit.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// What is measured.
    pub ours: f64,
    /// What it is compared with.
    pub twin: f64,
}

impl Pair {
    /// Ours over the twin.
    pub fn ratio(self) -> f64 {
        self.ours / self.twin
    }
}

/// Median of the pairs' ratios, with the smallest and the largest. `None` of no pairs.
pub fn summary(pairs: &[Pair]) -> Option<(f64, f64, f64)> {
    let mut ratios: Vec<f64> = pairs.iter().map(|pair| pair.ratio()).collect();
    ratios.sort_by(f64::total_cmp);
    let median = *ratios.get(ratios.len() / 2)?;
    Some((*ratios.first()?, median, *ratios.last()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_ratios_not_of_figures() {
        let pair = |ours, twin| Pair { ours, twin };
        let pairs = [pair(1.0, 2.0), pair(30.0, 10.0), pair(4.0, 4.0)];
        assert_eq!(summary(&pairs), Some((0.5, 1.0, 3.0)));
        assert_eq!(summary(&[]), None);
    }
}
