//! How fast records become enforced: from the compiled image into the maps, without the rest of the
//! agent. (From a file through the whole product: see [`super::policy`].)

use std::{path::PathBuf, time::Instant};

use anyhow::{Result, ensure};
use dataplane_user::{
    dataplane::{
        Dataplane,
        commit::{Records, Way},
    },
    policy::diff_but_records,
    settings::{KeepAlive, Settings, TcHook, UplinkMode},
    slowpath::Limits,
};
use xtask::lab::{BPFFS, interrupted, remove_pins, unique};

use super::{Figure, Plan, Unit, tables};

/// Every size of tables.
pub fn measure(plan: &Plan) -> Result<Vec<Figure>> {
    let figures = plan.records.iter();
    figures.map(|records| one(plan, *records)).collect()
}

fn one(plan: &Plan, count: u32) -> Result<Figure> {
    let image = tables::image(count);
    let mut figure = Figure::new("load-rate", Unit::RecordsPerSecond)
        .with("from", "compiled image")
        .with("records", count);
    for _ in 0..plan.trials {
        interrupted()?;
        let pins = Pins::new();
        let mut dataplane = Dataplane::load(&settings(&pins, count))?;
        let mut held = dataplane.read()?;
        let started = Instant::now();
        let ops = diff_but_records(&held, &image);
        let mut failures = dataplane.commit(&mut held, &ops);
        let mut records = Records::default();
        for way in [Way::Put, Way::Delete] {
            let of = (&held.lookup, &image.lookup);
            failures.extend(dataplane.commit_records(&mut records, of, way));
        }
        records.settle(&mut held.lookup, &image.lookup);
        let took = started.elapsed();
        ensure!(failures.is_empty(), "{failures:?}");
        // What the kernel says, not what was asked of it.
        let inside = dataplane.read()?.lookup.len();
        ensure!(inside == image.lookup.len(), "{inside} records are in");
        figure.trials.push(f64::from(count) / took.as_secs_f64());
        dataplane.unload(|_| None)?;
    }
    Ok(figure)
}

/// A folder of pins that goes with its guard.
struct Pins(PathBuf);

impl Pins {
    fn new() -> Self {
        Self(PathBuf::from(BPFFS).join(unique("load")))
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if let Err(error) = remove_pins(&self.0) {
            eprintln!("{error:#}");
        }
    }
}

fn settings(pins: &Pins, records: u32) -> Settings {
    Settings {
        host: "host-a".to_owned(),
        uplinks: Vec::new(),
        uplink_mode: UplinkMode::Tc,
        tc_hook: TcHook::Auto,
        neighbours: KeepAlive::Auto,
        store: String::new(),
        socket: PathBuf::new(),
        pin: pins.0.clone(),
        lookup_capacity: records.max(tables::DEFAULT_CAPACITY),
        slow_path: Limits::DEFAULT,
    }
}
