//! `cargo xtask bench`: builds what measures, lets it measure on this machine and in a guest, and
//! shows the results.

mod guest;

use crate::setup;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use xtask::{lab, shell};

/// The profiles of `bench`, known here so that a wrong name is told before anything is built.
const PROFILES: [&str; 3] = ["quick", "full", "sanity"];

const INTERVAL: Duration = Duration::from_millis(20);

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    look: Option<Look>,
    #[command(flatten)]
    measure: Measure,
}

/// What needs no measuring: `bench` has these verbs, with its own options.
#[derive(Subcommand)]
enum Look {
    /// Tell what changed from one result file to another: exit code 0 nothing or for the better, 1 worse, 2 not comparable or not to be had
    Compare(Words),
    /// Show a result file as Markdown; --markdown FILE and --plots DIR write
    Report(Words),
    /// Show which goals a result file reaches [default: the committed one]
    Goals(Words),
    /// Write the results of a file into README.md
    Readme(Words),
    /// Tell what a profile would measure, and how long that takes
    List(Words),
}

#[derive(Args)]
struct Words {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

#[derive(Args)]
struct Measure {
    /// quick (under 3 minutes), full (about 40 minutes) or sanity (seconds)
    #[arg(default_value = PROFILES[0], value_parser = PROFILES)]
    profile: String,
    /// Seed of all that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only comparisons that have this in their paths or conditions
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// The result file [default: target/bench/PROFILE-TIME.jsonl]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Leave the guest out
    #[arg(long)]
    host_only: bool,
}

/// The exit code is that of `bench`.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    lab::catch_signals()?;
    let Some(look) = &options.look else {
        return measure(&options.measure);
    };
    match look {
        // 1 is an answer, so what kept us from one is something else.
        Look::Compare(words) => Ok(ask("compare", words).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        })),
        Look::Report(words) => ask("report", words),
        Look::Goals(words) => ask("goals", words),
        Look::Readme(words) => ask("readme", words),
        Look::List(words) => ask("list", words),
    }
}

fn ask(verb: &str, words: &Words) -> Result<ExitCode> {
    let mut command = Command::new(build()?);
    command.arg(verb).args(&words.words);
    code(attend(&mut command)?)
}

fn measure(options: &Measure) -> Result<ExitCode> {
    setup::need_kernel("bench")?;
    let bench = build()?;
    let out = options
        .out
        .clone()
        .map_or_else(|| default_out(&options.profile), Ok)?;
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let before = length(&out);
    let mut on_host = Command::new(&bench);
    on_host
        .arg("run")
        .args(options.words())
        .arg("--out")
        .arg(&out);
    let mut status = attend(&mut on_host)?;
    lab::interrupted().with_context(|| format!("{} keeps what was measured", out.display()))?;
    if length(&out) == before {
        // What was wrong is told already.
        return code(status);
    }
    if !options.host_only {
        let there = guest::measure(&bench, options, &out)?;
        status = if status.success() { there } else { status };
    }
    report(&bench, &out)?;
    code(status)
}

/// Bytes of a file; 0 of none.
fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

impl Measure {
    /// The options of `bench run` but for the file.
    fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![
            self.profile.clone().into(),
            "--seed".into(),
            self.seed.to_string().into(),
        ];
        if let Some(only) = &self.only {
            words.extend(["--only".into(), only.into()]);
        }
        words
    }
}

/// Tables and plots beside the result file; where they are.
fn report(bench: &Path, out: &Path) -> Result<()> {
    let (tables, plots) = (out.with_extension("md"), out.with_extension("plots"));
    let mut command = Command::new(bench);
    command
        .arg("report")
        .arg(out)
        .arg("--markdown")
        .arg(&tables)
        .arg("--plots")
        .arg(&plots);
    if !attend(&mut command)?.success() {
        bail!("the report of {} cannot be made", out.display());
    }
    println!(
        "rows: {}\ntables: {}\nplots: {}",
        out.display(),
        tables.display(),
        plots.display()
    );
    Ok(())
}

fn default_out(profile: &str) -> Result<PathBuf> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    let name = format!("{profile}-{}.jsonl", since.as_secs());
    Ok(shell::root()
        .canonicalize()?
        .join("target/bench")
        .join(name))
}

/// Release builds of `bench` and of the programs that it starts; where `bench` is.
fn build() -> Result<PathBuf> {
    setup::run()?;
    shell::release(
        &["dataplane-bench", "dataplane-user"],
        &["bench", "nved", "nvectl"],
    )
}

/// Runs a command on our terminal to its end. A signal that we got alone reaches it as well, and
/// it is waited for in any case: it cleans up.
fn attend(command: &mut Command) -> Result<ExitStatus> {
    let line = shell::line(command);
    eprintln!("+ {line}");
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if !told && lab::interrupted().is_err() {
            told = true;
            let pid = i32::try_from(child.id())
                .ok()
                .and_then(rustix::process::Pid::from_raw);
            // Not reaped yet, so the pid is still its own.
            let _ =
                pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        }
        std::thread::sleep(INTERVAL);
    }
}

fn code(status: ExitStatus) -> Result<ExitCode> {
    let code = status.code().context("bench was killed")?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profiles_are_those_of_bench() {
        let file = shell::root().join("bench/src/profile/mod.rs");
        let text = std::fs::read_to_string(file).unwrap();
        let names = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","));
        assert_eq!(names.collect::<Vec<_>>(), PROFILES);
    }
}
