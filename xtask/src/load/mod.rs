//! `cargo xtask load`: a release build of nved, in the background, with the flags that are given.
//!
//! Nothing is installed outside the target folder. Where an nved is loaded already, the new build
//! takes its place; the dataplane forwards meanwhile, and the new nved adopts it. One that does
//! not come up, because it refuses that dataplane for instance, makes room for the former again.

mod copies;
mod flags;
mod state;

use crate::setup;
use anyhow::{Context, Error, Result, bail};
use rustix::net::sockopt::socket_peercred;
use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use xtask::{
    lab::{self, PATIENCE, Proc, Recorded, output, wait_until},
    shell,
};

pub(crate) use state::{Record, State};

/// How long an nved may take to load its programs and to answer.
const START: Duration = Duration::from_secs(30);

/// Builds, starts, waits for an answer, and says what to do next.
pub(crate) fn run(given: &[String]) -> Result<()> {
    setup::need_kernel("load")?;
    let state = State::open()?;
    let last = state.record()?;
    let again = last.as_ref().filter(|_| given.is_empty());
    let before = last.as_ref().filter(|last| last.lasts().unwrap_or(true));
    let given = again.map_or(given, |last| &last.flags);
    let (flags, socket) = flags::complete(given, &state);
    if let Some(before) = before {
        before.here()?;
        flags::same_dataplane(&before.flags, &flags)?;
    }
    let built = build()?;
    let mut record = Record::new(state.copy(&built)?, flags, socket)?;
    if let Some(last) = again {
        // Where relative paths among its flags begin.
        record.folder.clone_from(&last.folder);
    }
    if let Some(old) = before.and_then(Record::process) {
        eprintln!("nved (process {}) makes room for this build", old.pid());
        old.end()?;
    }
    let process = match (start(&state, &mut record, before), before) {
        (Ok(process), _) => process,
        (Err(error), Some(before)) => return Err(go_back(&state, before, error)),
        (Err(error), None) => return Err(error),
    };
    state.remove_copies(Some(&record))?;
    // The nvectl of the build: its path stays the same over upgrades.
    record.nved = built;
    told(&state, &record, &process);
    Ok(())
}

/// Starts the former nved from its copy, since the new one did not come up; that error, and how
/// the host is left.
fn go_back(state: &State, before: &Record, error: Error) -> Error {
    let mut former = before.clone();
    match start(state, &mut former, Some(before)) {
        Ok(process) => {
            if let Err(error) = state.remove_copies(Some(&former)) {
                eprintln!("{error:#}");
            }
            let line = shell::line(&nvectl(&former));
            error.context(format!(
                "this build did not come up, so the former nved runs again (process {}; {line})",
                process.pid()
            ))
        }
        Err(again) => error.context(format!(
            "what was loaded before forwards on, without an agent: the former nved does not come \
             up either ({again:#}), nor does this build"
        )),
    }
}

/// Starts what the record says, and waits until it answers. `before` is the record of what may
/// be in the kernel already; it is the one that counts when the start fails.
pub(crate) fn start(
    state: &State,
    record: &mut Record,
    before: Option<&Record>,
) -> Result<Recorded> {
    record.here()?;
    let log = state.file("nved.log");
    let old = fs::metadata(&log).map_or(0, |meta| meta.len());
    let mut nved = Command::new(&record.nved);
    nved.args(&record.flags).current_dir(&record.folder);
    let mut proc = Proc::spawn_detached(&mut nved, &log)?;
    record.former = before.cloned().map(Box::new);
    match answers(state, record, &mut proc) {
        Ok(process) => {
            record.former = None;
            state.remember(record)?;
            proc.leave();
            Ok(process)
        }
        Err(error) => {
            drop(proc);
            match before {
                // What an earlier one left in the kernel is still there to be unloaded.
                Some(before) => state.remember(before)?,
                None => state.forget(&record.socket())?,
            }
            let (log, tail) = (log.display(), tail(&log, old));
            bail!("{error:#}; the end of {log}:\n{tail}")
        }
    }
}

/// Remembers the process and waits for its answer.
fn answers(state: &State, record: &mut Record, proc: &mut Proc) -> Result<Recorded> {
    let process = Recorded::of(proc.pid()).context("nved ended")?;
    record.started(&process);
    state.remember(record)?;
    let lives = wait_until("nved to answer", START, || {
        if proc.still_running().is_err() {
            return Ok(Some(false));
        }
        if !listens(&record.socket(), process.pid())? {
            return Ok(None);
        }
        // Degraded is an answer too: there may be no policy yet.
        let status = output(nvectl(record).arg("status"), PATIENCE)?;
        Ok(matches!(status.code(), 0 | 1).then_some(true))
    })?;
    lives.then_some(process).context("nved ended")
}

/// Whether it is this process that listens on the socket, and none that had it before.
fn listens(socket: &Path, pid: u32) -> Result<bool> {
    let peer = socket_peercred(UnixStream::connect(socket)?)?;
    Ok(u32::try_from(peer.pid.as_raw_nonzero().get()) == Ok(pid))
}

/// `nvectl` of the same copy, with the socket.
pub(crate) fn nvectl(record: &Record) -> Command {
    let mut nvectl = Command::new(record.nved.with_file_name("nvectl"));
    nvectl.arg("--socket").arg(&record.socket);
    nvectl.current_dir(&record.folder);
    nvectl
}

/// The programs: those of `NVE_BIN_DIR`, or a release build; where nved is.
fn build() -> Result<PathBuf> {
    if std::env::var_os("NVE_BIN_DIR").is_some() {
        return Ok(std::path::absolute(lab::bin_dir()?)?.join("nved"));
    }
    setup::run()?;
    shell::release(&["dataplane-user"], &["nved", "nvectl"])
}

fn told(state: &State, record: &Record, process: &Recorded) {
    let line = shell::line(&nvectl(record));
    println!("nved is loaded (process {}); try next:", process.pid());
    for words in ["apply -f POLICY.yaml", "status --wait", "get ports"] {
        println!("  {line} {words}");
    }
    println!("its log: {}", state.file("nved.log").display());
    println!("load a new build, dataplane and flags stay: cargo xtask load");
    println!("remove it: cargo xtask unload");
}

/// The last lines that were written since the log had `old` bytes.
fn tail(log: &Path, old: u64) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let new = bytes.get(usize::try_from(old).unwrap_or(0)..);
    let text = String::from_utf8_lossy(new.unwrap_or_default()).into_owned();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
