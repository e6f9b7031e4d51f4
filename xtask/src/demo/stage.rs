//! The topology, both NVEs, and the tenants' servers.

use super::leftovers;
use super::tenants::{POLICY, PREFIX, TENANTS, Tenant};
use anyhow::{Context, Result};
use std::path::Path;
use xtask::lab::{self, Host, Netns, Nve, NveSpec, Proc, Topology};
use xtask::shell;

const HTTP: u16 = 8080;

/// Everything that is up. The order of the fields is the order of taking it down.
pub(super) struct Stage {
    servers: Vec<Proc>,
    nves: Vec<Nve>,
    topology: Topology,
    keep: bool,
}

impl Stage {
    /// Builds it and applies the policy to both hosts. `keep`: it can outlive this process.
    pub(super) fn up(keep: bool) -> Result<Self> {
        let vms = TENANTS
            .iter()
            .flat_map(|tenant| [tenant.client(), tenant.server()]);
        let vms: Vec<_> = vms.collect();
        let vms: Vec<_> = vms.iter().map(String::as_str).collect();
        let topology = lab::two_hosts(PREFIX, &vms)?;
        let mut stage = Self {
            servers: Vec::new(),
            nves: Vec::new(),
            topology,
            keep,
        };
        for host in &stage.topology.hosts {
            let nve = start(host, keep)?;
            leftovers::record(nve.pid().context("nved has ended")?)?;
            stage.nves.push(nve);
        }
        stage.apply()?;
        for tenant in &TENANTS {
            stage.serve(tenant)?;
        }
        Ok(stage)
    }

    /// The namespace of a VM, such as `blue-vm1`.
    pub(super) fn vm(&self, name: &str) -> &Netns {
        self.topology.tenant(name)
    }

    /// The namespace of a host or a VM.
    pub(super) fn netns(&self, name: &str) -> &Netns {
        let host = self.hosts().iter().find(|host| host.name == name);
        host.map_or_else(|| self.vm(name), |host| &host.netns)
    }

    pub(super) fn hosts(&self) -> &[Host] {
        &self.topology.hosts
    }

    /// What `nvectl` of `host-a` says to a question, as JSON.
    pub(super) fn ask(&self, question: &[&str]) -> Result<serde_json::Value> {
        let nve = self.nves.first().context("no nved is running")?;
        let answer = nve
            .nvectl(&[question, &["-o", "json"]].concat())?
            .success()?;
        serde_json::from_str(&answer.stdout)
            .with_context(|| format!("nvectl {} did not print JSON", question.join(" ")))
    }

    /// Leaves everything up.
    pub(super) fn leave(self) {
        self.servers.into_iter().for_each(Proc::leave);
        self.nves.into_iter().for_each(Nve::leave);
        self.topology.leave();
    }

    fn apply(&self) -> Result<()> {
        let policy = POLICY.map(|file| shell::root().join("examples").join(file));
        let [demo, rewrite] = policy.each_ref().map(|file| file.to_string_lossy());
        for nve in &self.nves {
            nve.nvectl(&["apply", "-f", &demo, "-f", &rewrite])?
                .success()?;
        }
        for nve in &self.nves {
            let ready = nve
                .nvectl(&["status", "--wait"])
                .and_then(lab::Output::success);
            ready.with_context(|| format!("the ports of {} are not ready", nve.spec().host))?;
        }
        Ok(())
    }

    /// An HTTP and an iperf3 server in the tenant's second VM.
    fn serve(&mut self, tenant: &Tenant) -> Result<()> {
        let server = tenant.server();
        // This very program, also when a build has replaced its file meanwhile.
        let this = format!("/proc/{}/exe", std::process::id());
        let text = format!("served by {server} ({})", tenant.marker);
        let (http, iperf3) = (HTTP.to_string(), tenant.iperf3.to_string());
        self.serve_one(&server, &[&this, "serve-http", &http, &text], HTTP)?;
        let iperf3 = ["iperf3", "--server", "--port", &iperf3];
        self.serve_one(&server, &iperf3, tenant.iperf3)
    }

    fn serve_one(&mut self, vm: &str, args: &[&str], port: u16) -> Result<()> {
        let netns = self.topology.tenant(vm);
        let mut command = netns.command(args[0]);
        command.args(&args[1..]);
        let mut server = if self.keep {
            Proc::spawn_detached(&mut command, &leftovers::dir().join("servers.log"))?
        } else {
            Proc::spawn(&mut command)?
        };
        leftovers::record(server.pid())?;
        netns
            .wait_for_port(port)
            .or_else(|error| server.still_running().and(Err(error)))?;
        self.servers.push(server);
        Ok(())
    }
}

fn start(host: &Host, keep: bool) -> Result<Nve> {
    let dir = leftovers::dir().join(host.name);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let pin = Path::new(lab::BPFFS).join(format!("{PREFIX}-{}", host.name));
    let spec = NveSpec {
        detached: keep,
        ..NveSpec::new(host.name, "auto", &dir, pin)
    };
    Nve::start_with(&host.netns, spec)
}
