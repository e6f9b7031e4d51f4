//! A policy of very many records from its file through the whole product, and a start on it:
//! what the operator waits for.

use anyhow::Result;

use super::{
    Figure, Plan, Unit,
    memory::{self, per_million},
    product::Product,
};

/// Every size of policies. One that the product does not take is told, with what it said.
pub fn measure(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for records in &plan.policies {
        let mut life = Life::new(*records);
        for _ in 0..plan.policy_trials {
            if let Err(error) = life.once() {
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
        Self {
            records,
            load: figure("load-rate", Unit::RecordsPerSecond).with("from", "NDJSON file"),
            memory: figure("agent-memory", Unit::BytesPerMillionRecords).with("of", "PSS, idle"),
            peak: figure("agent-memory", Unit::BytesPerMillionRecords)
                .with("of", "RSS, peak while applying"),
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
        let more = |after: u64| per_million(after.saturating_sub(before.now), self.records);
        self.load.trials.push(rate);
        self.memory.trials.push(more(after.now));
        self.peak.trials.push(more(after.peak));
        self.enforced.trials.push(enforced.as_secs_f64());
        self.ready.trials.push(ready.as_secs_f64());
        Ok(())
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
