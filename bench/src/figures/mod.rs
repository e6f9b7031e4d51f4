//! Figures of one path alone: what a packet, a record and a start cost. They are read beside a twin
//! where there is one, and on one machine in one run; none of them is a claim by itself.

use std::{collections::BTreeMap, fmt};

use anyhow::Result;
use serde::{Deserialize, Serialize};

mod driven;
pub mod first_packet;
pub mod half_updates;
pub mod load_rate;
pub mod memory;
pub mod memory_load;
pub mod per_packet;
pub mod policy;
mod product;
mod rewriting;
mod tables;
mod test_run;
pub mod textbook;
mod walks;

/// One figure under one set of conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// What is measured; the same word in every run: `ns-per-packet`, `load-rate`, `kernel-memory`.
    pub name: String,
    /// The conditions by name, all that the figure depends on but the machine.
    pub parameters: BTreeMap<String, String>,
    /// Unit of the trials.
    pub unit: Unit,
    /// Each repetition, in the order they were made.
    pub trials: Vec<f64>,
    /// Why there are no trials; `None` where there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absence: Option<String>,
}

/// Unit of a [`Figure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Seconds.
    Seconds,
    /// Lookup records per second.
    RecordsPerSecond,
    /// Bytes per million lookup records.
    BytesPerMillionRecords,
    /// Bytes.
    Bytes,
    /// Packets.
    Packets,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nanoseconds => "ns",
            Self::Seconds => "s",
            Self::RecordsPerSecond => "records/s",
            Self::BytesPerMillionRecords => "B per 1M records",
            Self::Bytes => "B",
            Self::Packets => "packets",
        })
    }
}

/// How much is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Sizes of the tables that packets are run against and that are written straight into maps.
    pub records: Vec<u32>,
    /// Sizes of the policies that a whole `nved` takes from a file.
    pub policies: Vec<u32>,
    /// New destinations that one tenant sends to.
    pub destinations: u32,
    /// Repetitions of each figure.
    pub trials: u32,
    /// Repetitions with a whole `nved`, which take minutes at the largest size.
    pub policy_trials: u32,
    /// Packets of one trial of the time per packet.
    pub packets: u32,
    /// Packets that are looked at for half an update.
    pub watched: u64,
    /// Seed of whatever is random.
    pub seed: u64,
}

impl Plan {
    /// A look at everything, well under a minute.
    pub fn quick(seed: u64) -> Self {
        Self {
            records: vec![1024, 65_536],
            policies: vec![4096],
            destinations: 5000,
            trials: 3,
            policy_trials: 1,
            packets: 4096,
            watched: 1_000_000,
            seed,
        }
    }

    /// The sizes that are published.
    pub fn full(seed: u64) -> Self {
        Self {
            records: vec![1024, 65_536, 1 << 20, 1 << 23],
            policies: vec![65_536, 1 << 20, 1 << 23],
            destinations: 100_000,
            trials: 5,
            policy_trials: 2,
            packets: 16_384,
            watched: 100_000_000,
            seed,
        }
    }
}

impl Figure {
    /// A figure without trials yet.
    pub fn new(name: &str, unit: Unit) -> Self {
        Self {
            name: name.to_owned(),
            parameters: BTreeMap::new(),
            unit,
            trials: Vec::new(),
            absence: None,
        }
    }

    /// With one more condition.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.parameters.insert(name.to_owned(), value.to_string());
        self
    }

    /// Without trials, and why.
    #[must_use]
    pub fn absent(mut self, why: impl fmt::Display) -> Self {
        self.absence = Some(why.to_string());
        self
    }
}

/// Records between two looks for Ctrl-C: some hundredths of a second.
const LOOK_EVERY: usize = 1 << 16;

/// Measures all figures, as root, and hands over each group as soon as it is there.
pub fn measure(plan: &Plan, mut done: impl FnMut(Vec<Figure>) -> Result<()>) -> Result<()> {
    for group in [
        per_packet::measure,
        textbook::measure,
        memory_load::measure,
        half_updates::measure,
        load_rate::measure,
        memory::measure,
        policy::measure,
        first_packet::measure,
    ] {
        done(group(plan)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_survives_its_row() {
        let mut figure = Figure::new("ns-per-packet", Unit::Nanoseconds).with("records", 1024);
        figure.trials = vec![101.5, 99.0];
        let row = serde_json::to_string(&figure).expect("row");
        assert!(row.contains(r#""parameters":{"records":"1024"}"#), "{row}");
        assert!(!row.contains("absence"), "{row}");
        assert_eq!(
            serde_json::from_str::<Figure>(&row).expect("figure"),
            figure
        );
        let none = Figure::new("cold-start", Unit::Seconds).absent("no root");
        let row = serde_json::to_string(&none).expect("row");
        assert_eq!(serde_json::from_str::<Figure>(&row).expect("figure"), none);
    }
}
