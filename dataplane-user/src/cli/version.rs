//! `nvectl version`

use serde::Serialize;

use super::{
    context::Context,
    failure::{Failure, OK},
    output::{Format, structured},
};
use crate::{control::protocol::Version, policy::document::ApiVersion, render};

/// Arguments of `version`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value_t = Format::Table, hide_possible_values = true,
        value_name = "table|json|yaml")]
    output: Format,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions<'a> {
    api_version: ApiVersion,
    kind: &'static str,
    client: &'static str,
    agent: Option<&'a Version>,
}

/// Tells our own version even when no agent answers.
pub(super) async fn run(args: Args, context: &mut Context<'_>) -> Result<u8, Failure> {
    let client = env!("CARGO_PKG_VERSION");
    let answer = context.client.version().await;
    let agent = answer.as_ref().ok();
    if args.output == Format::Table {
        render::version_into(&mut context.out, client, agent)?;
    } else {
        let versions = Versions {
            api_version: ApiVersion::V1,
            kind: "Versions",
            client,
            agent,
        };
        structured(context, args.output, &versions)?;
    }
    answer?;
    Ok(OK)
}
