//! What changes in the store while the kernel has it in use.

use crate::{A, B, BLUE, RED, ca, policy, site, site_as, until_in_use};
use anyhow::{Context, Result, ensure};
use dataplane_common::abi::lookup::LookupRecord;
use dataplane_tests::net::{SOON, Site, ping, proof, stream::Stream};
use xtask::lab::wait_until;

/// A VM that some other fabric runs.
const ELSEWHERE: &str = "10.0.0.60";

fn record(pa: &str) -> String {
    format!(
        "apiVersion: nve/v1
kind: LookupRecord
metadata: {{vmNetwork: blue}}
spec:
  virtualSubnetId: {BLUE}
  customerAddress: {ELSEWHERE}
  macAddress: 02:00:00:00:00:60
  providerAddress: {pa}
"
    )
}

fn kernels(site: &Site, address: &str) -> Result<Option<LookupRecord>> {
    Ok(site.lookups(0, BLUE)?.remove(&ca(address)))
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_changed_record_is_changed_wherever_it_is_in_use() {
    proof(site("odchange", "tc"), |site| {
        site.apply(0, &record("192.0.2.2"))?;
        ensure!(kernels(site, ELSEWHERE)?.is_none(), "nobody uses it yet");
        // Nobody there answers; the question alone fetches the record.
        let ask = [
            "sh",
            "-c",
            &format!("ping -n -c 1 -W 0.2 {ELSEWHERE} || true"),
        ];
        site.vm("blue-vm1").exec(&ask)?;
        until_in_use(site, 0, &[ELSEWHERE])?;
        let first = kernels(site, ELSEWHERE)?.context("it is in use")?;
        site.apply(0, &record("192.0.2.3"))?;
        let second = kernels(site, ELSEWHERE)?.context("it was in use")?;
        ensure!(
            first.pa_index != second.pa_index,
            "{second:?} after {first:?}"
        );
        let name = format!("{BLUE}/{ELSEWHERE}");
        site.nvectl(0, &["delete", "lookuprecord", &name])?
            .success()?;
        ensure!(kernels(site, ELSEWHERE)?.is_none(), "it is deleted");
        Ok(())
    });
}

/// `blue-vm2` moves from `host-b` to `host-a`.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_vm_that_moves_is_followed() {
    proof(site("odmove", "tc"), |site| {
        let vm1 = site.vm("blue-vm1");
        ping(vm1, B, 56)?;
        until_in_use(site, 0, &[B])?;
        let whole = policy(site);
        let at = whole.find("name: blue-vm2").context("no blue-vm2")?;
        let (before, after) = whole.split_at(at);
        let moved = before.to_owned() + &after.replacen("host: host-b", "host: host-a", 1);
        site.apply(1, &moved)?;
        wait_until("the VM to lose its interface", SOON, || {
            let shown = site.vm("blue-vm2").exec(&["ip", "link"])?.stdout;
            Ok((!shown.contains("eth0")).then_some(()))
        })?;
        site.apply(0, &moved)?;
        let record = kernels(site, B)?.context("a record of a VM on this host")?;
        ensure!(record.has(LookupRecord::LOCAL), "{record:?}");
        site.ready()?;
        ping(vm1, B, 56)?;
        ping(site.vm("blue-vm2"), A, 56)?;
        site.conserved()
    });
}

/// Both tenants talk while blue's mode changes there and back on both hosts.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_mode_changes_under_traffic() {
    // What was there stays until nobody used it for so long.
    let idle = ["--idle-seconds", "2"];
    proof(site_as("odmode", "tc", &idle), |site| {
        let partial = policy(site);
        let full = partial.replace("  tableMode: onDemand\n", "");
        let stream = |from: &str, to: &str| Stream::start(site.vm(from), site.vm(to), B, 5000);
        let streams = [
            stream("blue-vm1", "blue-vm2")?,
            stream("red-vm1", "red-vm2")?,
        ];
        for policy in [&full, &partial, &full, &partial] {
            for host in [0, 1] {
                site.apply(host, policy)?;
                streams.iter().try_for_each(|stream| stream.flows(200))?;
            }
            let expected = if policy == &full { 51 } else { 1 };
            wait_until("the records of other hosts", SOON, || {
                let known = site.in_use(0, BLUE)?.len();
                Ok((known == expected).then_some(()))
            })?;
        }
        for stream in streams {
            stream.lossless()?;
        }
        ensure!(
            site.in_use(0, RED)? == [ca(B)],
            "{:?}",
            site.in_use(0, RED)?
        );
        crate::nothing_dropped(site)?;
        site.conserved()
    });
}
