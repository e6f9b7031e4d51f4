//! What is to be measured, in words of the command line.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use dataplane_bench::{
    profile::{self, Profile},
    results::row::MachineKind,
    scenario::Comparison,
};

/// What `--only` has for the figures of one path alone.
pub(crate) const FIGURES: &str = "figures";

/// [`MachineKind`] as an option.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    Host,
    Guest,
}

impl From<Kind> for MachineKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Host => Self::Host,
            Kind::Guest => Self::Guest,
        }
    }
}

#[derive(Args)]
pub(crate) struct What {
    /// quick, full or sanity
    pub(crate) profile: String,
    /// Only comparisons that have this in their paths or conditions; `figures`: only those of one path alone
    #[arg(long, value_name = "SUBSTRING")]
    pub(crate) only: Option<String>,
    /// What kind of machine this is
    #[arg(long, value_enum, default_value_t = Kind::Host)]
    pub(crate) machine: Kind,
}

impl What {
    /// The profile, and what is left of its comparisons.
    pub(crate) fn find(&self) -> Result<(&'static Profile, Vec<Comparison>)> {
        let profile = profile::find(&self.profile)?;
        let mut comparisons = profile.comparisons(self.machine.into());
        if let Some(word) = &self.only {
            if word == FIGURES {
                return Ok((profile, Vec::new()));
            }
            comparisons.retain(|comparison| profile::named(comparison, word));
            let name = profile.name;
            // The guest has a part of what the host has.
            let guest = matches!(self.machine, Kind::Guest);
            ensure!(
                guest || !comparisons.is_empty(),
                "no comparison of profile {name} has {word:?}; `bench list {name}` shows them"
            );
        }
        Ok((profile, comparisons))
    }
}
