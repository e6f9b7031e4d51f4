//! `nved` as a service: what it tells the manager, and what the unit leaves it.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use dataplane_tests::net::{SOON, Site, proof, refused};
use dataplane_user::settings::Flags;
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::{Pid, Signal, kill_process},
};
use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use xtask::lab::{BPFFS, PATIENCE, Proc, bin_dir, output, remove_pins, unique, wait_until};

const UNIT: &str = include_str!("../../packaging/nved.service");
const SAMPLE: &str = include_str!("../../packaging/nved.toml");

/// `WatchdogSec` of these tests.
const WATCHDOG: Duration = Duration::from_secs(4);

/// A service manager's end of the notifications.
struct Manager(UnixDatagram);

impl Manager {
    /// Starts the `nved` of `host-a` as a manager would.
    fn start(site: &mut Site) -> Result<Self> {
        let path = site.file("manager", "")?.with_extension("sock");
        let socket = UnixDatagram::bind(&path)?;
        let script = format!(
            "#!/bin/sh\nexport NOTIFY_SOCKET={} WATCHDOG_USEC={}\nexec {} \"$@\"\n",
            path.display(),
            WATCHDOG.as_micros(),
            bin_dir()?.join("nved").display()
        );
        let script = program(site, &script)?;
        site.start_as(0, "tc", |spec| spec.program = Some(script))?;
        Ok(Self(socket))
    }

    /// The next notification within `limit`.
    fn next(&self, limit: Duration) -> Result<Option<String>> {
        self.0.set_read_timeout(Some(limit))?;
        let mut bytes = [0; 4096];
        match self.0.recv(&mut bytes) {
            Ok(length) => Ok(Some(String::from_utf8_lossy(&bytes[..length]).into_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for a notification with this line.
    fn tells(&self, line: &str) -> Result<()> {
        let end = Instant::now() + SOON;
        let mut all = Vec::new();
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let told = self.next(left.max(Duration::from_millis(1)))?;
            all.extend(told.iter().flat_map(|told| told.lines()).map(str::to_owned));
            if all.iter().any(|told| told == line) {
                return Ok(());
            }
        }
        anyhow::bail!("no {line:?} among {all:?}");
    }

    /// No ping comes any more: none for as long as the manager would wait.
    fn misses_pings(&self) -> Result<()> {
        wait_until("pings to stop", SOON, || {
            let end = Instant::now() + WATCHDOG;
            while let Some(left) = end.checked_duration_since(Instant::now()) {
                let told = self.next(left.max(Duration::from_millis(1)))?;
                let told = told.unwrap_or_default();
                ensure!(!told.contains("WATCHDOG=1"), "{told}");
            }
            Ok(Some(()))
        })
    }
}

fn program(site: &Site, text: &str) -> Result<PathBuf> {
    let path = site.file(&unique("run"), text)?;
    output(Command::new("chmod").arg("755").arg(&path), PATIENCE)?.success()?;
    Ok(path)
}

fn signal(site: &Site, signal: Signal) -> Result<()> {
    let pid = site.nves[0].pid().context("nved runs")?;
    let pid = Pid::from_raw(pid.try_into()?).context("a pid")?;
    Ok(kill_process(pid, signal)?)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_service_manager_is_told() {
    proof(Site::bare("svctold", &["blue-vm1"]), |site| {
        let manager = Manager::start(site)?;
        let first = manager.next(SOON)?.context("nothing is told")?;
        let (ready, rest) = first.split_once('\n').unwrap_or_default();
        ensure!(ready == "READY=1", "{first}");
        ensure!(rest.starts_with("WATCHDOG=1\nSTATUS="), "{first}");
        // The other host does not answer, and red-vm1 is nowhere.
        let down = ["ip", "link", "set", "eth0", "down"];
        site.host(1).exec(&down)?;
        site.apply(0, &site.demo())?;
        let status = site.ask(0, &["status"])?;
        let conditions = status["conditions"].as_array().context("conditions")?;
        let words = format!(
            "STATUS=Degraded: {} (and {} more)",
            conditions[0].as_str().unwrap_or_default(),
            conditions.len() - 1
        );
        manager.tells(&words)?;
        for _ in 0..3 {
            manager.tells("WATCHDOG=1")?;
        }
        signal(site, Signal::STOP)?;
        manager.misses_pings()?;
        signal(site, Signal::CONT)?;
        manager.tells("WATCHDOG=1")?;
        signal(site, Signal::TERM)?;
        manager.tells("STOPPING=1")
    });
}

/// A network namespace that nobody can open until somebody has it open.
struct Trap(PathBuf);

impl Trap {
    fn set(name: &str) -> Result<Self> {
        let path = Path::new("/run/netns").join(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0)?;
        Ok(Self(path))
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        // A writer lets those go on that wait; after the removal there are none.
        let writer = fs::File::options().read(true).write(true).open(&self.0);
        fs::remove_file(&self.0).expect("the trap is there");
        drop(writer);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_stuck_agent_does_not_ping() {
    proof(Site::bare("svcstuck", &[]), |site| {
        let manager = Manager::start(site)?;
        manager.tells("WATCHDOG=1")?;
        let trap = Trap::set(&site.named("blue-vm1"))?;
        let policy = site.file("policy.yaml", site.demo())?;
        let mut apply = site.nves[0].spec().client()?;
        let apply = Proc::spawn(apply.args(["apply", "-f"]).arg(policy))?;
        manager.misses_pings()?;
        let status = site.nvectl(0, &["status"])?;
        ensure!(
            status.code() < 2,
            "the process is stuck, not the agent alone"
        );
        drop(trap);
        manager.tells("WATCHDOG=1")?;
        apply.wait(SOON)?.success().map(drop)
    });
}

/// The capabilities that the unit leaves.
fn capabilities() -> Vec<&'static str> {
    let set = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    set.expect("the unit bounds capabilities")
        .split(' ')
        .collect()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn each_capability_of_the_unit_is_needed() {
    proof(Site::bare("svccap", &[]), |site| {
        for missing in capabilities() {
            let left = capabilities()
                .into_iter()
                .filter(|name| *name != missing)
                .map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase()));
            let left = left.collect::<Vec<_>>().join(",");
            let mut command = site.host(0).command("setpriv");
            command.args(["--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all"]);
            command.arg(format!("--bounding-set=-all,{left}"));
            command.arg(bin_dir()?.join("nved"));
            let state = site.file(&unique("own"), "")?.with_extension("d");
            let pin = Path::new(BPFFS).join(unique("cap"));
            command.args(["--host", "host-a", "--uplink", "eth0", "--pin"]);
            command.arg(&pin).arg("--socket").arg(state.join("sock"));
            command.arg("--store");
            command.arg(format!("redb://{}/policy.redb", state.display()));
            let said = output(&mut command, SOON);
            remove_pins(&pin)?;
            refused(&said?, 7, &[missing])?;
        }
        Ok(())
    });
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    if !Path::new("/usr/bin/systemd-analyze").exists() {
        return xtask::lab::skip("no systemd-analyze on this machine");
    }
    let dir = xtask::lab::TempDir::new("unit").expect("a folder");
    let unit = dir.path().join("nved.service");
    // The program has to be there; which one does not matter.
    let text = UNIT.replace("/usr/sbin/nved", "/bin/true");
    fs::write(&unit, text).expect("the unit is written");
    for words in [
        &["verify", "--man=no"][..],
        // 10 is without any protection; what nved needs costs the rest.
        &["security", "--offline=true", "--threshold=33", "--no-pager"],
    ] {
        let mut analyze = Command::new("systemd-analyze");
        let said = output(analyze.args(words).arg(&unit), PATIENCE).expect("it runs");
        let faults = said.stderr.trim().is_empty() || words[0] == "security";
        assert!(said.code() == 0 && faults, "{said:?}");
    }
}

#[test]
fn the_sample_shows_every_key_and_its_default() {
    let dir = xtask::lab::TempDir::new("sample").expect("a folder");
    let settings = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a file");
        let path = path.to_string_lossy();
        let flags = Flags::try_parse_from(["nved", "--config", &path]).expect("flags");
        flags.settings().expect("settings")
    };
    let shown = |line: &str| {
        let line = line.strip_prefix("# ")?;
        if line.starts_with('[') {
            return Some(line.to_owned());
        }
        let key = line.split_once(" = ")?.0;
        let plain = key.chars().all(|c| c == '-' || c.is_ascii_lowercase());
        plain.then(|| line.to_owned())
    };
    let all: Vec<_> = SAMPLE
        .lines()
        .map(|line| shown(line).unwrap_or_else(|| line.to_owned()))
        .collect();
    let keys = all.iter().filter(|line| line.contains(" = ")).count();
    // Two of the nine outside of the table have no default.
    assert_eq!(keys, 9 + 12, "{all:#?}");
    assert_eq!(settings("all", &all.join("\n")), settings("sample", SAMPLE));
}
