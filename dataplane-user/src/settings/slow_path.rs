//! The limits of the slow path: flags, and keys of the same names in the table `[slow-path]`.

use std::{ops::RangeInclusive, time::Duration};

use serde::Deserialize;

use super::{SettingsError, checked};
use crate::{
    policy::in_use::Lives,
    slowpath::{Limits, budget, hold},
};

/// What was given of them; the rest has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[command(next_help_heading = "Limits of the slow path ([slow-path] in the configuration file)")]
pub struct SlowPathFlags {
    /// Packets a second that a port may send to user space, in the long run [default: 2000]
    #[arg(long, value_name = "N")]
    pub punt_rate: Option<u32>,
    /// Packets that a port may send to user space at once [default: 256]
    #[arg(long, value_name = "N")]
    pub punt_burst: Option<u32>,
    /// Let sockets on uplinks share the driver's memory where it can; each restart of nved then
    /// loses what is in the uplink's queues [default: false]
    #[arg(long, value_name = "BOOL")]
    pub zero_copy: Option<bool>,
    /// Packets that wait for one destination, on each queue [default: 64]
    #[arg(long, value_name = "N")]
    pub hold_per_destination: Option<u32>,
    /// Packets of one VM network that wait, on each queue [default: 1024]
    #[arg(long, value_name = "N")]
    pub hold_per_tenant: Option<u32>,
    /// Packets that wait in all, on each queue [default: 4096]
    #[arg(long, value_name = "N")]
    pub hold_in_all: Option<u32>,
    /// How long a packet waits at most [default: 500]
    #[arg(long, value_name = "MS")]
    pub hold_milliseconds: Option<u32>,
    /// Packets a second of all VM networks, on each queue; shared by weight [default: 50000]
    #[arg(long, value_name = "N")]
    pub budget_rate: Option<u32>,
    /// A silent VM network may spend its share of so long at once [default: 100]
    #[arg(long, value_name = "MS")]
    pub budget_saving_milliseconds: Option<u32>,
    /// How long a record that no packet uses stays in an onDemand table, 1 to 36000 [default: 60]
    #[arg(long, value_name = "S")]
    pub idle_seconds: Option<u32>,
    /// How long the answer stands that nobody has an address, 1 to 5 [default: 2]
    #[arg(long, value_name = "S")]
    pub negative_seconds: Option<u32>,
    /// Such answers of one VM network that stand at a time [default: 4096]
    #[arg(long, value_name = "N")]
    pub negative_per_tenant: Option<u32>,
}

/// The time between two packets is whole nanoseconds in a word of 32 bits.
const RATES: RangeInclusive<u32> = 1..=1_000_000;
const BURSTS: RangeInclusive<u32> = 1..=65_536;
/// Each packet that waits takes as much memory as it is long, up to 4 KiB.
const PACKETS: RangeInclusive<u32> = 1..=65_536;
/// A sender asks again after a second or so.
const WAITS: RangeInclusive<u32> = 1..=10_000;
const BUDGETS: RangeInclusive<u32> = 1..=10_000_000;
const SAVINGS: RangeInclusive<u32> = 1..=10_000;
/// The stamps of `LOOKUP` come round in 70,350 s: an age beyond that reads as a young one. There is
/// time left for looks that come late.
const IDLE: RangeInclusive<u32> = 1..=36_000;
/// Shorter ones spare no questions; longer ones hide a VM that starts.
const NEGATIVE: RangeInclusive<u32> = 1..=5;
const NEGATIVES: RangeInclusive<u32> = 1..=1_048_576;

impl SlowPathFlags {
    /// These, and what is not among them from `others`.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            punt_rate: self.punt_rate.or(others.punt_rate),
            punt_burst: self.punt_burst.or(others.punt_burst),
            zero_copy: self.zero_copy.or(others.zero_copy),
            hold_per_destination: self.hold_per_destination.or(others.hold_per_destination),
            hold_per_tenant: self.hold_per_tenant.or(others.hold_per_tenant),
            hold_in_all: self.hold_in_all.or(others.hold_in_all),
            hold_milliseconds: self.hold_milliseconds.or(others.hold_milliseconds),
            budget_rate: self.budget_rate.or(others.budget_rate),
            budget_saving_milliseconds: self
                .budget_saving_milliseconds
                .or(others.budget_saving_milliseconds),
            idle_seconds: self.idle_seconds.or(others.idle_seconds),
            negative_seconds: self.negative_seconds.or(others.negative_seconds),
            negative_per_tenant: self.negative_per_tenant.or(others.negative_per_tenant),
        }
    }

    /// The limits: checked, and with the defaults of [`Limits::DEFAULT`].
    pub fn limits(self) -> Result<Limits, SettingsError> {
        let whole = Limits::DEFAULT;
        let number = |key, given: Option<u32>, default, valid| match given {
            Some(value) => checked(key, value, valid),
            None => Ok(default),
        };
        Ok(Limits {
            punt_rate: number("punt-rate", self.punt_rate, whole.punt_rate, RATES)?,
            punt_burst: number("punt-burst", self.punt_burst, whole.punt_burst, BURSTS)?,
            zero_copy: self.zero_copy.unwrap_or(whole.zero_copy),
            hold: self.hold()?,
            budget: budget::Rates {
                all: number("budget-rate", self.budget_rate, whole.budget.all, BUDGETS)?,
                saving: milliseconds(
                    "budget-saving-milliseconds",
                    self.budget_saving_milliseconds,
                    whole.budget.saving,
                    SAVINGS,
                )?,
            },
            lives: self.lives()?,
        })
    }

    fn hold(self) -> Result<hold::Limits, SettingsError> {
        let whole = hold::Limits::DEFAULT;
        let places = [
            (
                "hold-per-destination",
                self.hold_per_destination,
                whole.destination,
            ),
            ("hold-per-tenant", self.hold_per_tenant, whole.tenant),
            ("hold-in-all", self.hold_in_all, whole.all),
        ];
        let [destination, tenant, all] =
            places.map(|(key, given, default)| packets(key, given, default));
        let (destination, tenant, all) = (destination?, tenant?, all?);
        within(("hold-per-tenant", tenant), ("hold-in-all", all))?;
        within(
            ("hold-per-destination", destination),
            ("hold-per-tenant", tenant),
        )?;
        Ok(hold::Limits {
            destination,
            tenant,
            all,
            time: milliseconds(
                "hold-milliseconds",
                self.hold_milliseconds,
                whole.time,
                WAITS,
            )?,
        })
    }

    fn lives(self) -> Result<Lives, SettingsError> {
        let whole = Lives::DEFAULT;
        let seconds = |key, given: Option<u32>, default, valid| match given {
            Some(given) => {
                checked(key, given, valid).map(|given| Duration::from_secs(given.into()))
            }
            None => Ok(default),
        };
        let negatives = match self.negative_per_tenant {
            Some(given) => checked("negative-per-tenant", given, NEGATIVES)? as usize,
            None => whole.negatives,
        };
        Ok(Lives {
            idle: seconds("idle-seconds", self.idle_seconds, whole.idle, IDLE)?,
            negative: seconds(
                "negative-seconds",
                self.negative_seconds,
                whole.negative,
                NEGATIVE,
            )?,
            negatives,
        })
    }
}

fn packets(key: &'static str, given: Option<u32>, default: usize) -> Result<usize, SettingsError> {
    match given {
        Some(given) => Ok(checked(key, given, PACKETS)? as usize),
        None => Ok(default),
    }
}

fn milliseconds(
    key: &'static str,
    given: Option<u32>,
    default: Duration,
    valid: RangeInclusive<u32>,
) -> Result<Duration, SettingsError> {
    match given {
        Some(given) => Ok(Duration::from_millis(checked(key, given, valid)?.into())),
        None => Ok(default),
    }
}

/// A limit that another one makes void is a mistake.
fn within(
    (part, value): (&'static str, usize),
    (whole, most): (&'static str, usize),
) -> Result<(), SettingsError> {
    if value <= most {
        return Ok(());
    }
    Err(SettingsError::Beyond {
        part,
        value,
        whole,
        most,
    })
}

#[cfg(test)]
mod tests;
