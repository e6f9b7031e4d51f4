//! `cargo xtask VERB`: everything a developer does with this project.

mod bench;
mod build_ebpf;
mod demo;
mod guest;
mod lint;
mod load;
mod serve_http;
mod setup;
mod test;
mod unload;

use anyhow::Result;
use clap::Parser;
use std::process::ExitCode;

/// Project verbs. Each first makes sure of what it needs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    /// Install missing packages, the eBPF toolchain and its linker
    Setup,
    /// Build the eBPF object; print its path and size
    BuildEbpf,
    /// Check format, clippy, and the length of files
    Lint,
    /// Lint, then run every test and the demo; as root the privileged ones too
    Test {
        /// Only tests whose name contains this; no lint then
        filter: Option<String>,
    },
    /// Show two tenants with the same addresses on two hosts, in network namespaces
    Demo(demo::Options),
    /// Build a release and run nved on this host, in the background; again, to put a new build
    /// in its place
    Load {
        /// Flags of nved, such as --host NAME --uplink IFACE; none means those of the last time
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "FLAGS OF NVED"
        )]
        flags: Vec<String>,
    },
    /// Take the dataplane of `load` out of the kernel and end its nved
    Unload {
        /// Remove the policy store and the log as well
        #[arg(long)]
        purge: bool,
    },
    /// Boot a stock kernel in a virtual machine that sees this one's files, and run a command there
    Vm(guest::Options),
    /// Measure the dataplane beside its twins and peers, here and in a guest; or look at results
    Bench(bench::Options),
    /// Answer every HTTP request with one line of text (the demo's tenants do)
    #[command(hide = true)]
    ServeHttp { port: u16, text: String },
}

/// The exit code: whether the answer is yes, or that of a command. A verb that failed to find out
/// is an error.
fn run(verb: Verb) -> Result<ExitCode> {
    let yes = match verb {
        Verb::Setup => done(setup::run())?,
        Verb::BuildEbpf => done(setup::run().and_then(|()| build_ebpf::run()))?,
        Verb::Lint => done(lint::run())?,
        Verb::ServeHttp { port, text } => done(serve_http::run(port, &text))?,
        Verb::Load { flags } => done(load::run(&flags))?,
        Verb::Unload { purge } => done(unload::run(purge))?,
        Verb::Demo(options) => demo::run(options)?,
        Verb::Test { filter } => test::run(filter.as_deref())?,
        Verb::Bench(options) => return bench::run(&options),
        Verb::Vm(options) => return guest::run(options),
    };
    Ok(if yes {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The verb has no question to answer.
fn done(result: Result<()>) -> Result<bool> {
    result.map(|()| true)
}

fn main() -> ExitCode {
    match run(Verb::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
