//! `cargo xtask test`: lint, every test of every tier, and the demo, counted in one line.

mod guests;
mod programs;
mod reader;
mod report;
mod tally;

use crate::{demo, lint, setup};
use anyhow::Result;
use programs::{Program, Tier};
use tally::Tally;
use xtask::{lab, shell};

/// Runs everything, or with `filter` only the tests whose name contains it. Did all pass?
pub(crate) fn run(filter: Option<&str>) -> Result<bool> {
    setup::run()?;
    let mut tally = Tally::default();
    if filter.is_none() {
        tally.check("lint", lint::run());
    }
    if let Some(programs) = tally.check("build", programs::build()) {
        every_tier(&programs, filter, &mut tally);
    }
    tally.print();
    Ok(!tally.failed())
}

fn every_tier(programs: &[Program], filter: Option<&str>, tally: &mut Tally) {
    let unprivileged = setup::need_kernel("test")
        .err()
        .map(|error| format!("{error:#}"));
    for program in programs {
        // What is ignored here has its turn below, if it can have one.
        let later = program.privileged() && unprivileged.is_none();
        program.run(Tier::Plain { later }, filter, tally);
    }
    if filter.is_none() {
        programs::doctests(tally);
    }
    if unprivileged.is_none() {
        tally.check("sweep", lab::sweep());
        guests::prepare(programs, filter);
        let here = |program: &&Program| program.privileged() && !program.only_in_guests();
        for program in programs.iter().filter(here) {
            program.run(Tier::Privileged, filter, tally);
        }
        tally.check("sweep", lab::sweep());
        guests::run(programs, filter, tally);
    } else {
        guests::skip(programs, filter, tally);
    }
    if filter.is_none_or(|filter| "demo".contains(filter)) {
        run_demo(unprivileged.as_deref(), tally);
    }
}

fn run_demo(unprivileged: Option<&str>, tally: &mut Tally) {
    if let Some(why) = unprivileged {
        tally.skip(format!("demo: {why}"));
        return;
    }
    eprintln!("+ {} demo", shell::line(&shell::cargo(["xtask"])));
    if let Some(score) = tally.check("demo", demo::score(false)) {
        tally.add(score.passed, &score.failed);
    }
}
