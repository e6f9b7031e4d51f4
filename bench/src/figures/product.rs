//! A whole `nved` with a policy of very many records, in a network namespace of its own.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dataplane_common::abi::lookup::LookupKey;
use dataplane_user::dataplane::{load::MAPS_FOLDER, lookups::look::Look};
use xtask::lab::{
    BPFFS, Netns, Nve, NveSpec, Proc, TempDir, interrupted, output, unique, wait_until,
};

use super::{LOOK_EVERY, tables};

/// Longest wait for anything with a million records: far beyond what is of use.
pub(super) const LIMIT: Duration = Duration::from_mins(15);
/// Index of the only routing domain.
const RDID: u32 = 1;

/// The namespace, the policy and the agent.
pub(super) struct Product {
    // Before the namespace and the folder that it lives in.
    nve: Nve,
    netns: Netns,
    dir: TempDir,
    records: u32,
}

impl Product {
    /// Starts an agent with a port, and writes a file of records, so many with those that follow from
    /// its port and its gateway.
    pub(super) fn start(records: u32) -> Result<Self> {
        let netns = host()?;
        let dir = TempDir::new("figures")?;
        let (head, rest) = (dir.path().join(HEAD_FILE), dir.path().join(POLICY));
        write_file(&head, |file| {
            write_head(file, "full", r#"{"interface":"vp0"}"#)
        })?;
        write_file(&rest, |file| write_records(file, tables::remotes(records)))?;
        let pin = PathBuf::from(BPFFS).join(unique("figures"));
        let mut spec = NveSpec::new("host-a", "tc", dir.path(), pin);
        let capacity = records.max(tables::DEFAULT_CAPACITY);
        spec.flags = vec!["--lookup-capacity".to_owned(), capacity.to_string()];
        let product = Self {
            nve: Nve::start_with(&netns, spec)?,
            netns,
            dir,
            records,
        };
        product.apply_file(HEAD_FILE)?;
        product.ready()?;
        Ok(product)
    }

    fn apply_file(&self, name: &str) -> Result<Duration> {
        let file = self.dir.path().join(name);
        let mut apply = self.nve.spec().client()?;
        let started = Instant::now();
        output(apply.args(["apply", "-f"]).arg(file), LIMIT)?.success()?;
        Ok(started.elapsed())
    }

    /// Waits until the status says that all is ready.
    fn ready(&self) -> Result<()> {
        wait_until("a status without conditions", LIMIT, || {
            let status = output(self.nve.spec().client()?.arg("status"), LIMIT)?;
            Ok((status.code() == 0).then_some(()))
        })
    }

    /// Applies the records; how long until `nvectl` says that it is done.
    pub(super) fn apply(&self) -> Result<Duration> {
        let took = self.apply_file(POLICY)?;
        ensure!(
            self.enforced(),
            "the policy is applied, and its last record is not in LOOKUP:\n{}",
            self.nve.log()
        );
        Ok(took)
    }

    /// Takes everything out of the kernel and starts the agent again on its store; how long from
    /// there until the last record is in the table, and until the status says that all is ready.
    /// Nothing runs afterwards.
    pub(super) fn cold_start(&mut self) -> Result<(Duration, Duration)> {
        self.unload()?;
        self.nve.terminate(LIMIT)?;
        ensure!(!self.enforced(), "records are left after `nvectl unload`");
        let mut nved = self.nve.spec().daemon(&self.netns)?;
        let started = Instant::now();
        let mut proc = Proc::spawn(&mut nved)?;
        let mut ended = Ok(());
        wait_until("the last record", LIMIT, || {
            ended = proc.still_running();
            Ok((ended.is_err() || self.enforced()).then_some(()))
        })?;
        ended?;
        let enforced = started.elapsed();
        self.ready()?;
        let ready = started.elapsed();
        self.unload()?;
        proc.wait(LIMIT)?.success()?;
        Ok((enforced, ready))
    }

    fn unload(&self) -> Result<()> {
        output(self.nve.spec().client()?.arg("unload"), LIMIT)?.success()?;
        Ok(())
    }

    /// The agent's process.
    pub(super) fn pid(&self) -> Result<u32> {
        self.nve.pid().context("nved is not running")
    }

    /// Whether the last record is in the table.
    fn enforced(&self) -> bool {
        let pins = self.nve.spec().pin.join(MAPS_FOLDER);
        let ca = tables::FIRST + tables::remotes(self.records) - 1;
        let last = LookupKey {
            rdid: RDID,
            ca: ca.to_be_bytes().into(),
        };
        Look::pinned(&pins).is_ok_and(|tables| tables.get(&last).is_ok())
    }
}

const HEAD_FILE: &str = "head.ndjson";
const POLICY: &str = "policy.ndjson";

/// A namespace with an uplink, its neighbour, and a device for the port.
fn host() -> Result<Netns> {
    let netns = Netns::fresh(&unique("figures"))?.without_ipv6()?;
    for command in [
        "ip link add eth0 mtu 1600 type veth peer name far mtu 1600",
        "ip link add vp0 type veth peer name vm0",
        "ip link set eth0 up",
        "ip link set far up",
        "ip link set vp0 up",
        "ip link set vm0 up",
        "ip address add 192.0.2.1/24 dev eth0",
        "ip neighbour add 192.0.2.2 lladdr 02:00:00:00:01:02 dev eth0",
    ] {
        netns.exec(&command.split(' ').collect::<Vec<_>>())?;
    }
    Ok(netns)
}

/// Two hosts, and a tenant on the first that may have any address of 10.0.0.0/8.
const HEAD: &str = r#"{"apiVersion":"nve/v1","kind":"Host","metadata":{"name":"host-a"},"spec":{"providerAddresses":[{"address":"192.0.2.1"}]}}
{"apiVersion":"nve/v1","kind":"Host","metadata":{"name":"host-b"},"spec":{"providerAddresses":[{"address":"192.0.2.2"}]}}
{"apiVersion":"nve/v1","kind":"VMNetwork","metadata":{"name":"blue"},"spec":{"routingDomainId":"11111111-2222-3333-4444-555555555555","tableMode":"MODE","virtualSubnets":[{"name":"large","virtualSubnetId":6001,"prefixes":["10.0.0.0/8"]}]}}
{"apiVersion":"nve/v1","kind":"Port","metadata":{"name":"vm1","vmNetwork":"blue"},"spec":{"host":"host-a","virtualSubnetId":6001,"macAddress":"02:00:0a:00:00:05","customerAddresses":["10.0.0.5"],"attach":ATTACH}}
"#;

/// One JSON document a line: the only form of a file that may be larger than 64 MiB.
fn write_file(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    write(&mut file)?;
    Ok(file.flush()?)
}

/// Hosts, tenant and port; `attach` is JSON.
pub(super) fn write_head(file: &mut impl Write, mode: &str, attach: &str) -> Result<()> {
    let head = HEAD.replace("MODE", mode).replace("ATTACH", attach);
    Ok(file.write_all(head.as_bytes())?)
}

/// Records of the other host, from [`tables::FIRST`] on.
pub(super) fn write_records(file: &mut impl Write, records: u32) -> Result<()> {
    for (number, ca) in (tables::FIRST..).take(records as usize).enumerate() {
        if number.is_multiple_of(LOOK_EVERY) {
            interrupted()?;
        }
        let (address, mac) = (std::net::Ipv4Addr::from(ca), tables::mac(ca));
        writeln!(
            file,
            r#"{{"apiVersion":"nve/v1","kind":"LookupRecord","metadata":{{"vmNetwork":"blue"}},"spec":{{"virtualSubnetId":6001,"customerAddress":"{address}","macAddress":"{mac}","providerAddress":"192.0.2.2"}}}}"#
        )?;
    }
    Ok(())
}
