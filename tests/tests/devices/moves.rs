//! Other names, other namespaces.

use super::{A, B, PORT, has_interface, ifindex, ip, on_tap5, programs, reaches};
use anyhow::ensure;
use dataplane_tests::net::{SOON, Site, cable, proof, stream::Stream};
use xtask::lab::{Netns, wait_until};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn both_ends_of_a_pair_may_be_renamed() {
    proof(Site::up("devname", "tc"), |site| {
        let before = ifindex(site)?;
        let name = site.interface(0, PORT)?;
        let (vm, far) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        let (out, back) = (
            Stream::start(vm, far, B, 5000)?,
            Stream::start(far, vm, A, 5000)?,
        );
        ip(site.host(0), &["link", "set", &name, "name", "green0"])?;
        ip(vm, &["link", "set", "eth0", "name", "ens3"])?;
        has_interface(site, "green0")?;
        out.flows(1000)?;
        site.nves[0].stop();
        site.resume(0)?;
        site.ready()?;
        has_interface(site, "green0")?;
        out.flows(1000)?;
        ensure!(ifindex(site)? == before, "it is another veth");
        ensure!(ip(site.vm("blue-vm1"), &["link"])?.contains("ens3"));
        out.lossless()?;
        back.lossless()?;
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interface_is_followed_to_another_name_until_the_name_is_there_again() {
    proof(on_tap5("devfollow", "tc"), |site| {
        let before = ifindex(site)?;
        ip(site.host(0), &["link", "set", "tap5", "name", "other5"])?;
        has_interface(site, "other5")?;
        reaches(site)?;
        site.nves[0].stop();
        site.resume(0)?;
        site.ready()?;
        has_interface(site, "other5")?;
        ensure!(ifindex(site)? == before, "it is another device");
        reaches(site)?;
        let place = Netns::fresh(&site.named("second"))?;
        cable(site.host(0), "tap5", &place, "eth0")?;
        has_interface(site, "tap5")?;
        wait_until("programs to follow", SOON, || {
            let (new, old) = (
                programs(site.host(0), "tap5")?,
                programs(site.host(0), "other5")?,
            );
            ensure!((new, old) == (1, 0), "{new} at tap5, {old} at other5");
            Ok(Some(()))
        })?;
        // Another name in the policy is another device.
        site.apply(0, &site.demo_at("{interface: missing5}"))?;
        site.becomes(0, PORT, "Pending: interface missing5 is not there")?;
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interface_that_is_moved_away_is_let_go_and_taken_back() {
    for mode in ["tc", "xdp"] {
        proof(on_tap5("devmove", mode), |site| {
            reaches(site)?;
            let attic = Netns::fresh(&site.named("attic"))?;
            let home = site.host(0).name().to_owned();
            ip(
                site.host(0),
                &["link", "set", "tap5", "netns", attic.name()],
            )?;
            site.becomes(0, PORT, "Pending: interface tap5 is not there")?;
            wait_until("programs to be detached", SOON, || {
                let left = programs(&attic, "tap5")?;
                ensure!(left == 0, "{left} programs moved along");
                Ok(Some(()))
            })?;
            ip(&attic, &["link", "set", "tap5", "netns", &home])?;
            site.becomes(0, PORT, "Pending: interface tap5 is down")?;
            ip(site.host(0), &["link", "set", "tap5", "up"])?;
            site.becomes(0, PORT, "Ready")?;
            reaches(site)?;
            // There and back before anybody looks.
            let (there, back) = (attic.path(), site.host(0).path());
            let script = format!(
                "ip link set tap5 netns {there}; nsenter --net={there} ip link set tap5 netns {back}; ip link set tap5 up",
                there = there.display(),
                back = back.display(),
            );
            site.host(0).exec(&["sh", "-ec", &script])?;
            reaches(site)?;
            site.ready()?;
            ensure!(programs(site.host(0), "tap5")? == 1, "not one program");
            reaches(site)?;
            site.conserved()
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_pair_whose_end_is_moved_is_taken_back_or_made_anew() {
    proof(Site::up("devends", "tc"), |site| {
        let attic = Netns::fresh(&site.named("attic"))?;
        let (name, home) = (site.interface(0, PORT)?, site.host(0).name().to_owned());
        ip(site.host(0), &["link", "set", &name, "netns", attic.name()])?;
        let state = site.becomes(0, PORT, "Pending: network namespace")?;
        ensure!(state.contains("eth0"), "{state}");
        ip(&attic, &["link", "set", &name, "netns", &home])?;
        site.becomes(0, PORT, "Ready")?;
        reaches(site)?;
        ensure!(programs(site.host(0), &name)? == 1, "not one program");
        // The policy says where the tenant's end belongs.
        let before = ifindex(site)?;
        ip(
            site.vm("blue-vm1"),
            &["link", "set", "eth0", "netns", attic.name()],
        )?;
        reaches(site)?;
        site.ready()?;
        ensure!(ifindex(site)? != before, "it is the former veth");
        let left = ip(&attic, &["-brief", "link"])?;
        ensure!(!left.contains("eth0"), "the former end is there: {left}");
        site.conserved()
    });
}
