//! The hook of kernels older than tcx, forced: the same jobs as with tcx.

use anyhow::{Result, ensure};
use dataplane_tests::net::{PacketSocket, SOON, Site, has_tcx, ping, proof, tcp, udp};
use xtask::lab::{skip, wait_until};

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
        // Kernels before 6.6 have no tcx to go back to.
        let hooks = if has_tcx() {
            &["clsact", "tcx"][..]
        } else {
            &["clsact"]
        };
        for hook in hooks {
            site.nves[0].stop();
            site.nves[0].spec_mut().flags = vec![format!("--tc-hook={hook}")];
            site.resume(0)?;
            site.ready()?;
            talk(site)?;
            let filters = site
                .host(0)
                .exec(&["tc", "filter", "show", "dev", "eth0", "ingress"])?;
            ensure!(
                filters.stdout.contains("nve_tc") == (*hook == "clsact"),
                "{}",
                filters.stdout
            );
        }
        site.conserved()
    });
}

/// What this kernel lacks is said before anything is touched.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn tcx_on_a_kernel_without_it_is_refused() {
    if has_tcx() {
        return skip("this kernel has tcx");
    }
    proof(Site::up("clsold", "tc"), |site| {
        site.nves[0].stop();
        site.nves[0].spec_mut().flags = vec!["--tc-hook=tcx".to_owned()];
        let said = format!("{:#}", site.resume(0).expect_err("it started"));
        ensure!(said.contains("--tc-hook tcx needs kernel 6.6"), "{said}");
        // The dataplane goes on, and the next start has it.
        talk(site)?;
        site.nves[0].spec_mut().flags.clear();
        site.resume(0)?;
        site.ready()?;
        talk(site)
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
