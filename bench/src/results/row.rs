//! The rows of a result file: one JSON object a line.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    figures::Figure,
    noise::{Limits, Quiet},
    scenario::{Comparison, PathName},
};

/// Version of the format; readers refuse any other.
pub const FORMAT: u32 = 1;

/// A line of a result file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "kebab-case")]
pub enum Row {
    /// Begins the rows of one run on one kernel.
    Run(Run),
    /// One half of a pair.
    Trial(Trial),
    /// A comparison that cannot be had, in whole.
    Unavailable(Unavailable),
    /// A figure that is compared with nothing.
    Figure(Figure),
}

/// Under which circumstances the rows that follow were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// [`FORMAT`].
    pub format: u32,
    /// Commit of the sources.
    pub revision: String,
    /// The sources had changes that no commit has.
    pub dirty: bool,
    /// Major and minor version of the kernel, `6.18`; no suffix, which is a machine's own.
    pub kernel: String,
    /// What kind of machine.
    pub machine: MachineKind,
    /// Model of the CPU.
    pub cpu: String,
    /// CPUs that are online.
    pub cores: usize,
    /// Of all that is random.
    pub seed: u64,
    /// Name of the profile.
    pub profile: String,
    /// When it began, UTC, RFC 3339.
    pub started: String,
    /// Versions of programs that are measured.
    pub tools: BTreeMap<String, String>,
    /// When a result counts.
    pub demands: Demands,
}

/// What a comparison needs to be conclusive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Demands {
    /// Pairs that count.
    pub min_pairs: usize,
    /// Half width of the 95 % interval, relative.
    pub tolerance: f64,
    /// Noise above which a pair does not count.
    pub limits: Limits,
}

/// Machines of different kinds are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineKind {
    /// The machine itself.
    Host,
    /// A virtual machine of `cargo xtask vm`, whose CPU is emulated.
    Guest,
}

impl fmt::Display for MachineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Guest => "guest",
        })
    }
}

/// One half of a pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// What is compared, and how.
    pub comparison: Comparison,
    /// Number of the pair, from 0.
    pub pair: usize,
    /// 0: the first half of the pair, 1: the second.
    pub half: u8,
    /// The path that was measured.
    pub path: PathName,
    /// In the metric's unit.
    pub value: f64,
    /// Counts that belong to it.
    pub details: BTreeMap<String, u64>,
    /// The noise.
    #[serde(flatten)]
    pub quiet: Quiet,
    /// Why the pair does not count; nothing: it does.
    pub discarded: Option<String>,
}

/// Why a comparison has no trials, or no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unavailable {
    /// The comparison.
    pub comparison: Comparison,
    /// The path of the two that cannot be had.
    pub path: PathName,
    /// What is missing, and what to run; or what went wrong.
    pub why: String,
    /// It should have worked.
    pub failed: bool,
}
