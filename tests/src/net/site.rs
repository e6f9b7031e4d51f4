//! Hosts, their `nved`s, and what these say.

use super::{SOON, fabric::link_to, link::complete};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{path::PathBuf, process::Command};
use xtask::lab::{
    Netns, Nve, NveSpec, Output, TempDir, Topology, run, two_hosts, unique, wait_until,
};

/// Two tenants that have the same addresses and MACs, one VM of each on both hosts.
const DEMO: &str = include_str!("../../../examples/demo.yaml");
const VMS: [&str; 4] = ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"];

/// Everything that a test has up. The order of the fields is the order of taking it down.
#[derive(Debug)]
pub struct Site {
    /// In the order they were started: that of `host-a`, that of `host-b`.
    pub nves: Vec<Nve>,
    /// The namespaces.
    pub topology: Topology,
    dir: TempDir,
    prefix: String,
}

impl Site {
    /// Both hosts with the demo's policy, and everything is ready.
    pub fn up(name: &str, mode: &str) -> Result<Self> {
        Self::up_as(name, mode, |_, _| ())
    }

    /// [`Site::up`] with one more flag for both `nved`s.
    pub fn forced(name: &str, mode: &str, flag: &str) -> Result<Self> {
        Self::up_as(name, mode, |_, spec| spec.flags.push(flag.to_owned()))
    }

    /// [`Site::up`] with a change of what the hosts, by number, would run.
    pub fn up_as(name: &str, mode: &str, change: impl Fn(usize, &mut NveSpec)) -> Result<Self> {
        let mut site = Self::bare(name, &VMS)?;
        site.all(mode, change)?;
        Ok(site)
    }

    /// Starts both hosts' `nved`s, and waits until the demo's policy is in force.
    pub fn all(&mut self, mode: &str, change: impl Fn(usize, &mut NveSpec)) -> Result<()> {
        for host in [0, 1] {
            self.start_as(host, mode, |spec| change(host, spec))?;
            self.apply(host, &self.demo())?;
        }
        self.ready()
    }

    /// Both hosts and namespaces of these tenants; no `nved` yet.
    pub fn bare(name: &str, tenants: &[&str]) -> Result<Self> {
        Self::around(name, |prefix| two_hosts(prefix, tenants))
    }

    /// A site of these namespaces, whose names begin with what `make` is given; no `nved` yet.
    pub(super) fn around(name: &str, make: impl FnOnce(&str) -> Result<Topology>) -> Result<Self> {
        let prefix = unique(name);
        Ok(Self {
            nves: Vec::new(),
            topology: make(&prefix)?,
            dir: TempDir::new(name)?,
            prefix,
        })
    }

    /// One host with its `nved` and the demo's policy; the other host's VMs are nowhere.
    pub fn alone(name: &str) -> Result<Self> {
        let mut site = Self::bare(name, &["blue-vm1", "red-vm1"])?;
        site.start(0, "tc")?;
        site.apply(0, &site.demo())?;
        Ok(site)
    }

    /// All objects of a host's store, as YAML.
    pub fn everything(&self, host: usize) -> Result<String> {
        let all = self.nvectl(host, &["get", "all", "-o", "yaml"])?;
        Ok(all.success()?.stdout)
    }

    /// Starts the `nved` of a host; the first has to be that of `host-a`.
    pub fn start(&mut self, host: usize, mode: &str) -> Result<()> {
        let place = &self.topology.hosts[host];
        self.nves.push(Nve::start(&place.netns, place.name, mode)?);
        Ok(())
    }

    /// Starts the `nved` of a host again, after it was stopped or killed.
    pub fn resume(&mut self, host: usize) -> Result<()> {
        self.nves[host].resume(&self.topology.hosts[host].netns)
    }

    /// Starts the `nved` of a host as a change of its usual spec tells.
    pub fn start_as(
        &mut self,
        host: usize,
        mode: &str,
        change: impl FnOnce(&mut NveSpec),
    ) -> Result<()> {
        let place = &self.topology.hosts[host];
        let nve = Nve::start_as(&place.netns, place.name, mode, change)?;
        self.nves.push(nve);
        Ok(())
    }

    /// Makes the uplinks hand over what a wire would: whole frames of one segment each.
    pub fn like_wires(&self) -> Result<()> {
        (0..self.topology.hosts.len()).try_for_each(|host| self.like_a_wire(host))
    }

    /// [`Site::like_wires`] for what one host sends, and what it gets from what stands in the middle.
    pub fn like_a_wire(&self, host: usize) -> Result<()> {
        complete(self.host(host), "eth0")?;
        match &self.topology.middle {
            Some(middle) => complete(middle, link_to(host)),
            None => Ok(()),
        }
    }

    /// The namespace of a host.
    pub fn host(&self, host: usize) -> &Netns {
        &self.topology.hosts[host].netns
    }

    /// The namespace of a VM.
    pub fn vm(&self, name: &str) -> &Netns {
        self.topology.tenant(name)
    }

    /// The full name of a namespace of this site.
    pub fn named(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// A text whose namespaces begin with `nvedemo-`, with those of this site instead.
    pub fn own(&self, text: &str) -> String {
        text.replace("nvedemo", &self.prefix)
    }

    /// The demo's policy.
    pub fn demo(&self) -> String {
        self.own(DEMO)
    }

    /// A file of this site, removed with it.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// A program of this site that everybody may run. Another process makes it: one that was
    /// open for writing here while a thread started something could not be run ("text file busy").
    pub fn program(&self, name: &str, text: impl AsRef<[u8]>) -> Result<PathBuf> {
        let source = self.file(&format!("{name}.source"), text)?;
        let program = self.dir.path().join(name);
        let mut install = Command::new("install");
        run(install.args(["-m", "755"]).arg(&source).arg(&program))?;
        Ok(program)
    }

    /// Applies documents to a host; fails when they are refused.
    pub fn apply(&self, host: usize, text: &str) -> Result<Output> {
        let file = self.file("applied.yaml", text)?;
        self.nvectl(host, &["apply", "-f", &file.to_string_lossy()])?
            .success()
    }

    /// Runs `nvectl` against the `nved` of a host.
    pub fn nvectl(&self, host: usize, args: &[&str]) -> Result<Output> {
        self.nves[host].nvectl(args)
    }

    /// Waits until every `nved` says that it is ready.
    pub fn ready(&self) -> Result<()> {
        for nve in &self.nves {
            nve.nvectl(&["status", "--wait=20"])?.success()?;
        }
        Ok(())
    }

    /// The answer of `nvectl` as JSON.
    pub fn ask(&self, host: usize, question: &[&str]) -> Result<Value> {
        let said = self.nvectl(host, &[question, &["-o", "json"]].concat())?;
        // `status` answers with exit code 1 when it is not ready.
        serde_json::from_str(&said.stdout)
            .with_context(|| format!("no JSON from {question:?}: {}{}", said.stdout, said.stderr))
    }

    /// The state of a port, such as `Ready`.
    pub fn state(&self, host: usize, port: &str) -> Result<String> {
        let found = self.port(host, port)?;
        Ok(found["state"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until the state of a port begins with `state`.
    pub fn becomes(&self, host: usize, port: &str, state: &str) -> Result<String> {
        wait_until(&format!("{port} to be {state}"), SOON, || {
            let now = self.state(host, port)?;
            ensure!(now.starts_with(state), "{port} is {now:?}");
            Ok(Some(now))
        })
    }
}

/// A command ended with this exit code, and its message has these words.
pub fn refused(said: &Output, code: i32, words: &[&str]) -> Result<()> {
    let (out, err) = (&said.stdout, &said.stderr);
    ensure!(said.code() == code, "exit code {}: {out}{err}", said.code());
    for word in words {
        ensure!(err.contains(word), "no {word:?} in:\n{err}");
    }
    Ok(())
}

/// Runs the body of a test; its failure is told with all that the `nved`s know.
pub fn proof(site: Result<Site>, body: impl FnOnce(&mut Site) -> Result<()>) {
    let mut site = site.expect("the site is up");
    if let Err(error) = body(&mut site) {
        panic!("{error:#}\n{}", evidence(&site));
    }
}

/// Logs, statuses and drops.
pub fn evidence(site: &Site) -> String {
    let told = site.nves.iter().map(|nve| {
        let said = |args: &[&str]| match nve.nvectl(args) {
            Ok(output) => output.stdout + &output.stderr,
            Err(error) => format!("{error:#}\n"),
        };
        let (host, log) = (&nve.spec().host, nve.log());
        let (status, drops) = (said(&["status"]), said(&["get", "drops"]));
        format!("--- nved of {host}\n{log}--- its status\n{status}--- its drops\n{drops}")
    });
    told.collect()
}
