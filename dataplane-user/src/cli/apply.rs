//! `nvectl apply -f FILE...`

use std::panic::resume_unwind;

use super::{
    context::Context,
    failure::{Failure, OK},
    input::{Files, Inputs},
};
use crate::{
    control::client::{ClientError, Payload},
    render,
};

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// Check and tell what would happen; change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// The files are sent while they are checked; with a fault in them the request is none.
pub(super) async fn run(args: Args, context: &mut Context<'_>) -> Result<u8, Failure> {
    let (lines, payload) = Payload::channel();
    let files = args.files.file;
    let reading = tokio::task::spawn_blocking(move || Inputs::read_to(&files, lines));
    let Context { client, out, .. } = context;
    let (mut summary, mut told) = (render::Summary::default(), Ok(()));
    let each = |object: &str, action| {
        summary.add(action);
        if told.is_ok() {
            told = render::change_into(out, object, action, args.dry_run);
        }
    };
    let answer = client.apply(payload, args.dry_run, each).await;
    let read = reading.await;
    let inputs = read.unwrap_or_else(|error| resume_unwind(error.into_panic()))?;
    let revision = answer.map_err(|error| located(error, &inputs))?;
    told?;
    let end = if args.dry_run {
        format!("{summary} (dry run: nothing was changed)")
    } else {
        format!("{summary} (revision {revision})")
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
