//! Workers, sockets and agents that end at random, under packets that need them.
//!
//! `NVE_SOAK_SECONDS` says for how long (20 unless given), `NVE_SOAK_SEED` repeats an order. Every
//! event happens at least once. All the time a tenant sends to whom it knows, to whom it does not
//! know, to nobody, and what does not fit; after each event first packets arrive again, and the agent
//! has as many descriptors as before.

mod account;
mod chatter;
mod events;
#[path = "../soak/random.rs"]
mod random;
mod world;

use anyhow::{Context, Result};
use events::{EVENTS, Event};
use random::Random;
use std::time::{Duration, Instant};
use world::World;

/// How long unless told otherwise; each event happens once at least.
const SECONDS: u64 = 20;

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

fn happens(world: &mut World, event: &Event) -> Result<()> {
    let begun = Instant::now();
    let done = (event.run)(world).and_then(|()| world.recovered());
    done.with_context(|| event.name.to_owned())?;
    println!("{:>6.1?}  {}", begun.elapsed(), event.name);
    Ok(())
}

fn soak(world: &mut World, until: Instant) -> Result<()> {
    let mut order: Vec<&Event> = EVENTS.iter().collect();
    let mut first = true;
    while first || Instant::now() < until {
        world.random.shuffle(&mut order);
        for event in &order {
            if first || Instant::now() < until {
                happens(world, event)?;
            }
        }
        first = false;
    }
    world.settles()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn workers_end_at_random_and_nothing_leaks() {
    let seconds = setting("NVE_SOAK_SECONDS").unwrap_or(SECONDS);
    let seed = setting("NVE_SOAK_SEED").unwrap_or_else(random::seed);
    println!("soak of the slow path: {seconds} s, NVE_SOAK_SEED={seed}");
    let mut world = World::up(Random::new(seed)).expect("the world is up");
    let until = Instant::now() + Duration::from_secs(seconds);
    if let Err(error) = soak(&mut world, until) {
        panic!("NVE_SOAK_SEED={seed}: {error:#}\n{}", world.evidence());
    }
}
