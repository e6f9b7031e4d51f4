//! `run`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;
use dataplane_bench::{
    figures::{self, Figure, Plan, Unit},
    noise::Machine,
    profile::{Figures, Profile},
    results::{file::Writer, row::Row},
    session::{
        Session, Tally,
        environment::{self, Told},
        progress::Bar,
    },
    workshop::Paths,
};
use xtask::lab;

use super::what::{FIGURES, Kind, What};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    what: What,
    /// Append rows to this file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Seed of all that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Commit of the sources, with `-dirty` behind it if they were changed [default: ask git]
    #[arg(long)]
    revision: Option<String>,
}

/// Which figures of one path alone belong to a run: of the host, and with everything or by name.
fn plan(what: &What, profile: &Profile, seed: u64) -> Option<Plan> {
    let wanted = what.only.as_deref().is_none_or(|word| word == FIGURES);
    match profile.figures {
        _ if !wanted || matches!(what.machine, Kind::Guest) => None,
        Figures::None => None,
        Figures::Quick => Some(Plan::quick(seed)),
        Figures::Full => Some(Plan::full(seed)),
    }
}

/// Measures figures of one path alone; whether all could be measured.
fn measure_figures(plan: &Plan, writer: &mut Writer, bar: &Bar) -> Result<bool> {
    bar.announce("figures of one path alone");
    let done = figures::measure(plan, |group| {
        for figure in group {
            writer.row(&Row::Figure(figure))?;
        }
        lab::interrupted()
    });
    lab::interrupted()?;
    let Err(error) = done else { return Ok(true) };
    bar.say(&format!("figures: failed: {error:#}"));
    let rest = Figure::new("what follows here in other runs", Unit::Bytes);
    writer.row(&Row::Figure(rest.absent(format!("failed: {error:#}"))))?;
    Ok(false)
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let (profile, comparisons) = options.what.find()?;
    ensure!(
        rustix::process::geteuid().is_root(),
        "measuring makes network namespaces and loads eBPF programs, which needs root; run it as root"
    );
    lab::catch_signals()?;
    lab::sweep()?;
    let mut writer = Writer::append(&options.out)?;
    let told = Told {
        machine: options.what.machine.into(),
        seed: options.seed,
        revision: options.revision.clone(),
    };
    writer.row(&Row::Run(environment::run(profile, &told)))?;
    let mut bar = Bar::new(comparisons.len());
    let mut session = Session {
        rules: profile.rules,
        seed: options.seed,
        workshop: &mut Paths,
        watch: &mut Machine::new(),
        writer: &mut writer,
        progress: &mut bar,
    };
    let mut ran = session.run(&comparisons);
    if let (Ok(tally), Some(plan)) = (&mut ran, plan(&options.what, profile, options.seed)) {
        match measure_figures(&plan, &mut writer, &bar) {
            Ok(complete) => tally.failed += usize::from(!complete),
            Err(error) => ran = Err(error),
        }
    }
    bar.end();
    let (rows, path) = (writer.rows(), writer.path().display());
    let tally =
        ran.with_context(|| format!("the run is not complete; {path} keeps its {rows} rows"))?;
    ended(&tally);
    eprintln!("{rows} rows are in {path}; show them: bench report {path}");
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn ended(tally: &Tally) {
    let Tally {
        clear,
        doubtful,
        unavailable,
        failed,
    } = tally;
    eprintln!(
        "{clear} measured, {doubtful} inconclusive, {unavailable} not available, {failed} failed"
    );
}
