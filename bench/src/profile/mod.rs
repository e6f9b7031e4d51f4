//! Profiles: how much is measured, how long, and when a result counts.

mod limits;
mod matrix;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{
    noise::{Limits, SPIN},
    pairs::Rules,
    results::row::{Demands, MachineKind},
    scenario::{Comparison, PathName, Scenario},
};

/// What one run does.
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// How often and how long.
    pub rules: Rules,
    /// Which figures of one path alone are measured on the host.
    pub figures: Figures,
    matrix: fn(MachineKind) -> Vec<Comparison>,
}

/// How many figures of one path alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figures {
    /// None.
    None,
    /// Small tables.
    Quick,
    /// The sizes that are published.
    Full,
}

/// All profiles.
pub const PROFILES: [Profile; 3] = [
    Profile {
        name: "quick",
        about: "a look at every question, under 3 minutes; its intervals are wide",
        rules: Rules {
            half: Duration::from_millis(250),
            max_pairs: 6,
            demands: Demands {
                min_pairs: 4,
                tolerance: 0.15,
                limits: Limits {
                    calibration: 0.25,
                    steal: 0.10,
                },
            },
        },
        figures: Figures::Quick,
        matrix: matrix::quick,
    },
    Profile {
        name: "full",
        about: "what is published, about 40 minutes",
        rules: Rules {
            half: Duration::from_millis(500),
            max_pairs: 10,
            demands: Demands {
                min_pairs: 6,
                tolerance: 0.05,
                limits: Limits {
                    calibration: 0.10,
                    steal: 0.03,
                },
            },
        },
        figures: Figures::Full,
        matrix: matrix::full,
    },
    Profile {
        name: "sanity",
        about: "a few seconds: whether measuring works; says nothing about speed",
        rules: Rules {
            half: Duration::from_millis(200),
            max_pairs: 1,
            demands: Demands {
                min_pairs: 1,
                tolerance: 1.0,
                // Nothing is discarded: a busy machine must not make it fail.
                limits: Limits {
                    calibration: 1000.0,
                    steal: 1.0,
                },
            },
        },
        figures: Figures::None,
        matrix: matrix::sanity,
    },
];

/// The profile of that name.
pub fn find(name: &str) -> Result<&'static Profile> {
    if let Some(profile) = PROFILES.iter().find(|profile| profile.name == name) {
        return Ok(profile);
    }
    let known = PROFILES.map(|profile| profile.name).join(", ");
    bail!("there is no profile {name:?}; there are: {known}")
}

impl Profile {
    /// What it compares on a machine, in an order in which few paths are built twice.
    pub fn comparisons(&self, machine: MachineKind) -> Vec<Comparison> {
        let mut grouped: Vec<Comparison> = Vec::new();
        for comparison in (self.matrix)(machine) {
            let alike = grouped.iter().rposition(|other| {
                (other.scenario, other.metric) == (comparison.scenario, comparison.metric)
            });
            let place = alike.map_or(grouped.len(), |index| index + 1);
            if !grouped.contains(&comparison) {
                grouped.insert(place, comparison);
            }
        }
        grouped
    }

    /// About how long these comparisons take: with the fewest pairs, and with the most.
    pub fn length(&self, comparisons: &[Comparison]) -> (Duration, Duration) {
        let pair = 2 * (self.rules.half + 2 * SPIN);
        let total = |pairs: usize| {
            let pairs = u32::try_from(pairs).unwrap_or(u32::MAX);
            comparisons
                .iter()
                .map(|comparison| pair * pairs + set_up(comparison))
                .sum()
        };
        (
            total(self.rules.demands.min_pairs),
            total(self.rules.max_pairs),
        )
    }
}

/// About how long the set-up of both paths takes: by experience, on two cores.
fn set_up(comparison: &Comparison) -> Duration {
    let table = comparison.ours.is_ours();
    let ours = if table {
        Duration::from_millis(2500) + Duration::from_micros(3) * comparison.scenario.records
    } else {
        Duration::from_millis(500)
    };
    let other = if comparison.twin.is_ours() {
        ours
    } else {
        Duration::from_millis(700)
    };
    ours + other
}

/// Whether a comparison has that word in its paths or conditions.
pub fn named(comparison: &Comparison, word: &str) -> bool {
    use crate::results::words;
    let paths = words::paths(comparison.ours, comparison.twin);
    format!("{paths} {}", words::conditions(comparison)).contains(word)
}

/// The plain point, as frames reach the end of a path of this hook.
fn plain(path: PathName) -> Scenario {
    use crate::scenario::Sink;
    let sink = if matches!(path, PathName::NveTc | PathName::TwinTc) {
        Sink::Skb
    } else {
        Sink::Frame
    };
    Scenario {
        sink,
        ..Scenario::PLAIN
    }
}

#[cfg(test)]
mod tests;
