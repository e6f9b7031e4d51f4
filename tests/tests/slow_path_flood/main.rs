//! A tenant that scans 2^16 addresses at full speed costs its neighbour on the same host nothing.

mod attack;
mod victim;

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use attack::Attack;
use dataplane_tests::net::{Process, Site, proof};
use victim::{Victim, entries, policy};

/// Memory that a flood may take: the room for what waits, and the negative answers of a tenant.
const MEMORY: u64 = 32 << 20;
/// One flood at a time: two take both CPUs of a small machine from whoever is to endure them.
static FLOODS: Mutex<()> = Mutex::new(());
/// Negative answers of a tenant in the kernel's table at a time, as the settings have it.
const NEGATIVES: usize = 4096;

fn site(name: &str, mode: &str, tables: &str) -> Result<Site> {
    let mut site = Site::bare(name, &["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"])?;
    // Whoever looks at the far end sees nothing of what XDP takes there.
    for (host, mode) in [(0, mode), (1, "tc")] {
        site.start(host, mode)?;
        site.apply(host, &policy(&site, tables))?;
    }
    if mode == "xdp" {
        site.like_wires()?;
    }
    site.ready()?;
    Ok(site)
}

fn process(site: &Site) -> Result<Process> {
    Process::of(site.nves[0].pid().context("nved is not running")?)
}

/// What a flood must not do, whoever makes it.
fn endures(site: &Site, attack: impl FnOnce(&Site) -> Result<Attack>) -> Result<()> {
    let _alone = FLOODS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut victim = Victim::new(site)?;
    victim.talks("alone")?;
    let (before, records) = (process(site)?, entries(site)?);
    let attack = attack(site)?;
    attack.scanned()?;
    victim.talks("during the flood")?;
    let (during, entries) = (process(site)?, entries(site)?);
    let frames = attack.stop()?;
    println!("{frames} frames of the flood; entries of LOOKUP: {records}, then {entries}");
    println!("nved before: {before}\nnved during: {during}");
    let stream = victim.stops()?;
    println!("the victim's stream: {stream}");
    let more = during.memory.saturating_sub(before.memory);
    ensure!(more <= MEMORY, "{more} bytes of memory for a flood");
    let most = records + NEGATIVES + victim::DESTINATIONS as usize;
    ensure!(entries <= most, "{entries} entries of LOOKUP, not {most}");
    let drops = site.drops(0)?;
    for (drop, packets) in &drops {
        println!("{packets:>9} {drop}");
    }
    let own = drops.keys().find(|drop| drop.starts_with("blue/"));
    ensure!(own.is_none(), "the victim lost packets: {drops:?}");
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_scan_of_a_tenant_on_demand_ends_at_its_bucket() {
    proof(site("scod", "tc", "onDemand"), |site| {
        endures(site, Attack::of_a_tenant)?;
        let refused = site.dropped(0, "red/red-vm1", "PUNT_RATE")?;
        ensure!(refused > attack::ADDRESSES.into(), "{refused} refused");
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_scan_of_a_tenant_with_whole_tables_ends_in_the_kernel() {
    proof(site("scfu", "tc", "full"), |site| {
        endures(site, Attack::of_a_tenant)?;
        let nobody = site.dropped(0, "red/red-vm1", "NO_LOOKUP_RECORD")?;
        ensure!(nobody >= attack::ADDRESSES.into(), "{nobody} dropped");
        Ok(())
    });
}

fn sources_end_at_the_bucket(mode: &str) {
    proof(site(&format!("srcs{mode}"), mode, "onDemand"), |site| {
        endures(site, Attack::of_a_peer)?;
        let refused = site.dropped(0, "uplink", "PUNT_RATE")?;
        ensure!(refused > attack::ADDRESSES.into(), "{refused} refused");
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn unknown_sources_of_a_peer_end_at_the_subnets_bucket_with_tc() {
    sources_end_at_the_bucket("tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn unknown_sources_of_a_peer_end_at_the_subnets_bucket_with_xdp() {
    sources_end_at_the_bucket("xdp");
}
