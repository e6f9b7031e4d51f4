//! What a new `nved` takes over, and what it must not.

use anyhow::{Context, Result, ensure};
use aya::{
    EbpfLoader,
    programs::{SchedClassifier, TcAttachType},
};
use dataplane_tests::net::{
    Link, SOON, Site, cable, inside, ping, proof, refused,
    stream::{STEADY, Stream},
};
use dataplane_user::dataplane::{OBJECT, layout::MAPS};
use libbpf_rs::{TC_INGRESS, TcHook};
use std::{fs, os::fd::AsFd, path::Path};
use xtask::lab::{Netns, output};

const PORT: &str = "blue/blue-vm1";
const B: &str = "10.0.0.7";

/// Replaces the programs of our filters by fresh copies that no pin names, as a start does that is
/// killed before it renews the pins.
fn replace_filters(site: &Site) -> Result<()> {
    let folder = site.nves[0].spec().pin.clone();
    let mut loader = EbpfLoader::new();
    for name in MAPS {
        loader.map_pin_path(name, folder.join("maps").join(name));
    }
    let mut object = loader.load(OBJECT)?;
    let index = |name| Link::named(site.host(0), name).map(|link| link.index);
    let (uplink, pair) = (index("eth0")?, index("nve-up0")?);
    for pin in fs::read_dir(folder.join("links"))? {
        let name = pin?.file_name().display().to_string();
        let Some(index) = name.strip_prefix("clsact-") else {
            continue; // the far end of the upcall pair has XDP alone
        };
        let index: i32 = index.parse()?;
        let hook = match u64::try_from(index)? {
            index if index == uplink => "nve_tc_ingress",
            index if index == pair => "nve_tc_upcall",
            _ => "nve_tc_egress",
        };
        let program: &mut SchedClassifier =
            object.program_mut(hook).context("no program")?.try_into()?;
        if program.fd().is_err() {
            program.load()?;
        }
        let fd = program.fd()?.try_clone()?;
        inside(site.host(0), || {
            let mut filter = TcHook::new(fd.as_fd());
            filter.ifindex(index).attach_point(TC_INGRESS);
            filter.priority(0x6558).handle(1).replace(true).attach()?;
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn filters_of_a_start_that_was_killed_are_taken_over() {
    proof(Site::forced("adcls", "tc", "--tc-hook=clsact"), |site| {
        let stream = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), B, STEADY)?;
        stream.flows(u64::from(STEADY / 10))?;
        site.nves[0].kill()?;
        replace_filters(site)?;
        stream.flows(u64::from(STEADY / 10))?;
        site.resume(0)?;
        site.ready()?;
        println!("{}", stream.lossless()?);
        site.nvectl(0, &["unload"])?.success()?;
        let left = site
            .host(0)
            .exec(&["tc", "filter", "show", "dev", "eth0", "ingress"])?;
        ensure!(left.stdout.is_empty(), "{}", left.stdout);
        Ok(())
    });
}

/// Programs at tcx of a device.
fn attached(netns: &Netns, device: &str) -> Result<usize> {
    let query = || SchedClassifier::query_tcx(device, TcAttachType::Ingress).map_err(Into::into);
    Ok(inside(netns, query)?.1.len())
}

/// While nobody looks, a port's device moves away and another one gets its name and index.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_device_that_took_the_index_of_another_gets_programs_of_its_own() {
    let vms = ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"];
    proof(Site::bare("adidx", &vms), |site| {
        cable(site.host(0), "tap5", site.vm("red-vm1"), "old0")?;
        for host in [0, 1] {
            site.start(host, "tc")?;
            site.apply(host, &site.demo_at("{interface: tap5}"))?;
        }
        site.becomes(0, PORT, "Ready")?;
        let index = Link::named(site.host(0), "tap5")?.index.to_string();
        site.nves[0].stop();
        let away = Netns::new(&site.named("away"))?;
        let (host, vm) = (site.host(0), site.vm("blue-vm1"));
        host.exec(&["ip", "link", "set", "dev", "tap5", "netns", away.name()])?;
        host.exec(&[
            "ip",
            "link",
            "add",
            "tap5",
            "index",
            &index,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "address",
            "02:00:00:00:00:05",
            "netns",
            vm.name(),
        ])?;
        host.exec(&["ip", "link", "set", "dev", "tap5", "up"])?;
        vm.exec(&["ip", "link", "set", "dev", "eth0", "mtu", "1400", "up"])?;
        vm.exec(&["ip", "address", "add", "10.0.0.5/24", "dev", "eth0"])?;
        ensure!(
            attached(&away, "tap5")? == 1,
            "the link did not move with its device"
        );
        site.resume(0)?;
        site.becomes(0, PORT, "Ready")?;
        ensure!(
            attached(site.host(0), "tap5")? == 1,
            "the new device has no program"
        );
        ensure!(
            attached(&away, "tap5")? == 0,
            "our program is still on the other one"
        );
        ping(site.vm("blue-vm1"), B, 56)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn pins_of_another_namespace_are_not_taken_over() {
    proof(Site::up("adns", "tc"), |site| {
        let stream = Stream::start(site.vm("blue-vm1"), site.vm("blue-vm2"), B, 2_000)?;
        stream.flows(500)?;
        site.nves[0].stop();
        let spec = site.nves[0].spec().clone();
        let said = output(&mut spec.daemon(site.host(1))?, SOON)?;
        refused(&said, 1, &["another network namespace", "--pin"])?;
        ensure!(Path::new(&spec.pin).exists(), "the pins are gone");
        stream.flows(500)?;
        site.resume(0)?;
        site.ready()?;
        println!("{}", stream.lossless()?);
        site.conserved()
    });
}
