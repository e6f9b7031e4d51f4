//! A real systemd in namespaces of its own, on the network of a host of the site.

use super::SOON;
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use xtask::lab::{Netns, Output, Proc, TempDir, bin_dir, output, unique, wait_until};

const BOOT: &str = include_str!("boot-systemd.sh");
const SYSTEMD: &str = "/lib/systemd/systemd";

/// A running systemd, killed with all of its services when dropped.
#[derive(Debug)]
pub struct Systemd {
    proc: Option<Proc>,
    /// Its process 1, as it is numbered here.
    init: u32,
    group: PathBuf,
    dir: TempDir,
}

impl Systemd {
    /// Why there can be none here.
    pub fn lacks() -> Option<&'static str> {
        if !Path::new(SYSTEMD).exists() {
            return Some("no systemd on this machine");
        }
        groups().is_err().then_some("no cgroup2 on this machine")
    }

    /// Boots it with these files as its units; `nved.toml` goes to `/etc/nved`.
    pub fn boot(netns: &Netns, units: &[(&str, String)]) -> Result<Self> {
        let name = unique("systemd");
        let dir = TempDir::new("systemd")?;
        let place = |name: &str| dir.path().join(name);
        for folder in ["work", "units"] {
            fs::create_dir(place(folder))?;
        }
        for (unit, text) in units {
            let file = place("units").join(unit);
            fs::create_dir_all(file.parent().context("a folder")?)?;
            fs::write(file, text)?;
        }
        fs::write(place("boot"), BOOT)?;
        let group = groups()?.join(&name);
        fs::create_dir(&group).with_context(|| format!("cannot make {}", group.display()))?;
        let mut booted = Self {
            proc: None,
            init: 0,
            group,
            dir,
        };
        booted.start(netns)?;
        booted.wait_for_init()?;
        Ok(booted)
    }

    /// Runs a program among its services.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
        let mut command = Command::new("nsenter");
        command.args(["-m", "-p", "-n", "-u", "-i", "-C", "-r", "-t"]);
        command.arg(self.init.to_string()).arg(program);
        output(command.args(args), 3 * SOON)
    }

    /// A property of the service.
    pub fn property(&self, name: &str) -> Result<String> {
        let show = ["show", "--value", "-p", name, "nved.service"];
        let said = self.run("systemctl", &show)?.success()?.stdout;
        Ok(said.trim().to_owned())
    }

    /// Waits until a property of the service is this.
    pub fn becomes(&self, name: &str, value: &str) -> Result<()> {
        wait_until(&format!("{name}={value}"), 2 * SOON, || {
            let now = self.property(name)?;
            ensure!(now == value, "{name}={now}");
            Ok(Some(()))
        })
    }

    /// The process of the service, as it is numbered here.
    pub fn pid(&self) -> Result<u32> {
        let members = self.group.join("system.slice/nved.service/cgroup.procs");
        let told = fs::read_to_string(members).context("the service does not run")?;
        let pid = told.trim().parse();
        pid.with_context(|| format!("the service has processes {told:?}"))
    }

    /// A path in its file system, as it is reached from here.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    /// What systemd and its services have said.
    pub fn log(&self) -> String {
        let journal = self.run("journalctl", &["--no-pager", "--unit=nved.service"]);
        let journal = journal.map_or_else(|error| format!("{error:#}"), |said| said.stdout);
        let console = self
            .proc
            .as_ref()
            .map(|proc| proc.stdout() + &proc.stderr());
        format!("{}{journal}", console.unwrap_or_default())
    }

    fn start(&mut self, netns: &Netns) -> Result<()> {
        // The group first: the new cgroup namespace has it as its root.
        let script = "echo $$ > \"$1/cgroup.procs\" && shift && exec \"$@\"";
        let mut command = netns.command("sh");
        command.args(["-c", script, "sh"]).arg(&self.group);
        command.args(["unshare", "--cgroup", "--pid", "--mount", "--uts", "--ipc"]);
        command.args(["--fork", "--kill-child", "--propagation=slave", "sh"]);
        for name in ["boot", "work", "units"] {
            command.arg(self.dir.path().join(name));
        }
        self.proc = Some(Proc::spawn(command.arg(bin_dir()?))?);
        Ok(())
    }

    fn wait_for_init(&mut self) -> Result<()> {
        let proc = self.proc.as_mut().context("systemd is not running")?;
        let (pid, mut init) = (proc.pid(), 0);
        let up = wait_until("systemd", SOON, || {
            proc.still_running()?;
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
            init = children.trim().parse()?;
            let exe = fs::read_link(format!("/proc/{init}/exe"))?;
            Ok(exe.ends_with("systemd/systemd").then_some(()))
        });
        self.init = init;
        up.with_context(|| self.log())?;
        wait_until("systemd's boot", SOON, || {
            let said = self.run("systemctl", &["is-system-running"])?.stdout;
            ensure!(said.trim() == "running", "it is {said}");
            Ok(Some(()))
        })
        .with_context(|| self.log())
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // With process 1 all others in its namespace end.
        if let Some(Err(error)) = self.proc.take().map(Proc::kill) {
            eprintln!("systemd does not end: {error:#}");
        }
        let removed = wait_until("its control groups to be empty", SOON, || {
            remove_group(&self.group)?;
            Ok(Some(()))
        });
        if let Err(error) = removed {
            eprintln!("{}: {error:#}", self.group.display());
        }
    }
}

/// Where the control groups of cgroup2 are.
fn groups() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    let found = mounts.lines().find_map(|line| {
        let [_, place, "cgroup2", ..] = line.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(place.into())
    });
    found.context("cgroup2 is not mounted")
}

fn remove_group(group: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(group)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove_group(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}
