//! `nvectl apply -f FILE...`

use super::{
    context::Context,
    failure::{Failure, OK},
    input::{Files, Inputs},
};
use crate::{control::client::ClientError, render};

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// Check and tell what would happen; change nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: Args, context: &mut Context<'_>) -> Result<u8, Failure> {
    let inputs = Inputs::read(&args.files.file)?;
    let answer = context.client.apply(inputs.payload(), args.dry_run).await;
    let report = match answer {
        Ok(report) => report,
        Err(error) => return Err(located(error, &inputs)),
    };
    render::changes_into(&mut context.out, &report.changes, args.dry_run)?;
    let summary = render::summary(&report.changes);
    let end = if args.dry_run {
        format!("{summary} (dry run: nothing was changed)")
    } else {
        format!("{summary} (revision {})", report.revision)
    };
    context.out.flush()?;
    context.say(&end)?;
    Ok(OK)
}

/// Puts the agent's problems at their lines.
fn located(error: ClientError, inputs: &Inputs) -> Failure {
    if error.exit_code() != 6 {
        return error.into();
    }
    let ClientError::Refused { problems, .. } = &error else {
        return error.into();
    };
    let faults = problems.problems.iter().map(|p| inputs.locate(p));
    Failure::Invalid(faults.collect())
}
