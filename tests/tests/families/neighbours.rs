//! Neighbour discovery of the VMs: answered for others, and checked with the neighbour itself.

use crate::{FAR, NEAR, plan, site};
use anyhow::{Result, ensure};
use dataplane_tests::net::{
    PacketSocket, SOON, Site,
    fabric::{Family, sysctl},
    outer::nvgre,
    path::{answers, neighbour, neighbour_mac},
    plan::{A, B, Plan},
    proof,
};
use xtask::lab::wait_until;

/// IPv6, and the types of `ICMPv6` messages of neighbour discovery.
const IPV6: u16 = 0x86DD;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Offsets in a frame: the destination address, and the `ICMPv6` type where no extension is.
const DESTINATION: usize = 38;
const TYPE: usize = 54;

fn is(frame: &[u8], kind: u8) -> bool {
    frame.get(12..14) == Some(&IPV6.to_be_bytes())
        && frame.get(20) == Some(&58)
        && frame.get(TYPE) == Some(&kind)
}

fn is_unicast(frame: &[u8]) -> bool {
    frame.first().is_some_and(|byte| byte & 1 == 0)
        && frame.get(DESTINATION).is_some_and(|byte| *byte != 0xFF)
}

fn families(name: &str, body: impl Fn(&mut Site, &Plan) -> Result<()>) {
    for family in Family::ALL {
        let plan = plan(family, "tc");
        let name = format!("{name}{}", family.of([4, 6]));
        proof(Site::of(&name, &plan), |site| body(site, &plan));
    }
}

/// A question to everybody is answered by the host, so it never leaves it.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_solicitation_to_everybody_stays_on_the_host() {
    families("fmns", |site, plan| {
        let wire = site.wire(A)?;
        let mac = neighbour_mac(site.vm("near"), FAR[1])?;
        ensure!(mac == plan.find("far").mac_text(), "{mac}");
        let carried = nvgre(&wire.drain()?);
        let mut asked = carried
            .iter()
            .filter(|packet| is(&packet.inner, SOLICITATION));
        let asked = asked.find(|packet| !is_unicast(&packet.inner));
        ensure!(asked.is_none(), "it was carried: {asked:x?}");
        site.conserved()
    });
}

/// A neighbour that may have gone is asked itself, not the host.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn unreachability_is_found_out_with_the_vm_itself() {
    families("fmnud", |site, _| {
        let (near, far) = (site.vm("near"), site.vm("far"));
        sysctl(near, "net/ipv6/neigh/eth0/delay_first_probe_time", "1")?;
        let mac = neighbour_mac(near, FAR[1])?;
        let ear = PacketSocket::open(far, "eth0")?;
        let stale = ["ip", "neighbour", "replace", FAR[1], "lladdr", &mac];
        near.exec(&[&stale[..], &["nud", "stale", "dev", "eth0"]].concat())?;
        ensure!(answers(near, FAR[1])?, "no answer");
        ear.find("a unicast solicitation", |frame| {
            is(frame, SOLICITATION) && is_unicast(frame)
        })?;
        ear.find("the VM's own answer", |frame| is(frame, ADVERTISEMENT))?;
        wait_until("a neighbour that is reachable again", SOON, || {
            let now = neighbour(near, FAR[1])?;
            ensure!(now.contains("REACHABLE"), "{now}");
            Ok(Some(()))
        })?;
        site.conserved()
    });
}

/// Whoever takes an address that another has hears of it.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_duplicate_address_is_detected() {
    families("fmdad", |site, _| {
        let far = site.vm("far");
        let taken = format!("{}/64", NEAR[1]);
        far.exec(&["ip", "address", "add", &taken, "dev", "eth0"])?;
        wait_until("a duplicate that is found", SOON, || {
            let shown = far.exec(&["ip", "-6", "address", "show", "dev", "eth0"])?;
            let shown = shown.stdout;
            let line = shown.lines().find(|line| line.contains(&taken));
            ensure!(
                line.is_some_and(|line| line.contains("dadfailed")),
                "{shown}"
            );
            Ok(Some(()))
        })?;
        // Linux takes no answer about an address that it failed to get, so it has to give it up; its
        // own was not in question.
        far.exec(&["ip", "address", "del", &taken, "dev", "eth0"])?;
        ensure!(answers(site.vm("near"), FAR[1])?, "no answer");
        site.conserved()
    });
}

/// An address that nobody has may be taken: nothing contradicts, and it is no VM's to use.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn nobody_answers_for_an_address_of_nobody() {
    proof(site("fmfree", Family::V6, "tc"), |site| {
        let (near, far) = (site.vm("near"), site.vm("far"));
        let free = "fd00:6001::77/64";
        far.exec(&["ip", "address", "add", free, "dev", "eth0"])?;
        wait_until("an address that may be used", SOON, || {
            let shown = far.exec(&["ip", "-6", "address", "show", "dev", "eth0"])?;
            let shown = shown.stdout;
            ensure!(!shown.contains("tentative"), "{shown}");
            Ok(Some(()))
        })?;
        let shown = far.exec(&["ip", "-6", "address"])?.stdout;
        ensure!(!shown.contains("dadfailed"), "{shown}");
        let before = site.dropped(B, "blue/far", "SPOOF_CA")?;
        let mut ping = far.command("ping");
        ping.args([
            "-n",
            "-c",
            "3",
            "-i",
            "0.1",
            "-W",
            "1",
            "-I",
            "fd00:6001::77",
            NEAR[1],
        ]);
        let said = xtask::lab::output(&mut ping, SOON)?;
        ensure!(said.code() == 1, "it was answered: {}", said.stdout);
        site.drops_reach(B, "blue/far", "SPOOF_CA", before + 1)?;
        let shown = neighbour(near, "fd00:6001::77")?;
        ensure!(!shown.contains("lladdr"), "it is known: {shown}");
        site.conserved()
    });
}
