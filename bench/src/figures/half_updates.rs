//! Packets that saw half an update: records change between two complete states as fast as is asked
//! for, and each packet at the far end must show one of them as a whole.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use xtask::lab::interrupted;

use super::{Figure, Plan, Unit};
use crate::{
    generator::{Kind, Load},
    paths::{
        Absence,
        nve::{self, States, looks},
        room,
    },
    programs::Hook,
    rate::churn,
    scenario::{Keys, Scenario, Work},
    sink::{Seen, Watcher},
};

/// Updates each second.
const UPDATES: u32 = 100_000;
/// How long it may take until so many packets have been looked at.
const LIMIT: Duration = Duration::from_mins(5);
/// How often that is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// Begin of whatever is random.
const SEED: u64 = 0x6E76_6765;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Where our program is.
    pub hook: Hook,
    /// Records, all of which are written and asked for.
    pub records: u32,
    /// What is written.
    pub states: States,
    /// Packets to look at, at least.
    pub packets: u64,
}

/// At each hook, and with a single record that is always being written.
pub fn measure(plan: &Plan) -> Result<Vec<Figure>> {
    let most = plan.watched;
    let some = most / 10;
    let watches = [
        (Hook::Xdp, "xdp", 1024, most),
        (Hook::Xdp, "xdp", 1, some),
        (Hook::Tc, "tc", 1024, some),
    ];
    let mut figures = Vec::new();
    for (hook, word, records, packets) in watches {
        let mut figure = Figure::new("half-updates", Unit::Packets)
            .with("hook", word)
            .with("of packets", packets)
            .with("records", records)
            .with("updates/s", UPDATES);
        let seen = watch(&Watch {
            hook,
            records,
            states: States::Whole,
            packets,
        })?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        figure.trials.push(seen.mixed as f64);
        figures.push(figure);
    }
    Ok(figures)
}

/// Lets packets flow while records are written, and looks at each.
pub fn watch(what: &Watch) -> Result<Seen> {
    let scenario = Scenario {
        work: Work::Encap,
        records: what.records,
        ..Scenario::PLAIN
    };
    let mut built = nve::alternating(what.hook, &scenario, what.states)?;
    let watcher = Watcher::attach(&built.sink, looks())?;
    let load = Load {
        keys: Keys::Uniform,
        records: room::asked(&scenario),
        threads: 1,
        seed: SEED,
    };
    let generator = Kind::choose(&built, &load).make(&built, &load);
    let mut generator = generator.map_err(|absence| match absence {
        Absence::NotAvailable(why) => anyhow::anyhow!(why),
        Absence::Failed(error) => error,
    })?;
    let writer = churn::start(&mut built.rewrite, (UPDATES, load.records), None);
    let started = generator.start();
    let waited = started.and_then(|()| until(&watcher, what.packets));
    let stopped = generator.stop();
    let (_, updates) = writer.stop();
    waited.and(stopped)?;
    let (seen, updates) = (watcher.seen()?, updates?);
    ensure!(
        seen.whole.iter().all(|count| *count > 0) && updates.written > 1,
        "records did not change while packets were looked at: {seen:?}, {updates:?}"
    );
    Ok(seen)
}

fn until(watcher: &Watcher, packets: u64) -> Result<()> {
    let begin = Instant::now();
    loop {
        interrupted()?;
        let seen = watcher.seen()?;
        if seen.total() >= packets {
            return Ok(());
        }
        ensure!(
            begin.elapsed() < LIMIT,
            "only {seen:?} of {packets} packets came within {LIMIT:?}"
        );
        thread::sleep(LOOK);
    }
}
