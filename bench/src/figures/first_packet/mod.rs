//! What the first packet to a destination costs, with a record in the kernel's table and without.
//!
//! One tenant with `tableMode: onDemand` sends a packet to each of very many destinations, and
//! another one right after it. The first finds no record, goes to user space and comes back once
//! the record is there; the second is the twin: the same frame on the same path, a moment later.

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use xtask::lab::interrupted;

mod course;
mod rig;

use super::{Figure, Plan, Unit, tables};
pub use course::{Course, Leg};
use rig::Rig;

/// What became of the packets of both kinds.
#[derive(Clone, Debug)]
pub struct FirstPackets {
    /// Without a record.
    pub absent: Leg,
    /// With the record that the packet before it fetched.
    pub present: Leg,
    /// Packets that the programs left to user space.
    pub punted: u64,
    /// Packets that came back from there.
    pub reinjected: u64,
    /// All drops of the host, as `PORT REASON PACKETS`.
    pub drops: Vec<String>,
}

impl FirstPackets {
    /// Sends to so many destinations, so many a second, on a host and an `nved` of their own.
    pub fn of(destinations: u32, per_second: u32) -> Result<Self> {
        let rig = Rig::start(destinations)?;
        let course = Course {
            sender: (tables::mac(tables::CA), tables::CA),
            first: tables::FIRST,
            destinations,
            per_second,
        };
        let before = rig.counts()?;
        let [absent, present] = course.run(rig.vm(), rig.far())?;
        let after = rig.counts()?;
        Ok(Self {
            absent,
            present,
            punted: after.punted - before.punted,
            reinjected: after.reinjected - before.reinjected,
            drops: rig.drops()?,
        })
    }
}

/// New destinations a second: well below the 2,000 punts a second that a port has, unless the
/// settings say otherwise.
const PACE: u32 = 1500;

/// Both percentiles and the losses, with the record and without.
pub fn measure(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures: Vec<Figure> = Vec::new();
    for _ in 0..plan.policy_trials {
        interrupted()?;
        let done = FirstPackets::of(plan.destinations, PACE)?;
        // Otherwise the two legs are not what they are called.
        let FirstPackets { punted, drops, .. } = &done;
        let wanted = u64::from(plan.destinations);
        ensure!(
            *punted == wanted,
            "{punted} packets were left to user space, not {wanted}; drops: {drops:?}"
        );
        for (record, leg) in [("absent", &done.absent), ("present", &done.present)] {
            for (of, unit, value) in values(leg) {
                keep(
                    &mut figures,
                    figure(plan.destinations, (record, of), unit),
                    value,
                );
            }
        }
    }
    Ok(figures)
}

fn figure(destinations: u32, (record, of): (&str, &str), unit: Unit) -> Figure {
    let name = if unit == Unit::Packets {
        "first-packet-loss"
    } else {
        "first-packet"
    };
    Figure::new(name, unit)
        .with("records", destinations)
        .with("of", of)
        .with("record", record)
}

fn keep(figures: &mut Vec<Figure>, figure: Figure, value: f64) {
    let same = |other: &&mut Figure| {
        (&other.name, &other.parameters) == (&figure.name, &figure.parameters)
    };
    if let Some(known) = figures.iter_mut().find(same) {
        known.trials.push(value);
    } else {
        let trials = vec![value];
        figures.push(Figure { trials, ..figure });
    }
}

fn values(leg: &Leg) -> [(&'static str, Unit, f64); 4] {
    let at = |quantile| nanoseconds(&leg.times, quantile);
    [
        ("p50", Unit::Nanoseconds, at(0.5)),
        ("p99", Unit::Nanoseconds, at(0.99)),
        ("lost", Unit::Packets, f64::from(leg.lost)),
        ("twice", Unit::Packets, f64::from(leg.twice)),
    ]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of seconds are exact in 53 bits"
)]
fn nanoseconds(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_of_the_same_conditions_are_one_figure() {
        let mut figures = Vec::new();
        for value in [1.0, 2.0] {
            for record in ["absent", "present"] {
                let figure = figure(64, (record, "p50"), Unit::Nanoseconds);
                keep(&mut figures, figure, value);
            }
        }
        assert_eq!(figures.len(), 2);
        assert!(figures.iter().all(|figure| figure.trials == [1.0, 2.0]));
        assert_eq!(figures[1].parameters["record"], "present");
    }
}
