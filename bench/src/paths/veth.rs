//! One veth pair from tenant to tenant: what two stacks and a wire without length cost.

use dataplane_common::id::Mac;
use xtask::lab::{Netns, unique};

use super::{
    Absence, Built, peer,
    topology::{Cable, End, MAC_A, MAC_B, TENANT_A, TENANT_B, TENANT_MTU, give, know, take_frames},
};
use crate::scenario::{PathName, Scenario};

/// Builds it. It has no tables, so any number of records is the same to it.
pub(super) fn build(scenario: &Scenario) -> Result<Built, Absence> {
    peer::between_hosts(PathName::Veth, scenario)?;
    let prefix = unique("veth");
    let fresh = |name: &str| Netns::fresh(&format!("{prefix}-{name}"))?.without_ipv6();
    let tenants = [fresh("tenant-a")?, fresh("tenant-b")?];
    let [a, b] = &tenants;
    let end = |netns, device, mac: Mac| End { netns, device, mac };
    Cable {
        ends: [end(a, "a0", MAC_A), end(b, "b0", MAC_B)],
        mtu: TENANT_MTU,
        queues: scenario.queues,
    }
    .lay()?;
    for (netns, device, own, other, mac) in [
        (a, "a0", TENANT_A, TENANT_B, MAC_B),
        (b, "b0", TENANT_B, TENANT_A, MAC_A),
    ] {
        give(netns, device, &format!("{own}/8"))?;
        know(netns, device, other, mac)?;
    }
    take_frames(b, "b0")?;
    peer::carries(a)?;
    Ok(peer::built(tenants, scenario, Box::new(())))
}
