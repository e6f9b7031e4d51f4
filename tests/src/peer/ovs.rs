//! Open vSwitch with its kernel datapath as a peer.

use super::{OURS, TENANTS, THEIRS, far_vm, modules};
use crate::net::{SOON, Site};
use anyhow::{Context, Result, ensure};
use std::{fs, path::Path, process::Command, time::Duration};
use xtask::lab::{Netns, PATIENCE, Proc, TempDir, output, run, run_always, wait_until};

/// Where Debian has the daemon; a name in `PATH` is an alternative that only an installation makes.
const DAEMON: &str = "/usr/lib/openvswitch-switch/ovs-vswitchd";
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// Seconds after boot. The daemon counts CPUs at most every 10 s of the monotonic clock, whose
/// start it takes for the last time: before, it counts 0, has no handler threads and loses every
/// upcall (`count_cpu_cores` of Open vSwitch 3.1).
const BOOTED: f64 = 12.0;

/// A database, a daemon and a bridge with flows, in the site's second host. Dropping it ends
/// both and deletes the datapath.
#[derive(Debug)]
pub struct Ovs<'s> {
    switch: Option<Proc>,
    database: Option<Proc>,
    host: &'s Netns,
    dir: TempDir,
}

impl<'s> Ovs<'s> {
    /// Starts it: a GRE port with the key from flows, and both tenants' VMs.
    pub fn start(site: &'s Site) -> Result<Self> {
        modules(&["openvswitch", "vport-gre"])?;
        let mut ovs = Self {
            switch: None,
            database: None,
            host: site.host(1),
            dir: TempDir::new("ovs")?,
        };
        ovs.daemons()?;
        ovs.bridge(site)?;
        Ok(ovs)
    }

    fn daemons(&mut self) -> Result<()> {
        let (database, socket) = (self.path("conf.db"), self.path("db.sock"));
        run(Command::new("ovsdb-tool").args(["create", &database, SCHEMA]))
            .context("Open vSwitch is part of the guest")?;
        let remote = format!("--remote=punix:{socket}");
        let server = &mut self.command("ovsdb-server");
        self.database = Some(Proc::spawn(server.args([&database, &remote]))?);
        wait_until("the switch's database", SOON, || {
            Ok(Path::new(&socket).exists().then_some(()))
        })?;
        self.vsctl(&["--no-wait", "init"])?;
        let limit = Duration::from_secs_f64(BOOTED) + SOON;
        wait_until("the clock to run a while", limit, || {
            Ok((uptime()? > BOOTED).then_some(()))
        })?;
        let daemon = if Path::new(DAEMON).exists() {
            DAEMON
        } else {
            "ovs-vswitchd"
        };
        let daemon = &mut self.command(daemon);
        self.switch = Some(Proc::spawn(daemon.arg(format!("unix:{socket}")))?);
        Ok(())
    }

    fn bridge(&mut self, site: &Site) -> Result<()> {
        let secure = ["--", "set-fail-mode", "br0", "secure"];
        self.vsctl(&[&["add-br", "br0"][..], &secure].concat())?;
        let (local, remote) = (
            format!("options:local_ip={THEIRS}"),
            format!("options:remote_ip={OURS}"),
        );
        let set = [
            "--",
            "set",
            "interface",
            "nvgre",
            "type=gre",
            "options:key=flow",
        ];
        let port = ["add-port", "br0", "nvgre"];
        self.vsctl(&[&port[..], &set, &[&local, &remote]].concat())?;
        for tenant in TENANTS {
            let veth = far_vm(site, tenant)?;
            self.vsctl(&["add-port", "br0", veth])?;
            let key = tenant.key(0);
            self.flow(&format!(
                "in_port={veth},actions=set_field:{key:#x}->tun_id,output:nvgre"
            ))?;
            // Whatever the FlowID is.
            self.flow(&format!(
                "in_port=nvgre,tun_id={key:#x}/0xffffff00,actions=output:{veth}"
            ))?;
        }
        self.alive()
    }

    /// Fails if the daemon complained about an interface.
    fn alive(&mut self) -> Result<()> {
        let errors = self.vsctl(&["--columns=name,error", "list", "interface"])?;
        let fine = |line: &str| !line.starts_with("error") || line.ends_with("[]");
        ensure!(errors.lines().all(fine), "{errors}");
        self.switch.as_mut().context("no daemon")?.still_running()
    }

    fn flow(&self, flow: &str) -> Result<()> {
        let mut command = self.command("ovs-ofctl");
        command.args(["--names", "--protocols=OpenFlow13", "add-flow", "br0", flow]);
        run(&mut command)?;
        Ok(())
    }

    /// What the switch knows, for whoever looks into a failure.
    pub fn evidence(&self) -> String {
        let said = |program: &str, args: &[&str]| {
            let told = output(self.command(program).args(args), PATIENCE);
            told.map_or_else(
                |error| format!("{error:#}\n"),
                |told| told.stdout + &told.stderr,
            )
        };
        let flows = said("ovs-ofctl", &["dump-flows", "br0"]);
        let datapath = said("ovs-dpctl", &["-s", "show"]);
        let log = self.switch.as_ref().map(Proc::stderr).unwrap_or_default();
        format!("--- flows\n{flows}--- datapath\n{datapath}--- ovs-vswitchd\n{log}")
    }

    fn vsctl(&self, args: &[&str]) -> Result<String> {
        let mut command = self.command("ovs-vsctl");
        command.arg(format!("--db=unix:{}", self.path("db.sock")));
        Ok(run(command.arg("--timeout=40").args(args))?.stdout)
    }

    /// A program of the switch's, with its files in a folder of its own.
    fn command(&self, program: &str) -> Command {
        let mut command = self.host.command("env");
        for folder in ["OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR"] {
            command.arg(format!("{folder}={}", self.dir.path().display()));
        }
        command.arg(program);
        command
    }

    fn path(&self, file: &str) -> String {
        self.dir.path().join(file).display().to_string()
    }
}

impl Drop for Ovs<'_> {
    fn drop(&mut self) {
        self.switch = None;
        self.database = None;
        // The daemon leaves its datapath to the next one.
        let deleted = run_always(self.command("ovs-dpctl").args(["del-dp", "ovs-system"]));
        if let Err(error) = deleted {
            eprintln!("the datapath in {} stays: {error:#}", self.host.name());
        }
    }
}

/// Seconds since boot.
fn uptime() -> Result<f64> {
    let text = fs::read_to_string("/proc/uptime")?;
    let first = text.split_whitespace().next().context("no uptime")?;
    Ok(first.parse()?)
}
