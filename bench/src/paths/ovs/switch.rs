//! Database and daemon of Open vSwitch in one namespace, with files of their own.

use std::time::Duration;

use anyhow::{Context, Result};
use xtask::lab::{Netns, Output, PATIENCE, Proc, TempDir, run, run_always, wait_until};

use super::programs::Programs;

/// Before that, version 3.1 counts no CPU, has no threads for misses, and loses each first packet.
const SINCE_BOOT: Duration = Duration::from_secs(12);

/// A running switch. Dropping it removes its datapath and ends its processes.
pub(super) struct Switch {
    daemon: Proc,
    _database: Proc,
    dir: TempDir,
    programs: Programs,
    netns: Netns,
}

impl Switch {
    /// Starts one without bridges.
    pub(super) fn start(netns: Netns, programs: &Programs) -> Result<Self> {
        wait_until("Open vSwitch's threads", SINCE_BOOT * 2, || {
            Ok((uptime()? >= SINCE_BOOT).then_some(()))
        })?;
        let dir = TempDir::new("ovs")?;
        let command = |line: &str| command(programs, &netns, &dir, line);
        let schema = programs.file("usr/share/openvswitch/vswitch.ovsschema")?;
        run(&mut command(&format!(
            "ovsdb-tool create DIR/conf.db {}",
            schema.display()
        ))?)?;
        let database = Proc::spawn(&mut command(
            "ovsdb-server DIR/conf.db --remote=punix:DIR/db.sock --unixctl=DIR/db.ctl --log-file=DIR/db.log",
        )?)?;
        wait_until("Open vSwitch's database", PATIENCE, || {
            run(&mut command(
                "ovs-vsctl --timeout=5 --db=unix:DIR/db.sock --no-wait init",
            )?)
            .map(Some)
        })?;
        let daemon = Proc::spawn(&mut command(
            "ovs-vswitchd unix:DIR/db.sock --unixctl=DIR/vs.ctl --log-file=DIR/vs.log --pidfile=DIR/vs.pid",
        )?)?;
        wait_until("Open vSwitch's daemon", PATIENCE, || {
            run(&mut command(
                "ovs-appctl --timeout=5 -t DIR/vs.ctl version",
            )?)
            .map(Some)
        })?;
        Ok(Self {
            daemon,
            _database: database,
            dir,
            programs: programs.clone(),
            netns,
        })
    }

    /// The namespace that it is in.
    pub(super) fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Changes its configuration, and waits until that is so.
    pub(super) fn configure(&self, line: &str) -> Result<Output> {
        self.run(&format!(
            "ovs-vsctl --timeout=30 --db=unix:DIR/db.sock {line}"
        ))
    }

    /// Asks its daemon.
    pub(super) fn control(&self, line: &str) -> Result<Output> {
        self.run(&format!("ovs-appctl --timeout=10 -t DIR/vs.ctl {line}"))
    }

    /// Asks one of its bridges by `OpenFlow`.
    pub(super) fn flow(&self, line: &str) -> Result<Output> {
        self.run(&format!("ovs-ofctl --timeout=10 {line}"))
    }

    fn run(&self, line: &str) -> Result<Output> {
        let done = run(&mut command(&self.programs, &self.netns, &self.dir, line)?);
        done.with_context(|| format!("Open vSwitch's log ends: {}", self.log()))
    }

    /// The last lines of what its daemon wrote.
    pub(super) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("vs.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // A datapath in the kernel would outlive its daemon.
        if self.daemon.still_running().is_err() {
            return;
        }
        let line = "ovs-appctl --timeout=10 -t DIR/vs.ctl exit --cleanup";
        let ended = command(&self.programs, &self.netns, &self.dir, line)
            .and_then(|mut command| run_always(&mut command));
        if let Err(error) = ended {
            eprintln!("Open vSwitch in {} is killed: {error:#}", self.netns.name());
        }
    }
}

/// The words of a line as a command, with the switch's folder in the place of `DIR`.
fn command(
    programs: &Programs,
    netns: &Netns,
    dir: &TempDir,
    line: &str,
) -> Result<std::process::Command> {
    let line = line.replace("DIR", &dir.path().display().to_string());
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty command")?;
    let mut command = programs.command(netns, dir.path(), program)?;
    command.args(words);
    Ok(command)
}

fn uptime() -> Result<Duration> {
    let said = std::fs::read_to_string("/proc/uptime")?;
    let seconds = said.split(' ').next().context("/proc/uptime is empty")?;
    Ok(Duration::from_secs_f64(seconds.parse()?))
}
