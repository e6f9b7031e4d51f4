//! What a look-up of a record costs: in the table of buckets, in the same as one fixed map, and in the
//! kernel's hash. Nanoseconds over the same program without a look-up; the next key waits for the
//! record of this one. The programs take turns, and the median of the differences of each turn counts.
//!
//! `cargo run --release -p dataplane-bench --example looks -- [RECORDS]...`, as root.

use std::{env, time::Instant};

use anyhow::Result;
use aya::maps::IterableMap as _;
use dataplane_bench::{
    figures::memory::locked,
    looks::{FIXED, HASH, Looks, NONE, TABLE},
};
use dataplane_common::records::{
    bucket::WORDS,
    probe::{Probe, marked},
};
use dataplane_user::dataplane::records::Memory as _;

/// Turns that each program takes.
const TURNS: usize = 15;
/// Runs of a program in one turn.
const RUNS: u32 = 400_000;

fn main() -> Result<()> {
    let sizes: Vec<u32> = env::args()
        .skip(1)
        .map(|n| n.parse())
        .collect::<Result<_, _>>()?;
    let sizes = if sizes.is_empty() {
        vec![1_000, 64_000, 1_000_000, 8_000_000]
    } else {
        sizes
    };
    println!(
        "records  fill M/s  bytes/record  load  bucket  fixed  hash  bucket of 1k hot  hash of 1k hot"
    );
    for records in sizes {
        println!("{}", measure(records)?);
    }
    Ok(())
}

fn measure(records: u32) -> Result<String> {
    let (mut looks, mut table) = Looks::load(records, 0)?;
    let keys = Probe {
        keys: records.into(),
        stride: 1,
        ..Probe::default()
    };
    // Whatever is 0 in the record leaves the next number to the draw alone.
    let all = (0..u64::from(records)).map(|number| (keys.key(number), marked(keys.key(number), 0)));
    let begun = Instant::now();
    table.extend(all.clone())?;
    let rate = f64::from(records) / begun.elapsed().as_secs_f64() / 1e6;
    looks.fill_hash(all)?;
    let elements = table.writer().memory().words() / WORDS + 1;
    let (mut fixed, _) = Looks::load(1, u32::try_from(elements)?)?;
    fixed.fix(&table)?;
    let mut cost = |program: &str, keys: Probe| -> Result<f64> {
        let mut differences = Vec::new();
        for turn in 0..TURNS {
            let mut time = |name: &str| -> Result<f64> {
                let looks = if name == FIXED {
                    &mut fixed
                } else {
                    &mut looks
                };
                let state = turn as u64 + 1;
                let mut probe = Probe { state, ..keys };
                let took = looks.run(name, &mut probe, RUNS)?;
                anyhow::ensure!(probe.found == u64::from(RUNS), "{name}: {probe:?}");
                Ok(took.as_secs_f64() * 1e9)
            };
            differences.push(time(program)? - time(NONE)?);
        }
        differences.sort_by(f64::total_cmp);
        Ok(differences[TURNS / 2])
    };
    let hot = Probe {
        keys: keys.keys.min(1000),
        ..keys
    };
    let costs = [
        cost(TABLE, keys)?,
        cost(FIXED, keys)?,
        cost(HASH, keys)?,
        cost(TABLE, hot)?,
        cost(HASH, hot)?,
    ];
    let costs: Vec<String> = costs.iter().map(|cost| format!("{cost:.0}")).collect();
    let bytes = locked(table.writer().memory().map().map())?;
    let bytes = f64::from(u32::try_from(bytes)?) / f64::from(records);
    let slots = f64::from(u32::try_from(table.writer().capacity())?);
    let load = f64::from(records) / slots;
    let costs = costs.join("  ");
    Ok(format!(
        "{records}  {rate:.1}  {bytes:.1}  {load:.2}  {costs}"
    ))
}
