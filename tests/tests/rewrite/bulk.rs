//! TCP in bulk with all offloads on, beside hosts that talk over the same veths with nothing of ours.

use crate::{FAR, plan};
use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{
    Site,
    fabric::{Family, Middle},
    plan::{A, B},
    proof,
};
use xtask::lab::{
    Netns,
    iperf::{serve, throughput},
};

const PORT: u16 = 5201;
/// Rounds of the two in turn, each the other way round than the one before (ABBA).
const ROUNDS: usize = 4;
/// What a segment carries at most without offloads: less than a super-packet by far.
const SEGMENT: f64 = 1460.0;

/// Checksum errors that a kernel counted in what it received.
fn errors(netns: &Netns) -> Result<u64> {
    let counted = netns.exec(&["nstat", "-asz"])?.stdout;
    let mut errors = Vec::new();
    for line in counted.lines().filter(|line| line.contains("InCsumErrors")) {
        let count = line.split_whitespace().nth(1).context("no count")?;
        errors.push(count.parse::<u64>()?);
    }
    ensure!(errors.len() >= 3, "{counted}");
    Ok(errors.iter().sum())
}

/// Bits per second of the VMs, and of their hosts.
fn rates(site: &Site, family: Family) -> Result<[Vec<f64>; 2]> {
    let (near, far) = (site.vm("near"), site.vm("far"));
    let _servers = [serve(far, PORT)?, serve(site.host(B), PORT)?];
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for way in order {
            let (from, to) = if way == 0 {
                (near, family.of(FAR))
            } else {
                (site.host(A), family.pa(B))
            };
            rates[way].push(throughput(from, to, PORT, 1)?);
        }
    }
    Ok(rates)
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2 - 1].midpoint(rates[rates.len() / 2])
}

/// Whole super-packets are rewritten and nothing is wrong with them. The speed is told, not judged.
fn carries_super_packets(site: &Site, family: Family) -> Result<()> {
    let sent = |vm: &str| site.counter(A, vm, "egress_rewritten");
    let (before, faults) = (sent("blue/near")?, errors(site.vm("far"))?);
    let [mut ours, mut bare] = rates(site, family)?;
    let packets = sent("blue/near")? - before;
    let bytes = ours.iter().sum::<f64>() / 8.0;
    let whole = u32::try_from(packets).map(f64::from)?;
    ensure!(bytes > 1e6, "only {bytes} bytes arrived");
    ensure!(
        whole * 4.0 < bytes / SEGMENT,
        "{packets} packets for {bytes} bytes: no super-packets"
    );
    for vm in ["near", "far"] {
        let now = errors(site.vm(vm))?;
        ensure!(now <= faults, "{now} checksum errors at {vm}");
    }
    let (ours, bare) = (median(&mut ours), median(&mut bare));
    let per_packet = bytes / whole;
    println!(
        "{family:?}: {:.2} Gbit/s rewritten, {:.2} bare, ratio {:.2}; {per_packet:.0} bytes a packet",
        ours / 1e9,
        bare / 1e9,
        ours / bare
    );
    site.conserved()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn super_packets_are_rewritten_whole() {
    for (name, family) in [("rwbulk4", Family::V4), ("rwbulk6", Family::V6)] {
        let plan = plan(family, "tc").through(Middle::Bridge);
        proof(Site::of(name, &plan), |site| {
            carries_super_packets(site, family)
        });
    }
}
