//! Named network namespaces.

use super::{Output, PATIENCE, Proc, run, run_always, wait_until};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// A named network namespace, deleted when the guard is dropped.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes a namespace; fails when the name is taken.
    pub fn new(name: &str) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", name]))
            .with_context(|| format!("cannot make network namespace {name}"))?;
        let netns = Self {
            name: name.to_owned(),
        };
        netns.exec(&["ip", "link", "set", "lo", "up"])?;
        Ok(netns)
    }

    /// Makes a namespace, after deleting one of the same name that an earlier run left.
    pub fn fresh(name: &str) -> Result<Self> {
        Self::adopt(name)?;
        Self::new(name)
    }

    /// Takes over an existing namespace, if there is one: dropping the guard deletes it.
    pub fn adopt(name: &str) -> Result<Option<Self>> {
        if name.is_empty() || name.contains('/') {
            bail!("{name:?} is not the name of a network namespace");
        }
        let netns = Self {
            name: name.to_owned(),
        };
        if netns.path().exists() {
            return Ok(Some(netns));
        }
        netns.leave();
        Ok(None)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that other programs open to enter the namespace.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// A command that will run inside.
    ///
    /// Only the network changes: `ip netns exec` would hide the BPF file system too.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .args(["--", program]);
        command
    }

    /// Runs a command inside and fails when it does.
    pub fn exec(&self, args: &[&str]) -> Result<Output> {
        run(&mut self.with_args(args)?)
    }

    /// Starts a command inside.
    pub fn spawn(&self, args: &[&str]) -> Result<Proc> {
        Proc::spawn(&mut self.with_args(args)?)
    }

    /// Waits until something listens on a TCP port inside.
    pub fn wait_for_port(&self, port: u16) -> Result<()> {
        let what = format!("a server on port {port} in {}", self.name);
        let filter = format!("sport = :{port}");
        wait_until(&what, PATIENCE, || {
            let sockets = self.exec(&["ss", "-Hltn", &filter])?;
            Ok((!sockets.stdout.is_empty()).then_some(()))
        })
    }

    /// Turns IPv6 off for interfaces to come: no solicitations among the packets under test.
    pub fn without_ipv6(self) -> Result<Self> {
        let script =
            "for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done";
        self.exec(&["sh", "-c", script])?;
        Ok(self)
    }

    /// Keeps the namespace when the guard goes.
    pub fn leave(self) {
        std::mem::forget(self);
    }

    fn with_args(&self, args: &[&str]) -> Result<Command> {
        let Some((program, args)) = args.split_first() else {
            bail!("no command to run in {}", self.name);
        };
        let mut command = self.command(program);
        command.args(args);
        Ok(command)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let deleted = run_always(Command::new("ip").args(["netns", "delete", &self.name]));
        if let Err(error) = deleted {
            eprintln!("network namespace {} stays: {error:#}", self.name);
        }
    }
}
