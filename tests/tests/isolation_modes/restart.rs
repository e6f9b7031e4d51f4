//! Ports that are not virtualized, without `nved` and after it.

use crate::{address, site, tags::exchange};
use anyhow::Result;
use dataplane_tests::net::{Site, path::becomes, ping, plan::A, proof};

/// Those that talk by IP: from, and the address of whom.
const PAIRS: [(&str, &str); 3] = [
    ("office-a", "office-b"),
    ("bare-a", "bare-b"),
    ("outside-a", "outside"),
];

fn all_talk(site: &Site) -> Result<()> {
    for (from, to) in PAIRS {
        ping(site.vm(from), address(to), 1400)?;
    }
    exchange(site, "lab-a", "lab-b")?;
    exchange(site, "lab-b", "lab-a")?;
    ping(site.vm("blue-a"), "10.0.0.7", 56)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn plain_ports_outlive_a_kill() {
    for mode in ["tc", "xdp"] {
        let (site, _outside) = site(&format!("imkill{mode}"), mode);
        proof(site, |site| {
            for (from, to) in PAIRS {
                becomes(site.vm(from), address(to), true)?;
            }
            all_talk(site)?;
            site.nves[A].kill()?;
            all_talk(site)?;
            site.resume(A)?;
            site.ready()?;
            for kind in ["office", "lab", "bare", "outside"] {
                site.becomes(A, &format!("{kind}/{kind}-a"), "Ready")?;
            }
            all_talk(site)?;
            site.conserved()
        });
    }
}
