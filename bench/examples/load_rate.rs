//! How many records a second go from a compiled image into the kernel's table, as root:
//! `load_rate RECORDS TRIALS`.

use anyhow::{Context, Result};
use dataplane_bench::figures::{Plan, load_rate};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |name| -> Result<u32> {
        let given = arguments.next().context(name)?;
        Ok(given.parse()?)
    };
    let plan = Plan {
        records: vec![number("RECORDS")?],
        trials: number("TRIALS")?,
        ..Plan::quick(1)
    };
    for figure in load_rate::measure(&plan)? {
        println!("{figure:?}");
    }
    Ok(())
}
