//! A port that moves takes its PA along, and whoever knew it follows.

use crate::{FAR, NEAR, OTHER, answers::plain, follows, network, told, uplink, with_vm};
use anyhow::ensure;
use dataplane_tests::net::{
    SOON,
    fabric::Family,
    families,
    path::{answers, becomes, neighbour},
    plan::{A, B, C, Plan},
};
use xtask::lab::wait_until;

fn plan(family: Family) -> Plan {
    let plan = with_vm(network(family), "near", A, NEAR, "");
    let plan = with_vm(plan, "other", A, OTHER, "");
    with_vm(plan, "far", C, FAR, "")
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn neighbours_and_peers_follow_a_port_that_moves() {
    families("rwmove", plan, |site, plan| {
        let family = plan.family;
        let asker = plain(site, family)?;
        let (pa, ca) = (family.of(NEAR[1]), family.of(NEAR[0]));
        let [from, to] = [uplink(site, A)?, uplink(site, B)?];
        becomes(site.vm("far"), ca, true)?;
        // It is known, and nobody asks for it again.
        answers(site.middle(), pa)?;
        follows(site.middle(), ("fabric", pa), &from)?;
        follows(site.host(C), ("eth0", pa), &from)?;
        let mut moved = plan.find("near").clone();
        moved.host = B;
        site.apply_all(&moved.document(&site.named("near")))?;
        asker.hears(pa, &to, family.of([2, 3]))?;
        follows(site.middle(), ("fabric", pa), &to)?;
        follows(site.host(C), ("eth0", pa), &to)?;
        wait_until("nved to follow", SOON, || {
            let (state, mac) = told(site, C, pa)?;
            ensure!(state == "resolved" && mac == to, "{state} at {mac}");
            Ok(Some(()))
        })?;
        becomes(site.vm("far"), ca, true)?;
        // The former host reaches it as any other does.
        follows(site.host(A), ("eth0", pa), &to)?;
        ensure!(neighbour(site.host(B), pa)?.is_empty());
        asker.ask(pa)?;
        ensure!(asker.answer(pa)? == to);
        site.ready()
    });
}
