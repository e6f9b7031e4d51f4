//! `cargo xtask demo`: two hosts, three tenants with the same addresses, and proof that they never meet.

mod capture;
mod leftovers;
mod pcap;
mod rewritten;
mod score;
mod stage;
mod tenants;
mod traffic;
mod wire;

pub(crate) use score::Score;

use crate::setup;
use anyhow::{Context, Result};
use capture::Underlay;
use stage::Stage;
use tenants::{Carried, TENANTS};
use xtask::{lab, shell};

/// What to do with the topology.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// Leave everything up, and say what to try next
    #[arg(long)]
    keep: bool,
    /// Only remove what an earlier run left up
    #[arg(long, conflicts_with = "keep")]
    down: bool,
}

/// Prepares the machine, builds, and runs the demo. Did all checks pass?
pub(crate) fn run(options: Options) -> Result<bool> {
    setup::need_kernel("demo")?;
    let lock = leftovers::lock()?;
    if options.down {
        return leftovers::finish(&lock).map(|()| true);
    }
    drop(lock);
    setup::run()?;
    shell::stream(&mut shell::cargo(["build", "--package", "dataplane-user"]))?;
    let score = score(options.keep)?;
    Ok(score.failed.is_empty())
}

/// Runs the demo with the programs as they are built, prints the table, and cleans up.
pub(crate) fn score(keep: bool) -> Result<Score> {
    lab::catch_signals()?;
    let lock = leftovers::lock()?;
    leftovers::clean(&lock)?;
    let mut score = Score::default();
    println!("two hosts, three tenants, and all tenants use 10.0.0.5 and 10.0.0.7\n");
    let stage = score.check("two NVEs are up, with one policy", || {
        let stage = Stage::up(keep)?;
        let ports = TENANTS.len();
        Ok((stage, format!("{ports} ports on each host")))
    });
    if let Some(Err(error)) = stage.as_ref().map(|stage| tell(stage, &mut score)) {
        score.check("the demo ran to its end", || Err::<String, _>(error));
    }
    let interrupted = lab::interrupted();
    match stage {
        Some(stage) if keep && interrupted.is_ok() => {
            stage.leave();
            leftovers::what_next();
            score.print();
        }
        stage => {
            if interrupted.is_ok() {
                score.print();
            }
            drop(stage);
            leftovers::finish(&lock)?;
        }
    }
    interrupted
        .context("the demo ended early and removed everything")
        .map(|()| score)
}

/// The checks, in the order of a story.
fn tell(stage: &Stage, score: &mut Score) -> Result<()> {
    let underlay = Underlay::start(stage)?;
    let receivers = capture::receivers(stage)?;
    for tenant in &TENANTS {
        let name = tenant.name;
        score.check(&format!("{name}: ping 10.0.0.7"), || {
            traffic::ping(stage, tenant)
        });
        score.check(&format!("{name}: fetch http://10.0.0.7"), || {
            traffic::fetch(stage, tenant)
        });
    }
    let packets = underlay.stop()?;
    score.check("the wire carries NVGRE, one VSID a tenant", || {
        wire::check(&packets)
    });
    for tenant in &TENANTS {
        if let Carried::Rewritten(pas) = &tenant.carried {
            let name = format!("the wire carries PAs only for {}", tenant.name);
            score.check(&name, || rewritten::check(&packets, pas));
        }
    }
    for tenant in &TENANTS {
        let name = format!("{}: iperf3 to 10.0.0.7", tenant.name);
        score.check(&name, || traffic::iperf3(stage, tenant));
    }
    for provocation in &traffic::PROVOCATIONS {
        let name = format!("{} is dropped: {}", provocation.what, provocation.reason);
        score.check(&name, || traffic::provoke(stage, provocation));
    }
    for receiver in receivers {
        let tenant = receiver.tenant;
        let name = format!("leaks to {} from {}", tenant.name, tenant.names_of_others());
        score.check(&name, || receiver.leaks());
    }
    Ok(())
}
