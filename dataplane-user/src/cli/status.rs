//! `nvectl status [--brief] [--wait[=SECONDS]]`

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{
    context::Context,
    failure::{Failure, NO, OK},
    output::{Format, structured},
};
use crate::{
    control::{client::ClientError, protocol::Status},
    render,
};

/// Between two questions of `--wait`.
const PAUSE: Duration = Duration::from_millis(200);

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One word: OK or Degraded.
    #[arg(long)]
    brief: bool,
    /// Wait until the host is ready, at most this long (30 seconds unless given).
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true,
        default_missing_value = "30")]
    wait: Option<u32>,
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value_t = Format::Table, hide_possible_values = true,
        value_name = "table|json|yaml", conflicts_with = "brief")]
    output: Format,
}

/// A status that says what it is.
#[derive(Serialize)]
struct Kinded<'a> {
    kind: &'static str,
    #[serde(flatten)]
    status: &'a Status,
}

pub(super) async fn run(args: Args, context: &mut Context<'_>) -> Result<u8, Failure> {
    let patience = Duration::from_secs(args.wait.unwrap_or(0).into());
    let status = ready(context, patience).await?;
    if args.brief {
        writeln!(context.out, "{}", render::brief(&status))?;
    } else if args.output == Format::Table {
        let view = context.view(false);
        render::status_into(&mut context.out, &status, view)?;
    } else {
        let kind = "Status";
        let status = &status;
        structured(context, args.output, &Kinded { kind, status })?;
    }
    if status.ready {
        return Ok(OK);
    }
    if args.wait.is_some() {
        context.out.flush()?;
        context.say(&format!("not ready after {} s", patience.as_secs()))?;
        for condition in status.conditions.iter().filter(|_| args.brief) {
            context.say(&format!("  - {condition}"))?;
        }
    }
    Ok(NO)
}

/// The status as soon as it is ready, or as it is when patience ends. An agent
/// that is about to start is waited for, too.
async fn ready(context: &Context<'_>, patience: Duration) -> Result<Status, ClientError> {
    let end = Instant::now() + patience;
    loop {
        let answer = context.client.status().await;
        let wait = match &answer {
            Ok(status) => !status.ready,
            Err(error) => error.exit_code() == 3,
        };
        if !wait || Instant::now() >= end {
            return answer;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
