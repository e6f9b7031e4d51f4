//! Two hosts, of which one has a tenant that user space is asked about without end.

use super::{
    account::{self, Account},
    chatter::Chatter,
    events::restart,
    random::Random,
};
use anyhow::{Context, Result, ensure};
use dataplane_bench::figures::first_packet::Course;
use dataplane_common::id::Mac;
use dataplane_tests::net::{Process, SOON, Site, cable, evidence, ping, remote_record};
use std::ops::Range;
use xtask::lab::wait_until;

/// CA of the first of the destinations that have records.
pub(crate) const FIRST: u32 = 0x0A02_0000;
/// Those that the tenant talks to.
pub(crate) const CHATTER: Range<u32> = 512..1024;
/// Those that a probe takes its new destinations from. When it comes round, they are long idle.
const PROBES: Range<u32> = 0..512;
/// New destinations of one probe.
const PROBE: u32 = 4;
/// Memory that an agent may take beyond what it had when all had been used once.
const MEMORY: u64 = 48 << 20;

/// Packets of a span.
const SPAN: u64 = 500;
/// Packets that may be in sockets while these are closed, of a few hundred a second.
const IN_SOCKETS: u64 = 20;

/// Everything that events change.
pub(crate) struct World {
    /// The hosts; the uplink of `host-a` is at XDP.
    pub(crate) site: Site,
    /// Chance.
    pub(crate) random: Random,
    /// Which of two sets of records is in force.
    pub(crate) variant: bool,
    chatter: Option<Chatter>,
    /// The next new destination.
    next: u32,
    /// Each agent, when everything was used once.
    before: Vec<Process>,
}

impl World {
    /// Both hosts, and the tenant talks.
    pub(crate) fn up(random: Random) -> Result<Self> {
        let mut site = Site::bare("spsoak", &["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"])?;
        let vm = site.vm("blue-vm1");
        cable(site.host(0), "tap5", vm, "eth0")?;
        vm.exec(&["ip", "address", "add", "10.0.0.5/24", "dev", "eth0"])?;
        vm.exec(&["ethtool", "-K", "eth0", "gro", "on"])?;
        site.like_wires()?;
        for (host, mode) in [(0, "xdp"), (1, "tc")] {
            site.start(host, mode)?;
        }
        let mut world = Self {
            site,
            random,
            variant: false,
            chatter: None,
            next: PROBES.start,
            before: Vec::new(),
        };
        for host in [0, 1] {
            world.path(host)?;
            world.site.apply(host, &world.policy())?;
        }
        world.chatter = Some(Chatter::start(&world.site)?);
        world.recovered()?;
        let agents = [0, 1].map(|host| world.process(host));
        world.before = agents.into_iter().collect::<Result<_>>()?;
        Ok(world)
    }

    /// Blue on demand, and its records.
    pub(crate) fn policy(&self) -> String {
        let demo = self.site.demo_at("{interface: tap5}");
        let mut policy = demo.replace("10.0.0.0/24", "10.0.0.0/8").replacen(
            "  virtualSubnets:",
            "  tableMode: onDemand\n  virtualSubnets:",
            1,
        );
        let mark = u8::from(self.variant);
        let records = FIRST + PROBES.start..FIRST + CHATTER.end;
        policy.extend(records.map(|ca| remote_record(ca, mark)));
        policy
    }

    /// The path from `host-a` carries less than its ports take. A link that was down has no such
    /// route any more.
    pub(crate) fn path(&self, host: usize) -> Result<()> {
        if host == 0 {
            let route = "ip route replace 192.0.2.2/32 dev eth0 mtu 1450";
            let route: Vec<&str> = route.split(' ').collect();
            self.site.host(host).exec(&route)?;
        }
        Ok(())
    }

    /// Waits until all works again: packets to new destinations and to known ones, and as many
    /// threads and descriptors as ever.
    pub(crate) fn recovered(&mut self) -> Result<()> {
        self.site.ready()?;
        wait_until("first packets that arrive", SOON, || self.probe().map(Some))?;
        ping(self.site.vm("blue-vm1"), "10.0.0.7", 56)?;
        for (host, before) in self.before.iter().enumerate() {
            wait_until("as many descriptors as before", SOON, || {
                let now = self.process(host)?;
                let (had, has) = (before.descriptors, now.descriptors);
                ensure!(has <= had, "host {host}: {has} descriptors, {had} before");
                Ok(Some(()))
            })?;
        }
        account::whole(&self.site)
    }

    fn probe(&mut self) -> Result<()> {
        let course = Course {
            sender: (Mac([2, 0, 0, 0, 0, 5]), 0x0A00_0005),
            first: FIRST + self.next,
            destinations: PROBE,
            per_second: 50,
        };
        self.next = (self.next + PROBE) % PROBES.end;
        let legs = course.run(self.site.vm("blue-vm1"), self.site.host(1))?;
        for leg in legs {
            let (lost, twice) = (leg.lost, leg.twice);
            ensure!(lost == 0, "{lost} of {PROBE} first packets did not come");
            ensure!(twice == 0, "{twice} packets came again");
        }
        Ok(())
    }

    fn process(&self, host: usize) -> Result<Process> {
        Process::of(self.site.nves[host].pid().context("nved is not running")?)
    }

    /// At the end: with nothing happening every packet is found again; and agents have not grown.
    pub(crate) fn settles(&mut self) -> Result<()> {
        let sent = self.silence()?;
        ensure!(sent > 0, "nothing was sent");
        println!("{sent} packets sent");
        let missing = self.span(|_| Ok(()))?;
        ensure!(
            missing == 0,
            "{missing} packets are nowhere without any event"
        );
        let missing = self.span(|world| (0..20).try_for_each(|_| restart(world, 0)))?;
        println!("packets that were in a socket when it closed: {missing}");
        ensure!(missing <= IN_SOCKETS, "{missing} packets are nowhere");
        for (host, before) in self.before.iter().enumerate() {
            let now = self.process(host)?;
            println!("host {host} before: {before}\nhost {host} now:    {now}");
            let more = now.memory.saturating_sub(before.memory);
            ensure!(more <= MEMORY, "host {host}: {more} bytes of memory more");
            println!("{:?}", self.site.drops(host)?);
        }
        Ok(())
    }

    fn silence(&mut self) -> Result<u64> {
        self.chatter.take().context("nobody talks")?.stop()
    }

    /// The tenant of `host-a` talks for a while; how many packets left the programs for user space
    /// and were not seen there.
    fn span(&mut self, run: impl FnOnce(&mut Self) -> Result<()>) -> Result<u64> {
        let before = Account::settled(&self.site)?;
        self.chatter = Some(Chatter::start(&self.site)?);
        wait_until("packets of the tenant", SOON, || {
            let talks = self.chatter.as_ref().is_some_and(|c| c.sent() >= SPAN);
            Ok(talks.then_some(()))
        })?;
        run(self)?;
        self.silence()?;
        let after = Account::settled(&self.site)?;
        account::whole(&self.site)?;
        after.since(&before)
    }

    /// Logs, statuses and drops.
    pub(crate) fn evidence(&self) -> String {
        evidence(&self.site)
    }
}
