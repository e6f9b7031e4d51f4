//! The tier of guests: test programs on stock kernels, in virtual machines.
//!
//! One guest of each kernel runs all programs that are for it, one after the other. It has the network devices eth0
//! and eth1, cabled to each other, if this machine can make them.

use super::programs::Program;
use super::reader::{BEGIN, END, Reader};
use super::tally::Tally;
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use xtask::vm::{Guest, Nics, Outcome, Series, Stream};
use xtask::{lab, shell};

/// Makes tests write what they otherwise compare with.
const BLESS: &str = "NVE_BLESS";
/// The folders that they write then.
const BLESSED: [&str; 2] = ["tests/baseline", "docs"];

/// All programs of one kernel together take no longer.
const LIMIT: Duration = Duration::from_mins(15);

/// Runs the programs in guests of the kernels that they are for, and counts under the name of the
/// kernel.
pub(super) fn run(programs: &[Program], filter: Option<&str>, tally: &mut Tally) {
    for series in Series::ALL {
        let kind = |program: &Program| program.in_guests() && program.kernels().contains(&series);
        let chosen: Vec<_> = chosen(programs, filter, kind).collect();
        if chosen.is_empty() {
            continue;
        }
        let guest = guest(series);
        if let Err(why) = guest.prepare() {
            for program in &chosen {
                tally.skip(format!("{} on {series}: {why:#}", program.name()));
            }
            continue;
        }
        let done = boot(guest, &chosen, filter, tally);
        tally.check(&format!("guest {series}"), done);
    }
}

/// Fetches for guests and peers what the cache lacks, once and before the tests that need it. Those
/// that fail to have it are told why by what is remembered of this.
pub(super) fn prepare(programs: &[Program], filter: Option<&str>) {
    for series in Series::ALL {
        let kind =
            |program: &Program| program.needs_packages() && program.kernels().contains(&series);
        if chosen(programs, filter, kind).next().is_none() {
            continue;
        }
        if let Err(why) = guest(series).prepare() {
            eprintln!("no guests with kernel {series}: {why:#}");
        }
    }
}

/// Counts as skipped what would run in guests too, where there can be none. The tests of programs
/// that run nowhere else are counted already: they are ignored here.
pub(super) fn skip(programs: &[Program], filter: Option<&str>, tally: &mut Tally) {
    let here_too = |program: &Program| program.in_guests() && !program.only_in_guests();
    for program in chosen(programs, filter, here_too) {
        for series in Series::TESTED {
            let name = program.name();
            tally.skip(format!("{name} on {series}: needs root and a guest"));
        }
    }
}

/// Programs of one kind that have privileged tests for the filter.
fn chosen<'p>(
    programs: &'p [Program],
    filter: Option<&str>,
    kind: impl Fn(&Program) -> bool,
) -> impl Iterator<Item = &'p Program> {
    let of_kind = programs.iter().filter(move |program| kind(program));
    of_kind.filter(move |program| program.has_ignored(filter))
}

fn guest(series: Series) -> Guest {
    let cable = Path::new("/dev/net/tun").exists();
    Guest {
        limit: LIMIT,
        nics: if cable { Nics::Pair } else { Nics::None },
        ..Guest::new(series)
    }
}

fn boot(
    mut guest: Guest,
    programs: &[&Program],
    filter: Option<&str>,
    tally: &mut Tally,
) -> Result<()> {
    let skips = lab::TempDir::new("skips")?;
    let log = skips.path().join("log");
    guest.writable.push(skips.path().to_owned());
    let mut command = Command::new("sh");
    command.arg("-c").arg(script(programs, filter));
    command.env(lab::SKIP_LOG, &log);
    if let Some(bless) = std::env::var_os(BLESS) {
        command.env(BLESS, bless);
        guest
            .writable
            .extend(BLESSED.map(|folder| shell::root().join(folder)));
    }
    let series = guest.series;
    eprintln!(
        "+ {} vm --kernel {series}",
        shell::line(&shell::cargo(["xtask"]))
    );
    let mut reader = Reader::new(series, tally);
    let start = Instant::now();
    let outcome = guest.run(&command, &mut |stream, bytes| match stream {
        Stream::Out => reader.take(bytes),
        Stream::Err => xtask::vm::print(stream, bytes),
    })?;
    let ran = reader.ran();
    let seconds = start.elapsed().as_secs();
    eprintln!("{ran} programs on {series} took {seconds} s");
    let skipped = std::fs::read_to_string(log).unwrap_or_default();
    tally.skipped_themselves(&on(series, &skipped));
    match outcome {
        Outcome::Exited(0) if ran == programs.len() => Ok(()),
        Outcome::Exited(status) => {
            bail!(
                "ran {ran} of {} programs, exit status {status}",
                programs.len()
            )
        }
        Outcome::Died(why) => bail!("ended early, after {ran} programs\n{why}"),
        Outcome::TimedOut(why) => bail!("did not end within {LIMIT:?}\n{why}"),
    }
}

/// Runs all programs, whether or not one fails.
fn script(programs: &[&Program], filter: Option<&str>) -> String {
    let one = |program: &&Program| {
        let line = shell::line(&program.ignored_tests(filter));
        let name = program.name();
        // A program that dies may leave a line unfinished.
        format!("echo '{BEGIN}{name}'\n{line}\nprintf '\\n{END}%s\\n' $?\n")
    };
    programs
        .iter()
        .map(one)
        .chain(["exit 0\n".to_owned()])
        .collect()
}

/// The log of skipped tests, with the kernel beside the reason.
fn on(series: Series, log: &str) -> String {
    let lines = log.lines().map(|line| format!("{line} (on {series})\n"));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_root_guest_runs_are_named_as_skipped() {
        let root = shell::root().canonicalize().unwrap();
        let program = |target: &str| {
            let message = serde_json::json!({
                "manifest_path": root.join("tests/Cargo.toml"),
                "profile": {"test": true},
                "target": {"name": target},
                // Says something when it is asked for its tests.
                "executable": "echo",
            });
            Program::from_message(&message).unwrap()
        };
        let mut tally = Tally::default();
        skip(
            &["guest_ovs", "load", "overlay"].map(program),
            None,
            &mut tally,
        );
        let on = |series: Series| format!("tests/load on {series}: needs root and a guest");
        assert_eq!(tally.skips(), Series::TESTED.map(on));
    }
}
