//! What may wait, and what may ask.

use crate::{PORTS, address, knows, site_as};
use anyhow::{Result, ensure};
use dataplane_tests::net::{Burst, SOON, Site, inside, ping, proof};
use std::net::UdpSocket;
use xtask::lab::wait_until;

const A_LOT: [&str; 4] = ["--punt-rate", "1000000", "--punt-burst", "65536"];

/// Bursts to new destinations where one packet may wait: the others arrive or are counted.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_packet_too_many_is_counted() {
    const BURST: u64 = 64;
    let flags = [&["--hold-per-destination", "1"], &A_LOT[..]].concat();
    proof(site_as("odhold", "tc", &flags), |site| {
        let (mut sent, mut arrived) = (0, 0);
        for last in 100..150 {
            let to = address(last);
            knows(site, &to)?;
            let mut burst = Burst::between(site.vm("blue-vm1"), site.vm("blue-vm2"), &to)?;
            burst.send(BURST)?;
            sent += BURST;
            arrived += burst.arrived()?.len() as u64;
            if held(site)? > 0 && last > 103 {
                break;
            }
        }
        let full = held(site)?;
        ensure!(full > 0, "nothing was too much: {:?}", site.drops(0)?);
        ensure!(
            arrived + full == sent,
            "{sent} sent, {arrived} arrived, {full} dropped"
        );
        for host in [0, 1] {
            site.given_back(host)?;
        }
        site.conserved()
    });
}

fn held(site: &Site) -> Result<u64> {
    Ok(site.dropped(0, PORTS[0], "HOLD_FULL")? + site.dropped(1, "uplink", "HOLD_FULL")?)
}

/// A flood of questions ends in the program; a neighbour on the same host asks as ever.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_port_asks_no_more_than_its_share() {
    const FLOOD: u64 = 5000;
    const BURST: u64 = 20;
    let flags = ["--punt-rate", "1", "--punt-burst", "20"];
    proof(site_as("odrate", "tc", &flags), |site| {
        let from = inside(site.vm("blue-vm1"), || Ok(UdpSocket::bind("0.0.0.0:0")?))?;
        let to = |number: u64| {
            let last = u8::try_from(150 + number % 100).unwrap_or(150);
            address(last)
        };
        for number in 0..100 {
            knows(site, &to(number))?;
        }
        for number in 0..FLOOD {
            from.send_to(b"?", (&*to(number), 9))?;
        }
        counted(site, FLOOD)?;
        let punted = site.counter(0, PORTS[0], "egress_punted")?;
        let limited = site.dropped(0, PORTS[0], "PUNT_RATE")?;
        ensure!(limited > 0, "no limit: {:?}", site.drops(0)?);
        // As long as the flood took, a packet a second more.
        ensure!((BURST..FLOOD / 10).contains(&punted), "{punted} punts");
        ping(site.vm("blue-vm2"), crate::A, 56)?;
        ping(site.vm("red-vm1"), crate::B, 56)?;
        for host in [0, 1] {
            site.given_back(host)?;
        }
        site.conserved()
    });
}

/// Each packet of the flood is under some reason.
fn counted(site: &Site, sent: u64) -> Result<()> {
    wait_until("all drops", SOON, || {
        let of_port =
            |(name, packets): (&String, &u64)| name.starts_with(PORTS[0]).then_some(*packets);
        let drops = site.drops(0)?;
        let sum: u64 = drops.iter().filter_map(of_port).sum();
        ensure!(sum == sent, "{sum} of {sent}: {drops:?}");
        Ok(Some(()))
    })
}
