//! `nvectl restart slow-path`

use clap::ValueEnum;

use super::{
    context::Context,
    failure::{Failure, OK},
};
use crate::render;

/// Arguments of `restart`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to restart.
    #[arg(value_enum)]
    part: Part,
}

/// What can be restarted without the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The workers that take packets from the programs, with their sockets. Packets that wait for an
    /// answer are dropped and counted; what has its record is forwarded meanwhile.
    SlowPath,
}

pub(super) async fn run(args: Args, context: &mut Context<'_>) -> Result<u8, Failure> {
    match args.part {
        Part::SlowPath => {
            let restarted = context.client.restart_slow_path().await?;
            render::restarted_into(&mut context.out, &restarted)?;
        }
    }
    Ok(OK)
}
