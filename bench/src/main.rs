//! `bench`: measures, reports, compares. `cargo xtask bench` builds it and calls it.

mod cli;

use std::process::ExitCode;

use clap::Parser;

/// Measurements of the dataplane, each beside a twin in the same run
#[derive(Parser)]
#[command(name = "bench")]
enum Verb {
    /// Measure what a profile says; rows are appended to a file
    Run(cli::run::Options),
    /// Show a result file as Markdown
    Report(cli::report::Report),
    /// Tell what changed from one result file to another: 0 nothing or for the better, 1 worse, 2 not comparable
    Compare(cli::report::Compare),
    /// Show which goals a result file reaches
    Goals(cli::report::Goals),
    /// Write the results into README.md
    Readme(cli::report::Readme),
    /// Tell what a profile would measure, and how long that takes
    List(cli::list::List),
    /// Note for each comparison that a file lacks why it cannot be had
    #[command(hide = true)]
    Absent(cli::list::Absent),
}

fn main() -> ExitCode {
    let verb = Verb::parse();
    // What cannot be compared is wrong usage, which must not look like a change for the worse.
    let failure = if matches!(verb, Verb::Compare(_)) {
        2
    } else {
        1
    };
    let done = match verb {
        Verb::Run(options) => cli::run::run(&options),
        Verb::Report(options) => cli::report::report(&options),
        Verb::Compare(options) => cli::report::compare(&options),
        Verb::Goals(options) => cli::report::goals(&options),
        Verb::Readme(options) => cli::report::readme(&options),
        Verb::List(options) => cli::list::list(&options),
        Verb::Absent(options) => cli::list::absent(&options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(failure)
    })
}
