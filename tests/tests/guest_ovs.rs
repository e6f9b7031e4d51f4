//! Open vSwitch at the other end: its kernel datapath, the key matched with a mask.

use anyhow::{Context, Result, ensure};
use dataplane_tests::{
    net::{Site, proof},
    peer::{Ovs, TENANTS, hears_nothing, site, talk},
};
use std::collections::BTreeSet;

fn with_switch(site: &Site, body: impl FnOnce() -> Result<()>) -> Result<()> {
    let switch = Ovs::start(site)?;
    body().with_context(|| switch.evidence())
}

fn talks(site: &Site) -> Result<()> {
    with_switch(site, || {
        for tenant in TENANTS {
            let packets = talk(site, tenant)?;
            let ours = packets.iter().filter(|packet| packet.ours);
            let ids: BTreeSet<_> = ours.map(|packet| packet.flow_id).collect();
            ensure!(ids.len() > 4, "the FlowIDs of our flows are {ids:?}");
        }
        Ok(())
    })
}

#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn open_vswitch_talks_to_a_tc_uplink() {
    proof(site("ovstc", "tc", "hash"), |site| talks(site));
}

#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn open_vswitch_talks_to_an_xdp_uplink() {
    proof(site("ovsxdp", "xdp", "hash"), |site| talks(site));
}

#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn tenants_behind_one_switch_hear_nothing_of_each_other() {
    proof(site("ovsleak", "tc", "hash"), |site| {
        with_switch(site, || {
            let [blue, red] = TENANTS;
            hears_nothing(site, blue, red)?;
            hears_nothing(site, red, blue)
        })
    });
}
