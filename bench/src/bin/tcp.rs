//! Prints the ratio of TCP through the overlay to TCP over a bare veth.
//!
//! `cargo run -p dataplane-bench --bin tcp -- --pairs 7 --seconds 3`, as root.

use anyhow::{Context, Result};
use clap::Parser;
use dataplane_bench::{ratio::summary, tcp};

#[derive(Parser)]
struct Args {
    /// Pairs of measurements, interleaved.
    #[arg(long, default_value_t = 7)]
    pairs: u32,
    /// Length of each, seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let pairs = tcp::pairs(args.pairs, args.seconds)?;
    for pair in &pairs {
        let (ours, twin) = (pair.ours / 1e9, pair.twin / 1e9);
        println!(
            "overlay {ours:5.1} Gbit/s   veth {twin:5.1} Gbit/s   ratio {:.2}",
            pair.ratio()
        );
    }
    let (least, median, most) = summary(&pairs).context("no pairs; give --pairs 1 or more")?;
    println!(
        "overlay / bare veth: median {median:.2} ({least:.2} to {most:.2}, {} pairs)",
        pairs.len()
    );
    Ok(())
}
