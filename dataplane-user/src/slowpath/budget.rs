//! What each tenant may ask of the slow path: a token bucket for each routing domain, with the
//! machine's budget shared by weight among those that ask.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Tokens a second that all tenants have together, and how long a tenant may save its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Packets a second in all.
    pub all: u32,
    /// Longest saving: a tenant that was silent so long may spend its share of that time at once.
    pub saving: Duration,
}

impl Rates {
    /// A worker handles a few hundred thousand packets a second; this leaves it idle most of the time.
    pub const DEFAULT: Self = Self {
        all: 50_000,
        saving: Duration::from_millis(100),
    };
}

/// The budgets of those that asked lately.
#[derive(Debug)]
pub struct Budgets {
    rates: Rates,
    tenants: BTreeMap<u32, Budget>,
    /// Sum of the weights of those that asked lately.
    weights: u64,
    /// When those that did not were forgotten last.
    forgot: Option<Instant>,
}

#[derive(Debug)]
struct Budget {
    weight: u32,
    tokens: f64,
    filled: Instant,
}

/// Who asks for nothing for so long is forgotten, and its share is the others'.
const FORGET: Duration = Duration::from_secs(1);

impl Budgets {
    /// Nobody asked yet.
    pub const fn new(rates: Rates) -> Self {
        Self {
            rates,
            tenants: BTreeMap::new(),
            weights: 0,
            forgot: None,
        }
    }

    /// Whether the tenant may have one more packet handled. `weight`: 1 or more.
    pub fn spend(&mut self, tenant: u32, weight: u32, now: Instant) -> bool {
        let weight = weight.max(1);
        let over = |then| now.saturating_duration_since(then) >= FORGET;
        if self.forgot.is_none_or(over) {
            self.forget(now);
            self.forgot = Some(now);
        }
        let known = self.tenants.get(&tenant).map(|budget| budget.weight);
        self.weights += u64::from(weight);
        self.weights -= u64::from(known.unwrap_or(0));
        let Rates { all, saving } = self.rates;
        let rate = share(all, weight, self.weights);
        let budget = self.tenants.entry(tenant).or_insert_with(|| Budget {
            weight,
            tokens: rate * saving.as_secs_f64(),
            filled: now,
        });
        budget.weight = weight;
        let passed = now.saturating_duration_since(budget.filled).as_secs_f64();
        let most = (rate * saving.as_secs_f64()).max(1.0);
        budget.tokens = (budget.tokens + rate * passed).min(most);
        budget.filled = now;
        let granted = budget.tokens >= 1.0;
        if granted {
            budget.tokens -= 1.0;
        }
        granted
    }

    fn forget(&mut self, now: Instant) {
        self.tenants
            .retain(|_, budget| now.saturating_duration_since(budget.filled) < FORGET);
        let weights = self.tenants.values().map(|budget| u64::from(budget.weight));
        self.weights = weights.sum();
    }
}

/// Packets a second of `weight` out of `weights`.
fn share(all: u32, weight: u32, weights: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "weights are small")]
    let weights = weights.max(1) as f64;
    f64::from(all) * f64::from(weight) / weights
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        all: 1000,
        saving: Duration::from_millis(100),
    };

    /// Grants of tenants that each ask 2,000 times in a second.
    fn second(tenants: &[(u32, u32)]) -> Vec<u32> {
        let start = Instant::now();
        let mut budgets = Budgets::new(RATES);
        let mut granted = vec![0; tenants.len()];
        for tick in 0..2000_u64 {
            let now = start + Duration::from_micros(500 * tick);
            for (count, (tenant, weight)) in granted.iter_mut().zip(tenants) {
                *count += u32::from(budgets.spend(*tenant, *weight, now));
            }
        }
        granted
    }

    fn about(count: u32, expected: u32) -> bool {
        count.abs_diff(expected) <= expected / 5
    }

    #[test]
    fn one_alone_has_all_and_two_share() {
        assert!(about(second(&[(1, 1)])[0], 1100));
        let shares = second(&[(1, 1), (2, 1)]);
        assert!(shares.iter().all(|count| about(*count, 550)), "{shares:?}");
        let shares = second(&[(1, 3), (2, 1)]);
        assert!(about(shares[0], 800) && about(shares[1], 280), "{shares:?}");
    }

    #[test]
    fn who_was_forgotten_or_weighs_another_time_more_is_counted_right() {
        let start = Instant::now();
        let mut budgets = Budgets::new(RATES);
        for (tenant, weight) in [(1, 1), (2, 4), (1, 3), (3, 2)] {
            assert!(budgets.spend(tenant, weight, start));
        }
        assert_eq!(budgets.weights, 3 + 4 + 2);
        // A tenant that is new has the others forgotten.
        assert!(budgets.spend(4, 5, start + FORGET));
        assert_eq!(budgets.weights, 5);
    }

    #[test]
    fn who_asks_now_and_then_is_served_beside_one_that_never_stops() {
        let start = Instant::now();
        let mut budgets = Budgets::new(RATES);
        for tick in 0..20_000_u64 {
            let now = start + Duration::from_micros(100 * tick);
            budgets.spend(1, 1, now);
            if tick % 100 == 0 {
                assert!(budgets.spend(2, 1, now), "{tick}");
            }
        }
    }

    #[test]
    fn the_share_of_one_that_fell_silent_is_the_others() {
        let start = Instant::now();
        let mut budgets = Budgets::new(RATES);
        for tenant in 0..100 {
            budgets.spend(tenant, 1, start);
        }
        // Two seconds later one asks alone, and none that is new.
        let asks = (0..2000_u64).map(|tick| start + Duration::from_micros(2_000_000 + 500 * tick));
        let granted = asks.filter(|now| budgets.spend(0, 1, *now)).count();
        assert!(granted > 900, "{granted} of 1000");
    }
}
