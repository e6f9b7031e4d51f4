//! nvectl: one file a verb. Data goes to stdout, talk to stderr.

mod apply;
mod context;
mod delete;
mod describe;
mod diff;
mod failure;
mod get;
mod input;
mod kind;
mod name;
mod output;
mod restart;
mod status;
mod unload;
mod version;

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use self::{
    context::Context,
    failure::{Failure, NO},
};
use crate::control::client::{Client, DEFAULT_SOCKET};

/// Controls nved, the agent of a network virtualization edge.
#[derive(Debug, Parser)]
#[command(name = "nvectl", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    /// Socket of the agent.
    #[arg(long, global = true, value_name = "PATH", env = "NVECTL_SOCKET",
        hide_env_values = true, default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create and update objects from files, all or none; deletes nothing.
    Apply(apply::Args),
    /// Compare files with what is stored; exit status 1 when they differ.
    Diff(diff::Args),
    /// List objects, drops, counters or upcalls.
    Get(get::Args),
    /// Show all about one object.
    Describe(describe::Args),
    /// Delete objects.
    Delete(delete::Args),
    /// Tell whether this host works; exit status 1 when it does not.
    Status(status::Args),
    /// Restart a part of nved: the slow path.
    Restart(restart::Args),
    /// Take the dataplane out of the kernel and stop nved.
    Unload,
    /// Show the versions of nvectl and nved.
    Version(version::Args),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done, yes, unchanged        5  conflict
  1  the honest answer is no     6  policy invalid
  2  usage                       7  missing privilege or kernel feature
  3  agent unreachable           8  partly applied
  4  not found                   9  model and kernel disagree";

/// Runs nvectl with the arguments of the process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell when the message itself cannot be written.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::from(NO);
        }
    };
    ExitCode::from(runtime.block_on(execute(cli)))
}

/// Runs a verb; its answer, or what went wrong, becomes the exit status.
async fn execute(cli: Cli) -> u8 {
    let mut out = BufWriter::new(io::stdout());
    let mut err = io::stderr();
    let mut context = Context::new(Client::new(cli.socket), &mut out, &mut err);
    let result = dispatch(cli.verb, &mut context).await;
    let flushed = out.flush().map_err(Failure::Output);
    let result = result.and_then(|code| flushed.map(|()| code));
    result.unwrap_or_else(|failure| {
        let _ = failure.write_into(&mut err);
        failure.exit_code()
    })
}

async fn dispatch(verb: Verb, context: &mut Context<'_>) -> Result<u8, Failure> {
    match verb {
        Verb::Apply(args) => apply::run(args, context).await,
        Verb::Diff(args) => diff::run(args, context).await,
        Verb::Get(args) => get::run(args, context).await,
        Verb::Describe(args) => describe::run(args, context).await,
        Verb::Delete(args) => delete::run(args, context).await,
        Verb::Status(args) => status::run(args, context).await,
        Verb::Restart(args) => restart::run(args, context).await,
        Verb::Unload => unload::run(context).await,
        Verb::Version(args) => version::run(args, context).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }
}
