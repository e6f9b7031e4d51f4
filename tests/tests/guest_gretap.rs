//! Linux `gretap` at the other end: with a fixed key, and in collect-metadata mode.

use anyhow::{Result, ensure};
use dataplane_tests::{
    net::{PacketSocket, Site, proof},
    packet::udp,
    peer::{TENANTS, Tenant, gretap, hears_nothing, site, talk},
};
use std::collections::BTreeSet;

/// A peer with fixed keys knows no `FlowID` but 0.
fn fixed_key(site: &Site) -> Result<()> {
    gretap::fixed_key(site)?;
    for tenant in TENANTS {
        for packet in talk(site, tenant)? {
            ensure!(packet.flow_id == 0, "{packet:?}");
        }
    }
    Ok(())
}

/// Flows have `FlowID`s of their own, and the peer takes all of them, as we take those it chose.
fn collect_metadata(site: &Site) -> Result<()> {
    gretap::collect_metadata(site, "nocsum")?;
    for tenant in TENANTS {
        let (ours, theirs): (Vec<_>, Vec<_>) = talk(site, tenant)?
            .into_iter()
            .partition(|packet| packet.ours);
        let ids: BTreeSet<_> = ours.iter().map(|packet| packet.flow_id).collect();
        // Some 13 flows: that five of them share one of 256 numbers does not happen.
        ensure!(ids.len() > 4, "the FlowIDs of our flows are {ids:?}");
        for packet in theirs {
            ensure!(packet.flow_id == gretap::THEIR_FLOW_ID, "{packet:?}");
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn a_peer_with_fixed_keys_talks_to_a_tc_uplink() {
    proof(site("gftc", "tc", "none"), |site| fixed_key(site));
}

#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn a_peer_with_fixed_keys_talks_to_an_xdp_uplink() {
    proof(site("gfxdp", "xdp", "none"), |site| fixed_key(site));
}

#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn a_peer_that_collects_metadata_talks_to_a_tc_uplink() {
    proof(site("gctc", "tc", "hash"), |site| collect_metadata(site));
}

#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn a_peer_that_collects_metadata_talks_to_an_xdp_uplink() {
    proof(site("gcxdp", "xdp", "hash"), |site| collect_metadata(site));
}

#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn tenants_behind_one_device_hear_nothing_of_each_other() {
    proof(site("gleak", "tc", "hash"), |site| {
        gretap::collect_metadata(site, "nocsum")?;
        let [blue, red] = TENANTS;
        hears_nothing(site, blue, red)?;
        hears_nothing(site, red, blue)
    });
}

/// The default of `tunnel_key` is a checksum in the GRE header, which NVGRE has not.
#[test]
#[ignore = "needs a guest: cargo xtask test"]
fn gre_with_a_checksum_is_counted_and_not_delivered() {
    proof(site("gsum", "tc", "hash"), |site| {
        gretap::collect_metadata(site, "csum")?;
        let [Tenant { name, .. }, _] = TENANTS;
        let near = PacketSocket::open(site.vm(&format!("{name}-vm1")), "eth0")?;
        let far = PacketSocket::open(site.vm(&format!("{name}-vm2")), "eth0")?;
        for _ in 0..3 {
            far.send(&udp([10, 0, 0, 7], [10, 0, 0, 5], 64))?;
        }
        site.drops_reach(0, "uplink", "DECAP_BAD_GRE", 3)?;
        let came = near.drain()?;
        ensure!(came.is_empty(), "this arrived: {came:x?}");
        site.conserved()
    });
}
