//! `cargo xtask vm`: one command in a guest.

use anyhow::Result;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use xtask::lab;
use xtask::packages::Look;
use xtask::vm::{Guest, Nics, Outcome, Series, print};

/// Exit codes as those of timeout(1) and of container runtimes.
const TIMED_OUT: u8 = 124;
const DIED: u8 = 125;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Kernel of the guest: 6.1, 6.12 or 6.18
    #[arg(long, value_name = "V", default_value_t = Series::NEWEST)]
    kernel: Series,
    /// Memory of the guest, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(256..))]
    memory: u32,
    /// Processors of the guest
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    cpus: u32,
    /// Seconds after which it is ended
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
    /// A folder that the guest may write; what it writes elsewhere vanishes with it
    #[arg(long, value_name = "DIR")]
    writable: Vec<PathBuf>,
    /// Network devices of the guest
    #[arg(long, value_name = "WHICH", value_enum, default_value_t)]
    nic: Nics,
    /// Look for a newer kernel and QEMU
    #[arg(long)]
    refresh: bool,
    /// What to run as root, in this folder
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

/// Runs the command, and ends as it does.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    lab::catch_signals()?;
    let look = if options.refresh {
        Look::Newer
    } else {
        Look::Missing
    };
    let guest = Guest {
        memory: options.memory,
        cpus: options.cpus,
        limit: Duration::from_secs(options.timeout),
        writable: options.writable,
        nics: options.nic,
        look,
        ..Guest::new(options.kernel)
    };
    let mut words = options.command.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    let code = match guest.run(&command, &mut print)? {
        Outcome::Exited(status) => status,
        Outcome::Died(why) => {
            eprintln!("error: the guest ended before its command did\n{why}");
            DIED
        }
        Outcome::TimedOut(why) => {
            eprintln!(
                "error: the guest did not end within {} s\n{why}",
                options.timeout
            );
            TIMED_OUT
        }
    };
    Ok(ExitCode::from(code))
}
