//! A tenant that talks to the other host all the time, and now and then to somebody new.

use anyhow::{Context, Result, ensure};
use dataplane_bench::figures::first_packet::{Course, Leg};
use dataplane_common::id::Mac;
use dataplane_tests::net::{
    Site, remote_record,
    stream::{Stream, Tally},
};
use dataplane_user::dataplane::{load::MAPS_FOLDER, lookups::look::Look};

/// New destinations of the victim in each phase.
pub(crate) const DESTINATIONS: u32 = 400;
/// CA of the first.
const FIRST: u32 = 0x0A02_0000;
/// Phases at most.
const PHASES: u32 = 2;
/// New destinations a second.
const PACE: u32 = 200;
/// Datagrams a second to a destination that it knows.
const STEADY: u32 = 2_000;

/// The demo's tenants with room for a scan and destinations for the victim. Blue is on demand; red,
/// who attacks, as told.
pub(crate) fn policy(site: &Site, tables: &str) -> String {
    let mut policy = site.demo().replace("10.0.0.0/24", "10.0.0.0/8");
    for mode in ["onDemand", tables] {
        // Each network gets its mode in its turn.
        policy = policy.replacen(
            "  isolation: NetworkVirtualization\n",
            &format!("  tableMode: {mode}\n"),
            1,
        );
    }
    let records = FIRST..FIRST + PHASES * DESTINATIONS;
    policy.extend(records.map(|ca| remote_record(ca, 0)));
    policy
}

/// The tenant blue.
pub(crate) struct Victim<'s> {
    site: &'s Site,
    stream: Stream,
    next: u32,
}

impl<'s> Victim<'s> {
    /// It begins to talk.
    pub(crate) fn new(site: &'s Site) -> Result<Self> {
        let (from, to) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        let stream = Stream::start(from, to, "10.0.0.7", STEADY)?;
        stream.flows(100)?;
        Ok(Self {
            site,
            stream,
            next: FIRST,
        })
    }

    /// Packets to so many new destinations, of which none may be lost.
    pub(crate) fn talks(&mut self, when: &str) -> Result<()> {
        let course = Course {
            sender: (Mac([2, 0, 0, 0, 0, 5]), 0x0A00_0005),
            first: self.next,
            destinations: DESTINATIONS,
            per_second: PACE,
        };
        self.next += DESTINATIONS;
        let punted = self.punted()?;
        let legs = course.run(self.site.vm("blue-vm1"), self.site.host(1))?;
        let punted = self.punted()? - punted;
        for (what, leg) in ["without a record", "with its record"].iter().zip(&legs) {
            println!("{when}, {what}: {}", told(leg));
        }
        let [absent, present] = legs.map(|leg| (leg.lost, leg.twice));
        ensure!(absent == (0, 0), "{when}: first packets: {absent:?}");
        ensure!(present == (0, 0), "{when}: packets: {present:?}");
        ensure!(punted == u64::from(DESTINATIONS), "{when}: {punted} punted");
        Ok(())
    }

    fn punted(&self) -> Result<u64> {
        self.site.counter(0, "blue/blue-vm1", "egress_punted")
    }

    /// It ends; nothing may be lost of what it said all the time.
    pub(crate) fn stops(self) -> Result<Tally> {
        self.stream.lossless()
    }
}

fn told(leg: &Leg) -> String {
    let micros = |quantile| leg.times.value_at_quantile(quantile) / 1_000;
    format!("p50 {} us, p99 {} us", micros(0.5), micros(0.99))
}

/// All entries of the kernel's table of the host that is flooded.
pub(crate) fn entries(site: &Site) -> Result<usize> {
    let pins = site.nves[0].spec().pin.join(MAPS_FOLDER);
    let tables = Look::pinned(&pins).context("the table of lookup records")?;
    Ok(tables.records()?.len())
}
