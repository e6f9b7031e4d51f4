//! `list`, and `absent` for what could not be run.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::Args;
use dataplane_bench::{
    profile::{self, PROFILES},
    results::{
        file::{Results, Writer},
        row::{MachineKind, Row, Unavailable},
        summary::Summary,
        words,
    },
    session::environment::{self, Told},
};

use super::what::What;

#[derive(Args)]
pub(crate) struct List {
    /// quick, full or sanity; none: all of them, in short
    profile: Option<String>,
}

pub(crate) fn list(options: &List) -> Result<ExitCode> {
    let Some(name) = &options.profile else {
        for profile in &PROFILES {
            println!("{:8} {}", profile.name, profile.about);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let profile = profile::find(name)?;
    for machine in [MachineKind::Host, MachineKind::Guest] {
        let comparisons = profile.comparisons(machine);
        let (least, most) = profile.length(&comparisons);
        println!(
            "{machine}: {} comparisons, {} to {}",
            comparisons.len(),
            told(least),
            told(most)
        );
        for comparison in &comparisons {
            let paths = words::paths(comparison.ours, comparison.twin);
            println!("  {paths}, {}", words::conditions(comparison));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn told(time: Duration) -> String {
    format!("{:.1} min", time.as_secs_f64() / 60.0)
}

#[derive(Args)]
pub(crate) struct Absent {
    #[command(flatten)]
    what: What,
    /// The file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What is missing, and what to run
    #[arg(long)]
    why: String,
    /// Kernel that it would have been, major and minor version
    #[arg(long)]
    kernel: String,
    /// Seed that it would have been
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Commit of the sources
    #[arg(long)]
    revision: Option<String>,
}

pub(crate) fn absent(options: &Absent) -> Result<ExitCode> {
    let (profile, mut comparisons) = options.what.find()?;
    let exists = options.out.exists();
    if exists {
        let results = Results::read(&options.out)?;
        let Some(last) = results.runs.last() else {
            bail!("no run is in {}", options.out.display())
        };
        let summary = Summary::of(last);
        comparisons.retain(|comparison| {
            summary
                .lines
                .iter()
                .all(|line| line.comparison != *comparison)
        });
    }
    let mut writer = Writer::append(&options.out)?;
    if !exists {
        let told = Told {
            machine: options.what.machine.into(),
            seed: options.seed,
            revision: options.revision.clone(),
        };
        let mut run = environment::run(profile, &told);
        (run.kernel, run.cpu) = (options.kernel.clone(), "emulated CPU".to_owned());
        writer.row(&Row::Run(run))?;
    }
    for comparison in comparisons {
        let why = options.why.clone();
        writer.row(&Row::Unavailable(Unavailable {
            comparison,
            path: comparison.ours,
            why,
            failed: false,
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}
