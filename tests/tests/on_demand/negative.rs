//! A CA that nobody has.

use crate::{BLUE, PORTS, address, ca, knows, policy, site};
use anyhow::{Result, ensure};
use dataplane_common::abi::lookup::LookupRecord;
use dataplane_tests::net::{Burst, SOON, Site, inside, proof};
use std::net::UdpSocket;
use xtask::lab::wait_until;

const NOBODY: u8 = 200;
const REASON: &str = "NO_LOOKUP_RECORD";

/// What the kernel has of the CA: `Some(true)` is a negative answer.
fn negative(site: &Site) -> Result<Option<bool>> {
    let found = site.lookups(0, BLUE)?;
    let record = found.get(&ca(&address(NOBODY)));
    Ok(record.map(|record| record.has(LookupRecord::NEGATIVE)))
}

/// Sends so many datagrams to the CA, and waits until each is counted, the one that had to wait too.
fn refused(site: &Site, count: u64) -> Result<()> {
    let to = address(NOBODY);
    let sender = inside(site.vm("blue-vm1"), || Ok(UdpSocket::bind("0.0.0.0:0")?))?;
    let before = site.dropped(0, PORTS[0], REASON)?;
    for _ in 0..count {
        sender.send_to(b"anybody?", (&*to, 9))?;
    }
    site.drops_reach(0, PORTS[0], REASON, before + count)?;
    let now = site.dropped(0, PORTS[0], REASON)?;
    ensure!(
        now == before + count,
        "{now} counted, {count} sent after {before}"
    );
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn nobody_is_an_answer_for_a_while() {
    proof(site("odnone", "tc"), |site| {
        knows(site, &address(NOBODY))?;
        refused(site, 1)?;
        ensure!(
            negative(site)? == Some(true),
            "no negative answer in the table"
        );
        let punted = site.counter(0, PORTS[0], "egress_punted")?;
        ensure!(punted == 1, "{punted} punts");
        wait_until("the end of the negative answer", SOON, || {
            Ok(negative(site)?.is_none().then_some(()))
        })?;
        refused(site, 3)?;
        ensure!(site.drops(0)?.len() == 1, "{:?}", site.drops(0)?);
        site.given_back(0)?;
        site.conserved()
    });
}

/// The negative answer would stand for five seconds; a port that comes ends it.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_port_that_comes_is_reached_at_once() {
    let long = ["--negative-seconds", "5"];
    proof(crate::site_as("odcomes", "tc", &long), |site| {
        knows(site, &address(NOBODY))?;
        let known = policy(site).replacen("10.0.0.149]", "10.0.0.149, 10.0.0.200]", 1);
        site.apply(1, &known)?;
        site.ready()?;
        let vm2 = site.vm("blue-vm2");
        wait_until("the address of the VM", SOON, || {
            let shown = vm2.exec(&["ip", "address"])?.stdout;
            Ok(shown.contains("10.0.0.200/").then_some(()))
        })?;
        refused(site, 1)?;
        ensure!(
            negative(site)? == Some(true),
            "no negative answer in the table"
        );
        site.apply(0, &known)?;
        ensure!(
            negative(site)? == Some(false),
            "the negative answer still stands"
        );
        let mut burst = Burst::between(site.vm("blue-vm1"), vm2, &address(NOBODY))?;
        burst.send(8)?;
        burst.whole(2)
    });
}
