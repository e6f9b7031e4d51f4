//! A policy of very many records from its file through the whole product, and a start on it:
//! what the operator waits for.

use anyhow::Result;
use xtask::lab::interrupted;

use super::{
    Figure, Plan, Unit,
    memory::{self, per_million},
    product::Product,
};

/// Records from which on memory is given by the million: less is not extrapolated.
const MILLION: u32 = 1_000_000;

/// Every size of policies. One that the product does not take is told, with what it said.
pub fn measure(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for records in &plan.policies {
        let mut life = Life::new(*records);
        for _ in 0..plan.policy_trials {
            let lived = life.once();
            // Whatever an interrupted life says, the product did not say it.
            interrupted()?;
            if let Err(error) = lived {
                life.fail(&error);
                break;
            }
        }
        figures.extend(life.figures());
    }
    Ok(figures)
}

/// What one size costs.
struct Life {
    records: u32,
    load: Figure,
    memory: Figure,
    peak: Figure,
    enforced: Figure,
    ready: Figure,
}

impl Life {
    fn new(records: u32) -> Self {
        let figure = |name, unit| Figure::new(name, unit).with("records", records);
        let bytes = if records < MILLION {
            Unit::Bytes
        } else {
            Unit::BytesPerMillionRecords
        };
        Self {
            records,
            load: figure("load-rate", Unit::RecordsPerSecond).with("from", "NDJSON file"),
            memory: figure("agent-memory", bytes).with("of", "PSS, idle"),
            peak: figure("agent-memory", bytes).with("of", "RSS, peak while applying"),
            enforced: figure("cold-start", Unit::Seconds).with("until", "last record enforced"),
            ready: figure("cold-start", Unit::Seconds).with("until", "status ready"),
        }
    }

    /// One agent: nothing, a policy, and a start with the policy in its store.
    fn once(&mut self) -> Result<()> {
        let mut product = Product::start(self.records)?;
        let before = memory::of_process(product.pid()?)?;
        let took = product.apply()?;
        let after = memory::of_process(product.pid()?)?;
        let (enforced, ready) = product.cold_start()?;
        let rate = f64::from(self.records) / took.as_secs_f64();
        let idle = after.now.saturating_sub(before.now);
        let peak = after.peak.saturating_sub(before.peak);
        self.load.trials.push(rate);
        self.memory.trials.push(self.of_records(idle));
        self.peak.trials.push(self.of_records(peak));
        self.enforced.trials.push(enforced.as_secs_f64());
        self.ready.trials.push(ready.as_secs_f64());
        Ok(())
    }

    /// Bytes in the unit of memory: with few records most of them are no record's.
    #[expect(
        clippy::cast_precision_loss,
        reason = "bytes of a machine's memory are exact in 53 bits"
    )]
    fn of_records(&self, bytes: u64) -> f64 {
        if self.memory.unit == Unit::BytesPerMillionRecords {
            per_million(bytes, self.records)
        } else {
            bytes as f64
        }
    }

    fn fail(&mut self, error: &anyhow::Error) {
        for figure in [
            &mut self.load,
            &mut self.memory,
            &mut self.peak,
            &mut self.enforced,
            &mut self.ready,
        ] {
            figure.trials.clear();
            figure.absence = Some(format!("{error:#}"));
        }
    }

    fn figures(self) -> [Figure; 5] {
        [self.load, self.memory, self.peak, self.enforced, self.ready]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_few_records_is_not_extrapolated() {
        let few = Life::new(4096);
        assert_eq!(few.memory.unit, Unit::Bytes);
        assert!((few.of_records(123_456) - 123_456.0).abs() < 1e-9);
        let many = Life::new(1 << 20);
        assert_eq!(many.peak.unit, Unit::BytesPerMillionRecords);
        assert!((many.of_records(1 << 30) - 1.024e9).abs() < 1e-3);
    }
}
