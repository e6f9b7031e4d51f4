//! Two hosts, tenants that talk all the time, and one tenant that comes and goes.

use anyhow::{Result, ensure};
use dataplane_tests::{
    net::{
        Site,
        disk::Disk,
        evidence,
        stream::{Stream, Tally},
    },
    other_build::other_build,
};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use xtask::lab::{Netns, TempDir};

use super::random::Random;

/// The streams: two tenants in opposite directions, and the hosts' own.
pub(crate) const STREAMS: [&str; 3] = ["blue", "red", "host"];

/// Datagrams per second of each; events leave the CPUs enough to do.
const PACE: u32 = 3_000;

/// A tenant of `host-a` that no stream depends on; there is a virtual machine too.
pub(crate) const GUEST: &str = "blue-vm3";

const MORE: &str = "
---
apiVersion: nve/v1
kind: Port
metadata: {name: blue-vm3, vmNetwork: blue}
spec:
  host: host-a
  virtualSubnetId: 6001
  macAddress: 02:00:00:00:00:08
  customerAddresses: [10.0.0.8]
  attach: {netns: nvedemo-blue-vm3}
---
apiVersion: nve/v1
kind: Port
metadata: {name: blue-vm4, vmNetwork: blue}
spec:
  host: host-a
  virtualSubnetId: 6001
  macAddress: 02:00:00:00:00:09
  customerAddresses: [10.0.0.9]
  attach: {tap: tap4}
";

/// What the next start of an agent is to be.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    /// `--tc-hook`.
    pub(crate) hook: &'static str,
    /// `--lookup-capacity`.
    pub(crate) capacity: u32,
}

/// Everything that events change.
pub(crate) struct World {
    /// The hosts.
    pub(crate) site: Site,
    /// Where the store of `host-a` is.
    pub(crate) disk: Disk,
    /// The tenant that comes and goes, while it is there.
    pub(crate) guest: Option<Netns>,
    /// Chance.
    pub(crate) random: Random,
    /// By host.
    pub(crate) builds: [Build; 2],
    /// An `nved` with other program code.
    pub(crate) other: PathBuf,
    streams: BTreeMap<&'static str, Stream>,
    /// Bears `other`.
    _dir: TempDir,
}

impl World {
    /// Both hosts, all tenants, all streams.
    pub(crate) fn up(random: Random) -> Result<Self> {
        let disk = Disk::in_memory(16)?;
        let site = Site::up_as("soak", "tc", |host, spec| {
            if host == 0 {
                disk.bears_store_of(spec);
            }
        })?;
        site.like_wires()?;
        let dir = TempDir::new("soak")?;
        let build = Build {
            hook: "tcx",
            capacity: 65_536,
        };
        let mut world = Self {
            guest: None,
            random,
            builds: [build.clone(), build],
            other: other_build(dir.path())?,
            streams: BTreeMap::new(),
            _dir: dir,
            disk,
            site,
        };
        world.guest_comes()?;
        for host in [0, 1] {
            world.site.apply(host, &world.policy())?;
        }
        world.site.ready()?;
        world.streams = world.start_streams()?;
        world.recovered()?;
        Ok(world)
    }

    /// The store of `host-a`.
    pub(crate) fn store(&self) -> PathBuf {
        self.disk.path().join("policy.redb")
    }

    fn start_streams(&self) -> Result<BTreeMap<&'static str, Stream>> {
        let site = &self.site;
        let blue = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), "10.0.0.7", PACE)?;
        let red = Stream::start(site.vm("red-vm2"), site.vm("red-vm1"), "10.0.0.5", PACE)?;
        let host = Stream::start(site.host(0), site.host(1), "192.0.2.2", PACE)?;
        Ok(STREAMS.into_iter().zip([blue, red, host]).collect())
    }

    /// The demo's policy and the guest.
    pub(crate) fn policy(&self) -> String {
        self.site.demo() + &self.site.own(MORE)
    }

    /// Makes the guest's namespace.
    pub(crate) fn guest_comes(&mut self) -> Result<()> {
        self.guest = Some(Netns::new(&self.site.named(GUEST))?.without_ipv6()?);
        Ok(())
    }

    /// Starts the agent of a host again as its build tells.
    pub(crate) fn resume(&mut self, host: usize) -> Result<()> {
        self.take_flags(host);
        self.site.resume(host)
    }

    /// Starts it, and kills it after a while.
    pub(crate) fn start_and_kill(&mut self, host: usize, after: Duration) -> Result<()> {
        self.take_flags(host);
        let netns = &self.site.topology.hosts[host].netns;
        self.site.nves[host].start_and_kill(netns, after)
    }

    fn take_flags(&mut self, host: usize) {
        let Build { hook, capacity } = self.builds[host];
        let spec = self.site.nves[host].spec_mut();
        spec.flags = vec![
            format!("--tc-hook={hook}"),
            format!("--lookup-capacity={capacity}"),
        ];
    }

    /// Numbers of the streams' next datagrams.
    pub(crate) fn numbers(&self) -> BTreeMap<&'static str, u64> {
        let streams = self.streams.iter();
        streams
            .map(|(name, stream)| (*name, stream.sent()))
            .collect()
    }

    /// Waits until both agents are ready and every stream flows.
    pub(crate) fn recovered(&self) -> Result<()> {
        self.site.ready()?;
        for stream in self.streams.values() {
            stream.flows(300)?;
        }
        Ok(())
    }

    /// Stops the streams; every packet must be accounted for.
    pub(crate) fn settle(&mut self) -> Result<BTreeMap<&'static str, Tally>> {
        let mut tallies = BTreeMap::new();
        for (name, stream) in std::mem::take(&mut self.streams) {
            tallies.insert(name, stream.finish()?);
        }
        ensure!(tallies.len() == STREAMS.len(), "a stream is missing");
        self.site.conserved()?;
        Ok(tallies)
    }

    /// Logs, statuses and drops.
    pub(crate) fn evidence(&self) -> String {
        evidence(&self.site)
    }
}
