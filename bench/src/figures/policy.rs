//! A policy of very many records from its file through the whole product, and a start on it:
//! what the operator waits for.

use std::time::Duration;

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
    let mut before: Option<Lived> = None;
    for records in &plan.policies {
        let mut life = Life::new(*records);
        if let Some(why) =
            before.and_then(|lived| lived.too_much(*records, memory::of_machine().ok()?))
        {
            life.fail(&anyhow::anyhow!(why));
            figures.extend(life.figures());
            continue;
        }
        for _ in 0..plan.policy_trials {
            let lived = life.once();
            // Whatever an interrupted life says, the product did not say it.
            interrupted()?;
            match lived {
                Ok(lived) => before = Some(lived),
                Err(error) => {
                    life.fail(&error);
                    break;
                }
            }
        }
        figures.extend(life.figures());
    }
    Ok(figures)
}

/// Longest time for one policy that a run waits for.
const LONGEST: Duration = Duration::from_mins(4);

/// What one life took.
#[derive(Clone, Copy, Debug)]
struct Lived {
    records: u32,
    load: Duration,
    /// Bytes of the agent at most, and of the tables.
    memory: u64,
}

impl Lived {
    /// Why a policy of more records is not tried where there are `available` bytes; by the same
    /// proportion, which little but the agent's own beginning makes too large.
    fn too_much(self, records: u32, available: u64) -> Option<String> {
        let times = f64::from(records) / f64::from(self.records);
        let load = self.load.mul_f64(times);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let (memory, available) = (self.memory as f64 * times, available as f64 * 0.8);
        let known = self.records;
        if load > LONGEST {
            let seconds = load.as_secs();
            return Some(format!(
                "by what {known} records took it would take {seconds} s to apply, more than {LONGEST:?}"
            ));
        }
        (memory > available).then(|| {
            let (memory, available) = (memory / 1e9, available / 1e9);
            format!("by what {known} records took it would take {memory:.1} GB, and there are {available:.1}")
        })
    }
}

/// What one size costs.
struct Life {
    records: u32,
    load: Figure,
    memory: Figure,
    peak: Figure,
    kernel: Figure,
    both: Figure,
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
            kernel: figure("memory", bytes).with("of", "kernel"),
            both: figure("memory", bytes).with("of", "kernel and agent, idle"),
            enforced: figure("cold-start", Unit::Seconds).with("until", "last record enforced"),
            ready: figure("cold-start", Unit::Seconds).with("until", "status ready"),
        }
    }

    /// One agent: a port, its records, and a start with all of it in its store.
    fn once(&mut self) -> Result<Lived> {
        let mut product = Product::start(self.records)?;
        let before = memory::at_rest(product.pid()?)?;
        let took = product.apply()?;
        let after = memory::at_rest(product.pid()?)?;
        let tables = memory::of_maps(product.pid()?)?;
        let kernel = tables.saturating_sub(memory::without_records()?);
        let (enforced, ready) = product.cold_start()?;
        let rate = f64::from(self.records) / took.as_secs_f64();
        let idle = after.now.saturating_sub(before.now);
        let peak = after.peak.saturating_sub(before.peak);
        self.load.trials.push(rate);
        self.memory.trials.push(self.of_records(idle));
        self.peak.trials.push(self.of_records(peak));
        self.kernel.trials.push(self.of_records(kernel));
        self.both.trials.push(self.of_records(kernel + idle));
        self.enforced.trials.push(enforced.as_secs_f64());
        self.ready.trials.push(ready.as_secs_f64());
        Ok(Lived {
            records: self.records,
            load: took,
            memory: peak + kernel,
        })
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
            &mut self.kernel,
            &mut self.both,
            &mut self.enforced,
            &mut self.ready,
        ] {
            figure.trials.clear();
            figure.absence = Some(format!("{error:#}"));
        }
    }

    fn figures(self) -> [Figure; 7] {
        let Self {
            load,
            memory,
            peak,
            kernel,
            both,
            enforced,
            ready,
            ..
        } = self;
        [load, memory, peak, kernel, both, enforced, ready]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_take_too_long_or_too_much_is_not_tried() {
        let lived = |seconds, memory| Lived {
            records: 1 << 20,
            load: Duration::from_secs(seconds),
            memory,
        };
        let eight = 1 << 23;
        assert_eq!(lived(1, 100 << 20).too_much(eight, 8 << 30), None);
        let long = lived(31, 1).too_much(eight, 8 << 30).expect("too long");
        assert!(
            long.contains("1048576 records took it would take 248 s"),
            "{long}"
        );
        let large = lived(1, 1 << 30)
            .too_much(eight, 8 << 30)
            .expect("too large");
        assert!(large.contains("8.6 GB, and there are 6.9"), "{large}");
    }

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
