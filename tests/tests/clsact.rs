//! The hook of kernels older than tcx, forced: the same jobs as with tcx.

use anyhow::{Result, ensure};
use dataplane_tests::net::{PacketSocket, SOON, Site, ping, proof, tcp, udp};
use xtask::lab::wait_until;

const B: &str = "10.0.0.7";

fn talk(site: &Site) -> Result<()> {
    for tenant in ["blue", "red"] {
        let near = site.vm(&format!("{tenant}-vm1"));
        let far = site.vm(&format!("{tenant}-vm2"));
        ping(near, B, 1472)?;
        tcp(near, far, B, 2_000_000)?;
        tcp(far, near, "10.0.0.5", 2_000_000)?;
        udp(near, far, B, 60_000)?;
    }
    Ok(())
}

fn carries(mode: &str) {
    let site = Site::forced("cls", mode, "--tc-hook=clsact");
    proof(site, |site| {
        site.like_wires()?;
        let wire = PacketSocket::open(site.host(1), "eth0")?;
        talk(site)?;
        let gre = |frame: &[u8]| frame.get(34..38) == Some(&[0x20, 0x00, 0x65, 0x58]);
        if mode == "tc" {
            wire.find("NVGRE on the wire", gre)?;
        }
        for host in [0, 1] {
            let filters = site
                .host(host)
                .exec(&["tc", "filter", "show", "dev", "eth0", "ingress"])?;
            ensure!(
                filters.stdout.contains("nve_tc_ingress"),
                "{}",
                filters.stdout
            );
        }
        ping(site.host(0), "192.0.2.2", 56)?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn clsact_carries_tenants_with_tc_uplinks() {
    carries("tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn clsact_carries_tenants_with_xdp_uplinks() {
    carries("xdp");
}

/// The hook may change over a restart; the other one's programs go.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_hook_changes_over_a_restart() {
    proof(Site::up("clschg", "tc"), |site| {
        for hook in ["clsact", "tcx"] {
            site.nves[0].stop();
            site.nves[0].spec_mut().flags = vec![format!("--tc-hook={hook}")];
            site.resume(0)?;
            site.ready()?;
            talk(site)?;
            let filters = site
                .host(0)
                .exec(&["tc", "filter", "show", "dev", "eth0", "ingress"])?;
            ensure!(
                filters.stdout.contains("nve_tc") == (hook == "clsact"),
                "{}",
                filters.stdout
            );
        }
        site.conserved()
    });
}

/// Whoever removes a clsact qdisc takes our filter along.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_filter_that_somebody_removes_is_attached_again() {
    proof(Site::forced("clsdel", "tc", "--tc-hook=clsact"), |site| {
        site.host(0)
            .exec(&["tc", "qdisc", "del", "dev", "eth0", "clsact"])?;
        wait_until("the filter", SOON, || {
            let filters = site
                .host(0)
                .exec(&["tc", "filter", "show", "dev", "eth0", "ingress"])?;
            ensure!(filters.stdout.contains("nve_tc_ingress"));
            Ok(Some(()))
        })?;
        talk(site)?;
        site.conserved()
    });
}
