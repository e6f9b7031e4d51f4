//! Everything that happens to a host in a year, at random and in minutes, under traffic.
//!
//! `NVE_SOAK_SECONDS` says for how long (180 unless given), `NVE_SOAK_SEED` repeats an order.
//! Every event happens at least once. Streams of numbered datagrams run all the time: an event
//! that promises to disturb nobody may not cost a single one, and what the others cost is told.

mod events;
mod ledger;
mod random;
mod world;

use anyhow::{Context, Result, ensure};
use events::{EVENTS, Event};
use ledger::{Ledger, Opened};
use random::Random;
use std::time::{Duration, Instant};
use world::World;

/// How long unless told otherwise.
const SECONDS: u64 = 180;

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is no number")),
    )
}

fn happens(world: &mut World, ledger: &mut Ledger, event: &'static Event) -> Result<()> {
    let opened = Opened::new(event, world);
    (event.run)(world)
        .and_then(|()| world.recovered())
        .with_context(|| format!("{}\nbefore it:\n{}", event.name, ledger.history()))?;
    ledger.close(opened, world);
    Ok(())
}

fn soak(world: &mut World, ledger: &mut Ledger, until: Instant) -> Result<()> {
    let mut order: Vec<&'static Event> = EVENTS.iter().collect();
    let mut round = 0;
    while round == 0 || Instant::now() < until {
        world.random.shuffle(&mut order);
        for event in &order {
            if round > 0 && Instant::now() >= until {
                break;
            }
            happens(world, ledger, event)?;
        }
        round += 1;
    }
    ensure!(ledger.kinds() == EVENTS.len(), "not every event happened");
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_year_of_a_host_under_traffic() {
    let seconds = setting("NVE_SOAK_SECONDS").unwrap_or(SECONDS);
    let seed = setting("NVE_SOAK_SEED").unwrap_or_else(random::seed);
    println!("soak: {seconds} s, NVE_SOAK_SEED={seed}");
    let mut world = World::up(Random::new(seed)).expect("the world is up");
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut ledger = Ledger::default();
    let done = soak(&mut world, &mut ledger, until)
        .and_then(|()| world.settle())
        .and_then(|tallies| ledger.judge(&tallies));
    if let Err(error) = done {
        panic!("NVE_SOAK_SEED={seed}: {error:#}\n{}", world.evidence());
    }
}
