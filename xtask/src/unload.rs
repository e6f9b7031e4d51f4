//! `cargo xtask unload`: undoes `cargo xtask load`.

use crate::{
    load::{self, Record, State},
    setup,
};
use anyhow::{Context, Result};
use std::time::Duration;
use xtask::{lab::wait_until, shell};

/// How long an nved may take to end after it has unloaded.
const END: Duration = Duration::from_secs(20);

/// Takes the dataplane out of the kernel and ends nved. The store and the log stay unless `purge`.
pub(crate) fn run(purge: bool) -> Result<()> {
    setup::need_root("unload")?;
    let state = State::open()?;
    match state.record()? {
        Some(record) => take_out(&state, &record)?,
        None => println!("nothing is loaded"),
    }
    if purge {
        state.purge()?;
    }
    Ok(())
}

fn take_out(state: &State, record: &Record) -> Result<()> {
    if !record.lasts()? {
        println!("the machine has started anew since the load, so nothing is left");
        return state.forget(&record.socket());
    }
    let process = if let Some(process) = record.process() {
        process
    } else {
        eprintln!("nved has ended; it starts once more, to take out what it left");
        load::start(state, &mut record.clone(), Some(record))?
    };
    shell::stream(load::nvectl(record).arg("unload"))?;
    let ended = wait_until("nved to end", END, || Ok((!process.runs()).then_some(())));
    ended.with_context(|| {
        format!(
            "the dataplane is unloaded, but process {} stays",
            process.pid()
        )
    })?;
    state.forget(&record.socket())
}
