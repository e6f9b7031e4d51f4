//! `tableMode: onDemand`: the kernel's table has what is in use, and the first packet is not lost.

use anyhow::{Context, Result};
use dataplane_tests::net::{SOON, Site, ping, proof, tcp, udp};
use xtask::lab::wait_until;

const A: &str = "10.0.0.5";
const B: &str = "10.0.0.7";

/// The demo's two tenants, of which blue has `onDemand` tables.
fn site(name: &str, mode: &str) -> Result<Site> {
    let mut site = Site::bare(name, &["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"])?;
    for host in [0, 1] {
        site.start(host, mode)?;
        site.apply(host, &policy(&site))?;
    }
    site.ready()?;
    Ok(site)
}

fn policy(site: &Site) -> String {
    site.demo().replacen(
        "  virtualSubnets:",
        "  tableMode: onDemand\n  virtualSubnets:",
        1,
    )
}

fn records(site: &Site, host: usize) -> Result<u64> {
    let status = site.ask(host, &["status"])?;
    let records = status["tables"]["lookupRecords"].as_u64();
    records.context("lookupRecords")
}

fn until_records(site: &Site, host: usize, wanted: u64) -> Result<()> {
    wait_until("the records in use", SOON, || {
        Ok((records(site, host)? == wanted).then_some(()))
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_first_packet_fetches_its_record_and_arrives() {
    proof(site("odtc", "tc"), |site| {
        let before = records(site, 0)?;
        ping(site.vm("blue-vm1"), B, 56)?;
        until_records(site, 0, before + 1)?;
        ping(site.vm("blue-vm2"), A, 56)?;
        tcp(site.vm("blue-vm1"), site.vm("blue-vm2"), B, 3_000_000)?;
        udp(site.vm("blue-vm1"), site.vm("blue-vm2"), B, 1472)?;
        Ok(())
    });
}
