//! What nobody uses leaves the table.

use crate::{A, B, address, ca, knows, site_as, until_in_use};
use anyhow::ensure;
use dataplane_tests::net::{Burst, ping, proof, stream::Stream};

/// A stamp says 1.07 s: an idle time below that would take what is in use for idle.
const IDLE: [&str; 2] = ["--idle-seconds", "3"];

#[test]
#[ignore = "needs root: cargo xtask test"]
fn idle_records_leave_and_used_ones_stay() {
    proof(site_as("odage", "tc", &IDLE), |site| {
        let (vm1, vm2) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        let once = address(100);
        for to in [B, &once] {
            knows(site, to)?;
        }
        ping(site.vm("blue-vm1"), B, 56)?;
        let stream = Stream::start(vm1, vm2, B, 1000)?;
        stream.flows(10)?;
        for _ in 0..2 {
            let mut burst = Burst::between(vm1, vm2, &once)?;
            burst.send(8)?;
            burst.whole(1)?;
            let both = site.in_use(0, crate::BLUE)?;
            ensure!(both == [ca(B), ca(&once)], "{both:?} are in use");
            until_in_use(site, 0, &[B])?;
            // A source counts as used, too.
            until_in_use(site, 1, &[A])?;
        }
        stream.lossless()?;
        until_in_use(site, 0, &[])?;
        until_in_use(site, 1, &[])?;
        site.conserved()
    });
}
