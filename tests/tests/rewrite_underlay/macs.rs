//! `useVmMACAddress`: on the underlay the PA has the VM's MAC, and the uplink takes frames for that.

use crate::{NEAR, OTHER, alone, answers::plain, says, told, uplink};
use anyhow::{Result, ensure};
use dataplane_tests::net::{SOON, Site, fabric::Family, families, plan::A, proof};
use xtask::lab::wait_until;

const VM_MAC: &str = "useVmMACAddress: true";

/// The MACs that `host-a`'s uplink takes frames for, and the groups.
fn filter(site: &Site) -> Result<[String; 2]> {
    Ok([
        says(site.host(A), "bridge fdb show dev eth0")?,
        says(site.host(A), "ip maddress show dev eth0")?,
    ])
}

fn takes(site: &Site, mac: &str, wanted: bool) -> Result<()> {
    let line = format!("{mac} self permanent");
    wait_until(&format!("frames for {mac}: {wanted}"), SOON, || {
        let [shown, _] = filter(site)?;
        let there = shown.lines().any(|shown| shown.trim() == line);
        ensure!(there == wanted, "{shown:?}");
        Ok(Some(()))
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_pa_of_a_port_is_at_the_mac_of_its_vm() {
    families(
        "rwmac",
        |family| alone(family, VM_MAC),
        |site, plan| {
            let asker = plain(site, plan.family)?;
            let [near, other] = [NEAR, OTHER].map(|vm| plan.family.of(vm[1]));
            let mac = plan.find("near").mac_text();
            takes(site, mac, true)?;
            for (pa, at) in [(near, mac), (other, &uplink(site, A)?)] {
                asker.ask(pa)?;
                ensure!(asker.answer(pa)? == at, "{pa}");
                asker.probe(pa)?;
                ensure!(asker.answer(pa)? == at, "{pa}");
            }
            // Another nved knows what this one did.
            site.nves[A].kill()?;
            takes(site, mac, true)?;
            site.resume(A)?;
            site.ready()?;
            takes(site, mac, true)?;
            // And makes anew what somebody else removed.
            says(site.host(A), &format!("bridge fdb del {mac} dev eth0 self"))?;
            takes(site, mac, true)?;
            site.nvectl(A, &["delete", "port", "near", "-n", "blue"])?
                .success()?;
            takes(site, mac, false)
        },
    );
}

/// What somebody else made is not ours to remove.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_entry_of_somebody_else_stays() {
    let plan = alone(Family::V4, VM_MAC);
    proof(Site::laid_out("rwmine", &plan), |site| {
        let mac = plan.find("near").mac_text();
        says(site.host(A), &format!("bridge fdb add {mac} dev eth0 self"))?;
        site.begin(&plan)?;
        site.ready()?;
        site.nvectl(A, &["delete", "port", "near", "-n", "blue"])?
            .success()?;
        // The same round would remove the entry.
        let gone = || Ok(told(site, A, NEAR[1][0]).is_err().then_some(()));
        wait_until("the port to go", SOON, gone)?;
        takes(site, mac, true)
    });
}

/// After `nvectl unload` the uplink is as it was.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn unload_leaves_no_group_and_no_mac() {
    for family in Family::ALL {
        let plan = alone(family, VM_MAC);
        proof(Site::laid_out("rwunload", &plan), |site| {
            let before = filter(site)?;
            site.begin(&plan)?;
            site.ready()?;
            takes(site, plan.find("near").mac_text(), true)?;
            if family == Family::V6 {
                let [_, groups] = filter(site)?;
                for group in ["ff02::1:ff00:10", "ff02::1:ff00:20"] {
                    ensure!(groups.contains(group), "{groups}");
                }
            }
            site.nvectl(A, &["unload"])?.success()?;
            wait_until("nved to end", SOON, || {
                Ok((site.nvectl(A, &["status"])?.code() == 3).then_some(()))
            })?;
            wait_until("the uplink to be as it was", SOON, || {
                let after = filter(site)?;
                ensure!(after == before, "{after:#?}, but {before:#?} before");
                Ok(Some(()))
            })
        });
    }
}

/// A device without such a filter is named.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_device_that_refuses_is_told_of() {
    let mut plan = alone(Family::V4, VM_MAC);
    plan.hosts = 0;
    proof(Site::laid_out("rwrefuse", &plan), |site| {
        for line in [
            "ip link add mv0 link eth0 type macvlan mode private",
            "ip address del 192.0.2.1/24 dev eth0",
            "ip address add 192.0.2.1/24 dev mv0",
            "ip link set mv0 up",
        ] {
            says(site.host(A), line)?;
        }
        site.start_as(A, "tc", |spec| spec.uplinks = vec!["mv0".to_owned()])?;
        site.apply_all(&site.documents(&plan))?;
        wait_until("a condition", SOON, || {
            let status = site.nvectl(A, &["status"])?.stdout;
            let words = "interface mv0 does not take frames for 02:00:00:00:01:01";
            ensure!(status.contains(words), "{status}");
            Ok(Some(()))
        })
    });
}
