//! What VMs behind `nved` and behind a peer say to each other, and how it is counted.

use super::{FAR, NEAR, TENANT_MTU, Tap, Tenant, wire::Nvgre};
use crate::net::{PacketSocket, Site, ping, tcp, udp};
use anyhow::{Result, ensure};

/// Payload of the largest ping: 28 for IP and ICMP.
const LARGEST_PING: u16 = TENANT_MTU - 28;
/// TCP connections in each direction, so that flows differ.
const FLOWS: usize = 4;

/// Every kind of traffic of one tenant in both directions; `look` is called now and then.
pub fn exchange(site: &Site, tenant: Tenant, mut look: impl FnMut() -> Result<()>) -> Result<()> {
    let near = site.vm(&format!("{}-vm1", tenant.name));
    let far = site.vm(&format!("{}-vm2", tenant.name));
    for (from, to, address) in [(near, far, FAR), (far, near, NEAR)] {
        for size in [56, 1472, LARGEST_PING] {
            ping(from, address, size)?;
        }
        for _ in 0..FLOWS {
            tcp(from, to, address, 500_000)?;
            look()?;
        }
        for size in [0, 1472, 9000, 60_000] {
            udp(from, to, address, size)?;
        }
        look()?;
    }
    Ok(())
}

/// [`exchange`] with a peer. Packets on the wire are packets that were counted, and none is
/// dropped. Gives what the wire has seen.
pub fn talk(site: &Site, tenant: Tenant) -> Result<Vec<Nvgre>> {
    let tap = Tap::open(site)?;
    let before = Counts::of(site, tenant)?;
    let mut seen = Vec::new();
    exchange(site, tenant, || {
        seen.extend(tap.drain_of(tenant)?);
        Ok(())
    })?;
    site.conserved()?;
    let drops = site.drops(0)?;
    ensure!(drops.is_empty(), "dropped: {drops:?}");
    seen.extend(tap.drain_of(tenant)?);
    let counted = Counts::of(site, tenant)?.since(&before);
    let ours = seen.iter().filter(|packet| packet.ours).count() as u64;
    let wire = Counts {
        encapped: ours,
        delivered: seen.len() as u64 - ours,
    };
    ensure!(counted == wire, "{counted:?}, but on the wire {wire:?}");
    Ok(seen)
}

/// While one tenant talks, the VMs of another hear nothing at all.
pub fn hears_nothing(site: &Site, talks: Tenant, other: Tenant) -> Result<()> {
    let open = |number| PacketSocket::open(site.vm(&format!("{}-vm{number}", other.name)), "eth0");
    let others: [PacketSocket; 2] = [open(1)?, open(2)?];
    talk(site, talks)?;
    for socket in others {
        let heard = socket.drain()?;
        ensure!(heard.is_empty(), "{} hears {heard:x?}", other.name);
    }
    Ok(())
}

/// Packets of a tenant's port as `nved` counted them.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    encapped: u64,
    delivered: u64,
}

impl Counts {
    fn of(site: &Site, tenant: Tenant) -> Result<Self> {
        let port = format!("{0}/{0}-vm1", tenant.name);
        Ok(Self {
            encapped: site.counter(0, &port, "egress_encapped")?,
            delivered: site.counter(0, &port, "ingress_delivered")?,
        })
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            encapped: self.encapped - before.encapped,
            delivered: self.delivered - before.delivered,
        }
    }
}
