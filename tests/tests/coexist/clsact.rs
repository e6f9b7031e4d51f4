//! Filters of somebody else at clsact.

use anyhow::{Context, Result, ensure};
use aya::programs::{
    SchedClassifier, TcAttachType,
    tc::{NlOptions, TcAttachOptions, TcHandle, qdisc_add_clsact},
};
use dataplane_tests::{
    net::{SOON, Site, cable, inside, ping, proof, refused},
    stranger::{seen, stranger},
};
use xtask::lab::{Nve, NveSpec, TempDir, output};

use super::{B, PORT, VMS};

/// Puts a filter of somebody else at clsact, with this priority and handle 1.
fn filter(site: &Site, object: &mut aya::Ebpf, priority: u16) -> Result<()> {
    filter_at(site, "eth0", object, priority)
}

fn filter_at(site: &Site, device: &str, object: &mut aya::Ebpf, priority: u16) -> Result<()> {
    let program = object.program_mut("xyz_tc_ingress").context("no program")?;
    let program: &mut SchedClassifier = program.try_into()?;
    if program.fd().is_err() {
        program.load()?;
    }
    inside(site.host(0), || {
        // There already for the second filter.
        let _ = qdisc_add_clsact(device);
        let options = NlOptions {
            priority,
            handle: TcHandle::new(0, 1),
            ..NlOptions::default()
        };
        program.attach_with_options(
            device,
            TcAttachType::Ingress,
            TcAttachOptions::Netlink(options),
        )?;
        Ok(())
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn clsact_filters_of_somebody_else_stay_and_run() {
    proof(Site::bare("cocls", &VMS), |site| {
        let mut early = stranger()?;
        filter(site, &mut early, 1)?;
        let mut late = stranger()?;
        filter(site, &mut late, 60_000)?;
        let clsact = |spec: &mut NveSpec| spec.flags = vec!["--tc-hook=clsact".to_owned()];
        site.start_as(0, "tc", clsact)?;
        site.start(1, "tc")?;
        for host in [0, 1] {
            site.apply(host, &site.demo())?;
        }
        site.ready()?;
        ping(site.vm("blue-vm1"), B, 56)?;
        let before = (seen(&early)?, seen(&late)?);
        ping(site.host(1), "192.0.2.1", 56)?;
        ensure!(seen(&early)? >= before.0 + 3 && seen(&late)? >= before.1 + 3);
        site.nvectl(0, &["unload"])?.success()?;
        ping(site.host(1), "192.0.2.1", 56)?;
        ensure!(seen(&early)? >= before.0 + 6 && seen(&late)? >= before.1 + 6);
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_filter_of_somebody_else_in_our_place_is_not_displaced() {
    proof(Site::bare("copri", &["blue-vm1"]), |site| {
        let mut object = stranger()?;
        filter(site, &mut object, 0x6558)?;
        let dir = TempDir::new("prio")?;
        let pin = std::path::Path::new(xtask::lab::BPFFS).join(xtask::lab::unique("prio"));
        let mut spec = NveSpec::new("host-a", "tc", dir.path(), pin.clone());
        spec.flags = vec!["--tc-hook=clsact".to_owned()];
        let before = seen(&object)?;
        for times in [1, 2] {
            let said = output(&mut spec.daemon(site.host(0))?, SOON)?;
            refused(&said, 1, &["eth0", "priority 25944", "--tc-hook tcx"])?;
            ping(site.host(1), "192.0.2.1", 56)?;
            ensure!(seen(&object)? >= before + 3 * times, "it was displaced");
        }
        spec.flags = vec!["--tc-hook=tcx".to_owned()];
        let nve = Nve::start_with(site.host(0), spec)?;
        ping(site.host(1), "192.0.2.1", 56)?;
        ensure!(seen(&object)? >= before + 9, "it does not run beside tcx");
        drop(nve);
        Ok(())
    });
}

/// A port waits while somebody's filter is in our place, however often it is tried.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_clsact_port_waits_for_a_filter_of_somebody_else() {
    proof(Site::bare("coprt", &["blue-vm1"]), |site| {
        cable(site.host(0), "tap5", site.vm("blue-vm1"), "eth0")?;
        let mut object = stranger()?;
        filter_at(site, "tap5", &mut object, 0x6558)?;
        let id = |site: &Site| -> Result<String> {
            let show = ["tc", "filter", "show", "dev", "tap5", "ingress"];
            Ok(site.host(0).exec(&show)?.stdout)
        };
        let before = id(site)?;
        ensure!(before.contains("xyz_tc_ingress"), "{before}");
        site.start_as(0, "tc", |spec| {
            spec.flags.push("--tc-hook=clsact".to_owned());
        })?;
        site.apply(0, &site.demo_at("{interface: tap5}"))?;
        for mtu in [1300, 1350, 1400] {
            // Each change makes a round that tries again.
            let prefix = "10.0.0.0/24]";
            let policy = site.demo_at("{interface: tap5}");
            let policy = policy.replacen(prefix, &format!("{prefix}\n    mtu: {mtu}"), 1);
            site.apply(0, &policy)?;
            let state = site.becomes(0, PORT, "Pending: ")?;
            ensure!(state.contains("priority 25944"), "{state}");
            ensure!(id(site)? == before, "it was displaced: {}", id(site)?);
        }
        site.host(0)
            .exec(&["tc", "qdisc", "del", "dev", "tap5", "clsact"])?;
        site.becomes(0, PORT, "Ready").map(drop)
    });
}
