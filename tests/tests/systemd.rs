//! `packaging/nved.service` under a real systemd, with all that it forbids.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{
    SOON, Site, ping, proof,
    systemd::Systemd,
    traces::{Objects, all_traces},
};
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::Duration,
};
use xtask::lab::{BPFFS, Netns, Output, bin_dir, output, remove_pins, skip, unique, wait_until};

const UNIT: &str = include_str!("../../packaging/nved.service");
const SAMPLE: &str = include_str!("../../packaging/nved.toml");

/// A site whose `host-a` has a systemd, and whose `host-b` an `nved` as usual.
struct Stage<'s> {
    site: &'s mut Site,
    systemd: Systemd,
    pin: PathBuf,
}

impl<'s> Stage<'s> {
    fn up(site: &'s mut Site) -> Result<Self> {
        let pin = Path::new(BPFFS).join(unique("unit"));
        let config = format!("{SAMPLE}\nuplink-mode = 'tc'\npin = '{}'\n", pin.display());
        let units = [
            ("nved.service", UNIT.to_owned()),
            ("nved.toml", config),
            // A test has less patience than an operator.
            (
                "nved.service.d/test.conf",
                "[Service]\nWatchdogSec=4\nTimeoutAbortSec=1\n".to_owned(),
            ),
        ];
        let systemd = Systemd::boot(site.host(0), &units)?;
        Ok(Self { site, systemd, pin })
    }

    fn nvectl(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(bin_dir()?.join("nvectl"));
        command
            .arg("--socket")
            .arg(self.systemd.path("/run/nved/nved.sock"));
        output(command.args(args), SOON)
    }

    fn systemctl(&self, args: &[&str]) -> Result<Output> {
        self.systemd.run("systemctl", args)
    }

    fn start(&self) -> Result<()> {
        self.systemctl(&["start", "nved.service"])?.success()?;
        self.systemd.becomes("ActiveState", "active")
    }

    fn apply(&self) -> Result<()> {
        // One port is of the other mode.
        let red = format!("  attach: {{netns: {}}}", self.site.named("red-vm1"));
        let policy = self
            .site
            .demo()
            .replace(&red, &format!("  mode: xdp\n{red}"));
        let file = self.site.file("policy.yaml", policy)?;
        self.nvectl(&["apply", "-f", &file.to_string_lossy()])?
            .success()
            .map(drop)
    }

    /// The policy on both hosts, and the port of blue in use.
    fn in_use(&mut self) -> Result<()> {
        self.start()?;
        self.apply()?;
        self.site.start(1, "tc")?;
        let policy = self.site.demo();
        self.site.apply(0, &policy)?;
        self.port_is("blue-vm1", "Ready")?;
        self.pings()
    }

    fn port_is(&self, port: &str, state: &str) -> Result<()> {
        wait_until(&format!("{port} to be {state}"), SOON, || {
            let listed = self.nvectl(&["get", "ports"])?.stdout;
            let found = listed
                .lines()
                .any(|line| line.contains(port) && line.contains(state));
            ensure!(found, "{listed}");
            Ok(Some(()))
        })
    }

    fn pings(&self) -> Result<()> {
        ping(self.site.vm("blue-vm1"), "10.0.0.7", 56)
    }

    /// Waits for the service to have been started again so often, and to be whole.
    fn restarted(&self, times: u32) -> Result<()> {
        self.systemd.becomes("NRestarts", &times.to_string())?;
        self.systemd.becomes("ActiveState", "active")?;
        self.port_is("blue-vm1", "Ready")?;
        self.pings()
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Err(error) = remove_pins(&self.pin) {
            eprintln!("{error:#}");
        }
    }
}

fn on_stage(name: &str, body: impl FnOnce(&mut Stage) -> Result<()>) {
    if let Some(why) = Systemd::lacks() {
        return skip(why);
    }
    proof(
        Site::bare(name, &["blue-vm1", "blue-vm2", "red-vm2"]),
        |site| {
            let mut stage = Stage::up(site)?;
            body(&mut stage).with_context(|| stage.systemd.log())
        },
    );
}

/// The line of a `/proc/PID/status` with this key.
fn line(status: &str, key: &str) -> Result<String> {
    let found = status.lines().find_map(|line| line.strip_prefix(key));
    Ok(found
        .with_context(|| format!("no {key}"))?
        .trim()
        .to_owned())
}

/// What the unit takes away is away.
fn confined(stage: &Stage) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{}/status", stage.systemd.pid()?))?;
    // CAP_NET_ADMIN is 12, CAP_NET_RAW 13, CAP_SYS_ADMIN 21.
    let all = format!("{:016x}", 1 << 12 | 1 << 13 | 1 << 21);
    for (key, value) in [
        ("CapBnd:", all.as_str()),
        ("CapEff:", &all),
        ("CapAmb:", "0000000000000000"),
        ("NoNewPrivs:", "1"),
        ("Seccomp:", "2"),
    ] {
        let now = line(&status, key)?;
        ensure!(now == value, "{key} {now}");
    }
    let root = format!("/proc/{}/root", stage.systemd.pid()?);
    for (path, writable) in [
        ("/usr", false),
        ("/etc", false),
        ("/var/lib", false),
        ("/var/lib/nved", true),
        ("/run/nved", true),
        ("/sys/fs/bpf", true),
    ] {
        let flags = statvfs(format!("{root}{path}"))?.f_flag;
        let now = !flags.contains(StatVfsMountFlags::RDONLY);
        ensure!(now == writable, "{path} is writable: {now}");
    }
    Ok(())
}

/// The slow path works there: a socket on the upcall pair, with memory of its own.
fn has_socket(stage: &Stage) -> Result<()> {
    wait_until("a socket of the slow path", SOON, || {
        let said = stage.nvectl(&["status", "-o", "json"])?.stdout;
        let status: serde_json::Value = serde_json::from_str(&said)?;
        let queues = status["slowPath"]["queues"].as_array().context("queues")?;
        let works = queues
            .iter()
            .any(|queue| queue["mode"] == "copy" && queue["frames"]["all"] != 0);
        ensure!(works && queues.len() == 1, "{said}");
        Ok(Some(()))
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_unit_does_the_whole_job() {
    on_stage("sysjob", |stage| {
        let host = [stage.site.host(0).name().to_owned()];
        let before = all_traces(&host)?;
        stage.in_use()?;
        confined(stage)?;
        has_socket(stage)?;
        // A namespace that is made while the service runs reaches it.
        stage.port_is("red-vm1", "Pending")?;
        let late = Netns::new(&stage.site.named("red-vm1"))?.without_ipv6()?;
        stage.port_is("red-vm1", "Ready")?;
        stage.systemd.becomes("StatusText", "OK")?;

        stage.systemctl(&["stop", "nved.service"])?.success()?;
        ensure!(stage.nvectl(&["status"])?.code() == 3, "an agent answers");
        stage.pings().context("the dataplane went with its agent")?;
        stage.start()?;
        stage.port_is("blue-vm1", "Ready")?;
        let objects = Objects::of(stage.systemd.pid()?)?;
        drop(late);

        stage.nvectl(&["unload"])?.success()?;
        stage.systemd.becomes("ActiveState", "inactive")?;
        sleep(Duration::from_secs(2));
        stage.systemd.becomes("SubState", "dead")?;
        stage.systemd.becomes("NRestarts", "0")?;
        let after = all_traces(&host)?;
        ensure!(after == before, "before: {before:#?}\nafter: {after:#?}");
        let runtime = stage.systemd.path("/run/nved");
        for left in [&stage.pin, &runtime] {
            ensure!(!left.exists(), "{} is still there", left.display());
        }
        objects.gone()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_unit_starts_a_dead_or_stuck_agent_again() {
    on_stage("sysdog", |stage| {
        stage.in_use()?;
        for (times, signal) in [(1, "--signal=KILL"), (2, "--signal=STOP")] {
            stage
                .systemctl(&["kill", signal, "nved.service"])?
                .success()?;
            stage.restarted(times).context(signal)?;
        }
        stage.nvectl(&["unload"])?.success().map(drop)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_unit_does_not_try_wrong_settings_again() {
    on_stage("syscfg", |stage| {
        let config = stage.systemd.path("/etc/nved/nved.toml");
        fs::write(config, "host = 'host-a'\nuplinks = 'eth0'\n")?;
        let said = stage.systemctl(&["start", "nved.service"])?;
        ensure!(said.code() == 1, "{}{}", said.stdout, said.stderr);
        sleep(Duration::from_secs(2));
        stage.systemd.becomes("ActiveState", "failed")?;
        stage.systemd.becomes("ExecMainStatus", "2")?;
        stage.systemd.becomes("NRestarts", "0")
    });
}
