//! XDP redirects into veths arrive, and where they do not, the status says so.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{SOON, Site, cable, ping, proof};
use std::{fs, os::unix::fs::MetadataExt, time::Duration};
use xtask::lab::{Netns, wait_until};

const PORT: &str = "blue/blue-vm1";
const A: &str = "10.0.0.5";
const VMS: [&str; 4] = ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"];

fn gro(place: &Netns, value: &str) -> Result<()> {
    place.exec(&["ethtool", "-K", "eth0", "gro", value])?;
    Ok(())
}

/// Both hosts, and `tap5`, a veth of others into `blue-vm1`, with GRO off there.
fn with_tap5(name: &str) -> Result<Site> {
    let mut site = Site::bare(name, &VMS)?;
    let vm = site.vm("blue-vm1");
    cable(site.host(0), "tap5", vm, "eth0")?;
    vm.exec(&["ip", "address", "add", "10.0.0.5/24", "dev", "eth0"])?;
    gro(vm, "off")?;
    for host in [0, 1] {
        site.start(host, "xdp")?;
    }
    site.like_wires()?;
    Ok(site)
}

fn attach(site: &Site) -> Result<()> {
    for host in [0, 1] {
        site.apply(host, &site.demo_at("{interface: tap5}"))?;
    }
    site.becomes(0, PORT, "Ready")?;
    site.ready()
}

/// Waits for a condition of `host-a` with these words, and gives it.
fn told(site: &Site, words: &[&str]) -> Result<String> {
    wait_until("a condition", SOON, || {
        let status = site.ask(0, &["status"])?;
        let all = status["conditions"].as_array().context("no conditions")?;
        let mut all = all.iter().filter_map(|condition| condition.as_str());
        let found = all.find(|text| words.iter().all(|word| text.contains(word)));
        Ok(found.map(str::to_owned))
    })
}

/// Does what a condition says behind `run: `.
fn mend(site: &Site, condition: &str) -> Result<()> {
    let command = condition.split_once("run: ").context("no command")?.1;
    let words: Vec<&str> = command.split(' ').collect();
    site.host(0).exec(&words)?;
    site.ready()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_veth_of_others_is_set_right_when_its_port_attaches() {
    proof(with_tap5("napinew"), |site| {
        attach(site)?;
        ping(site.vm("blue-vm2"), A, 1400)?;
        let log = site.nves[0].log();
        ensure!(log.contains("switched GRO on at eth0"), "{log}");
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_veth_into_a_namespace_without_a_name_is_set_right() {
    proof(with_tap5("napianon"), |site| {
        let sleeper = site.vm("blue-vm1").spawn(&["sleep", "600"])?;
        let place = format!("/proc/{}/ns/net", sleeper.pid());
        let (name, path) = {
            let vm = site.vm("blue-vm1");
            (vm.name().to_owned(), vm.path())
        };
        wait_until("the sleeper to be inside", SOON, || {
            let same = fs::metadata(&place)?.ino() == fs::metadata(&path)?.ino();
            Ok(same.then_some(()))
        })?;
        site.topology.tenants.retain(|vm| vm.name() != name);
        attach(site)?;
        ping(site.vm("blue-vm2"), A, 1400)?;
        let log = site.nves[0].log();
        ensure!(log.contains(&place), "not in {place}:\n{log}");
        Ok(())
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_somebody_switches_off_is_told_until_it_is_on_again() {
    proof(Site::up("napioff", "xdp"), |site| {
        site.like_wires()?;
        let (vm, far) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        ping(far, A, 56)?;
        let place = vm.path().display().to_string();
        let words = [PORT, "eth0", &place, "are lost"];
        gro(vm, "off")?;
        let condition = told(site, &words)?;
        ping(far, A, 56).expect_err("packets arrive nevertheless");
        mend(site, &condition)?;
        ping(far, A, 56)?;
        // Off while the link is down: the kernel does not tell of that at our end.
        let down = |value: &str| -> Result<()> {
            vm.exec(&["ip", "link", "set", "eth0", "down"])?;
            gro(vm, value)?;
            vm.exec(&["ip", "link", "set", "eth0", "up"])?;
            Ok(())
        };
        down("off")?;
        let condition = told(site, &words)?;
        ping(far, A, 56).expect_err("packets arrive nevertheless");
        mend(site, &condition)?;
        ping(far, A, 56)?;
        // On while the link is down: the kernel goes on refusing at our end.
        gro(vm, "off")?;
        told(site, &words)?;
        down("on")?;
        wait_until("packets to arrive", SOON, || ping(far, A, 56).map(Some))?;
        site.ready()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_name_that_a_tenant_chose_gets_into_no_command() {
    proof(Site::up("napiname", "xdp"), |site| {
        site.like_wires()?;
        gro(site.vm("blue-vm1"), "off")?;
        told(site, &["are lost", "run: "])?;
        // As printf has them: a command, a terminal's, and no UTF-8, which netlink's crate
        // cannot read.
        let names = ["eth0", "$(reboot)", "a\\033[2Jb", "\\377"];
        for pair in names.windows(2) {
            let [old, new] = [pair[0], pair[1]].map(|name| format!("\"$(printf '{name}')\""));
            // Kernels before 6.2 rename no device that is up.
            let rename = format!(
                "ip link set {old} down; ip link set {old} name {new}; ip link set {new} up"
            );
            site.vm("blue-vm1").exec(&["sh", "-ec", &rename])?;
            let condition = told(site, &[PORT, "not safe in a command"])?;
            let shown = |word| condition.contains(word);
            ensure!(
                !["run: ", "$(", "\x1b"].into_iter().any(shown),
                "{condition}"
            );
            // It does not wait for an answer that nobody can read.
            std::thread::sleep(Duration::from_secs(2));
            site.apply(0, &site.demo())?;
        }
        // A start sets a veth of ours right, whatever its name.
        site.nves[0].stop();
        site.resume(0)?;
        site.becomes(0, PORT, "Ready")?;
        site.ready()?;
        wait_until("packets", SOON, || {
            ping(site.vm("blue-vm2"), A, 56).map(Some)
        })
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn nothing_is_told_while_no_xdp_program_redirects() {
    proof(Site::up("napitc", "tc"), |site| {
        gro(site.vm("blue-vm1"), "off")?;
        // Rounds in which it could be told.
        std::thread::sleep(Duration::from_secs(3));
        site.nvectl(0, &["status"])?.success()?;
        ping(site.vm("blue-vm2"), A, 56)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_uplink_that_is_a_veth_is_watched_for_ports_in_xdp_mode() {
    proof(Site::up("napiup", "tc"), |site| {
        site.like_wires()?;
        let (vm, far) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        vm.exec(&["ethtool", "-K", "eth0", "tx", "off"])?;
        let netns = format!("{{netns: {}}}", vm.name());
        site.apply(0, &site.demo_at(&format!("{netns}\n  mode: xdp")))?;
        site.ready()?;
        ping(far, A, 56)?;
        gro(site.host(1), "off")?;
        let place = site.host(1).path().display().to_string();
        let condition = told(site, &["uplink eth0", &place, "are lost"])?;
        ping(far, A, 56).expect_err("packets arrive nevertheless");
        mend(site, &condition)?;
        ping(far, A, 56)
    });
}
