//! `nved` goes and comes while tenants talk.

use crate::{A, B, PORTS, address, knows, site, until_in_use};
use anyhow::{Result, ensure};
use dataplane_tests::net::{Burst, Site, inside, ping, proof, stream::Stream};
use std::net::UdpSocket;

const PER_SECOND: u32 = 5000;
const MISSES: u64 = 5;

/// Packets to a CA that is not in the table, while nobody can be asked.
fn misses(site: &Site, to: &str) -> Result<()> {
    let from = inside(site.vm("blue-vm1"), || Ok(UdpSocket::bind("0.0.0.0:0")?))?;
    for _ in 0..MISSES {
        from.send_to(b"?", (to, 9))?;
    }
    Ok(())
}

fn ends(site: &mut Site, host: usize, by_signal: bool) -> Result<()> {
    if by_signal {
        site.nves[host].stop();
        Ok(())
    } else {
        site.nves[host].kill()
    }
}

fn goes_and_comes(name: &str, mode: &str) {
    proof(site(name, mode), |site| {
        ping(site.vm("blue-vm1"), B, 56)?;
        let stream = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), B, PER_SECOND)?;
        stream.flows(100)?;
        until_in_use(site, 0, &[B])?;
        for (round, by_signal) in [(0, false), (1, true)] {
            let to = address(120 + round);
            knows(site, &to)?;
            for host in [0, 1] {
                ends(site, host, by_signal)?;
                if host == 0 {
                    misses(site, &to)?;
                }
                stream.flows(100)?;
                site.resume(host)?;
                site.ready()?;
                stream.flows(100)?;
            }
            let failed = site.dropped(0, PORTS[0], "PUNT_FAILED")?;
            ensure!(failed == MISSES * u64::from(round + 1), "{failed} drops");
            // What is in use is known, and what is not can be asked about.
            until_in_use(site, 1, &[A])?;
            let mut burst = Burst::between(site.vm("blue-vm1"), site.vm("blue-vm2"), &to)?;
            burst.send(8)?;
            burst.whole(2)?;
        }
        stream.lossless()?;
        until_in_use(site, 0, &[B, &address(120), &address(121)])?;
        for host in [0, 1] {
            site.frames_accounted(host)?;
        }
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_restart_adopts_what_is_in_use_with_tc_uplinks() {
    goes_and_comes("odretc", "tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_restart_adopts_what_is_in_use_with_xdp_uplinks() {
    goes_and_comes("odrexdp", "xdp");
}
