//! Fifty VMs that all look for each other.

use crate::{BLUE, site};
use anyhow::{Result, ensure};
use dataplane_tests::net::{
    documents::subnet,
    outer::{arp_broadcasts, nvgre},
    plan::{A, B, C, Plan},
    proof,
};
use std::time::Duration;

const VMS: usize = 50;
/// Each VM looks for so many others. All namespaces of a machine share its neighbour table, whose
/// 1024 entries (`gc_thresh3`) have to do for both ends of every pair.
const PEERS: usize = 8;
/// How long the pings of one VM may take with all the others at it.
const STORM: Duration = Duration::from_mins(3);

fn address(number: usize) -> String {
    format!("10.0.0.{}", number + 10)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn fifty_vms_ping_each_other_without_one_arp_broadcast_on_the_underlay() {
    let mut plan = Plan::new().network("blue", 0xB1, "", &[subnet(BLUE, &["10.0.0.0/24"], "")]);
    for number in 0..VMS {
        let (name, ca) = (format!("vm{number}"), address(number));
        plan = plan.vm((&name, "blue"), number % 3, BLUE, &[&ca]);
    }
    proof(site("bcstorm", &plan), |site| {
        let hosts = [A, B, C];
        // The hosts themselves find the router by ARP; that is over before the storm.
        let wires: Vec<_> = hosts
            .iter()
            .map(|host| site.wire(*host))
            .collect::<Result<_>>()?;
        let script =
            "for ca in $0; do ping -n -q -c 3 -i 0.01 -W 5 $ca > /dev/null || echo $ca; done";
        let start = |vm: usize| {
            let peers = (1..=PEERS).map(|step| address((vm + step) % VMS));
            let peers: Vec<String> = peers.collect();
            let vm = site.vm(&format!("vm{vm}"));
            vm.spawn(&["sh", "-c", script, &peers.join(" ")])
        };
        let storms: Vec<_> = (0..VMS).map(start).collect::<Result<_>>()?;
        for storm in storms {
            let said = storm.wait(STORM)?.success()?.stdout;
            ensure!(said.is_empty(), "no answer from {said}");
        }
        let mut carried = 0;
        for wire in &wires {
            let frames = wire.drain()?;
            carried += nvgre(&frames).len();
            let asked = arp_broadcasts(&frames);
            ensure!(
                asked.is_empty(),
                "{} ARP broadcasts: {asked:x?}",
                asked.len()
            );
        }
        ensure!(carried > VMS * PEERS, "only {carried} packets were carried");
        site.conserved()
    });
}
