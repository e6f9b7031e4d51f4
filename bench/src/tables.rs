//! The parts that the tables of every measured host have in common, and their way into maps.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use aya::maps::lpm_trie::Key;
use dataplane_common::{
    abi::{
        lookup::{LookupEntry, LookupKey, LookupRecord},
        port_ca::PortCaKey,
        rewrite::RewriteEntry,
        route,
        underlay::NextHop,
        vport::{LocalPortKey, Vport},
        vsid::VirtualSubnet,
    },
    id::{Address, Mac},
};
use dataplane_user::{
    dataplane::maps::Maps,
    policy::table_image::{Prefix, TableImage},
};
use ipnet::Ipv4Net;
use xtask::lab::interrupted;

/// VSID of the tenants' subnet.
pub const VSID: u32 = 6001;
/// Routing domain of the tenants.
pub(crate) const RDID: u32 = 1;
/// Largest layer-3 packet of a tenant, bytes.
pub(crate) const TENANT_MTU: u16 = 1500;
/// Records between two looks for Ctrl-C: some hundredths of a second.
const LOOK_EVERY: u32 = 1 << 16;

/// The key of a CA.
pub(crate) fn key(ca: impl Into<Address>) -> LookupKey {
    LookupKey {
        rdid: RDID,
        ca: ca.into(),
    }
}

/// Makes the subnet with this VSID be there; `prefix` is all that it may have.
pub(crate) fn subnet(image: &mut TableImage, vsid: u32, (prefix, len): (Ipv4Addr, u8)) {
    let routes = route::of_domain(RDID);
    let subnet = VirtualSubnet {
        rdid: RDID,
        flags: 0,
        routes,
    };
    image.subnets.insert(vsid, subnet);
    let on_link = LookupRecord {
        flags: LookupRecord::ON_LINK,
        ..LookupRecord::negative(vsid)
    };
    let prefix = Prefix::new(routes, Ipv4Net::new_assert(prefix, len).into());
    image.routes.insert(prefix, on_link);
}

/// A PA, and the MAC that packets to it get.
#[derive(Clone, Copy)]
pub(crate) struct Station {
    pub(crate) pa: Address,
    pub(crate) mac: Mac,
}

/// Where a host meets the underlay.
#[derive(Clone, Copy)]
pub(crate) struct Uplink {
    pub(crate) own: Station,
    pub(crate) ifindex: u32,
    /// Layer 3, bytes.
    pub(crate) mtu: u16,
}

impl Uplink {
    /// How the host reaches a PA.
    pub(crate) fn hop(&self, to: Station) -> NextHop {
        let mut hop = NextHop::unrouted(to.pa, self.own.pa);
        hop.ifindex = self.ifindex;
        hop.state = NextHop::RESOLVED;
        hop.path_mtu = self.mtu;
        hop.src_mac = self.own.mac;
        hop.dst_mac = to.mac;
        hop
    }
}

/// A port, and what tells it from others.
#[derive(Clone, Copy)]
pub(crate) struct Port {
    pub(crate) slot: u32,
    pub(crate) ifindex: u32,
    pub(crate) mac: Mac,
    pub(crate) ca: Address,
    pub(crate) gateway: Mac,
    /// Of [`Vport`].
    pub(crate) flags: u16,
    /// The PA that its CA has of its own, and that one's index.
    pub(crate) pa: Option<(Address, u32)>,
}

/// Attaches a port; `here` is the index of the host's own PA.
pub(crate) fn port(image: &mut TableImage, port: &Port, here: u32) {
    let Port {
        slot,
        ifindex,
        mac,
        ca,
        ..
    } = *port;
    image.vports.insert(ifindex, vport(port));
    image.port_cas.insert(PortCaKey { slot, ca });
    image
        .local_ports
        .insert(LocalPortKey::new(VSID, mac), ifindex);
    let (pa_index, rewrite) = port
        .pa
        .map_or((here, 0), |(_, index)| (index, LookupRecord::REWRITE));
    let record = LookupRecord {
        vsid: VSID,
        pa_index,
        ifindex,
        mac,
        flags: LookupRecord::LOCAL | rewrite,
    };
    image.lookup.insert(key(ca), record);
    if let Some((pa, pa_index)) = port.pa {
        image
            .rewrites
            .insert(pa, stands_for(ca, mac, (pa_index, Some(ifindex))));
    }
}

/// The port's own entry.
pub(crate) fn vport(port: &Port) -> Vport {
    let rewrites = port.pa.map_or(0, |_| Vport::REWRITES);
    let pa = port.pa.map_or(Address::UNSPECIFIED, |(pa, _)| pa);
    Vport {
        slot: port.slot,
        rdid: RDID,
        vsid: VSID,
        routes: route::of_domain(RDID),
        mtu: TENANT_MTU,
        flags: port.flags | rewrites,
        mac: port.mac,
        gateway_mac: port.gateway,
        cas: [port.ca, Address::UNSPECIFIED],
        pas: [pa, Address::UNSPECIFIED],
        ..Vport::default()
    }
}

/// Whose a PA is: of a CA of a port here, with its device, or of one elsewhere.
pub(crate) fn stands_for(
    ca: Address,
    mac: Mac,
    (pa_index, ifindex): (u32, Option<u32>),
) -> RewriteEntry {
    RewriteEntry {
        rdid: RDID,
        vsid: VSID,
        ifindex: ifindex.unwrap_or(0),
        pa_index,
        ca,
        mac,
        flags: ifindex.map_or(0, |_| RewriteEntry::LOCAL),
    }
}

/// Writes the image into maps, all but devices.
pub(crate) fn write(maps: &mut Maps, image: &TableImage) -> Result<()> {
    maps.config.set(0, image.config, 0)?;
    for (index, hop) in &image.underlay {
        maps.underlay.set(*index, hop, 0)?;
    }
    for pa in &image.local_pas {
        maps.local_pas.insert(pa, 0, 0)?;
    }
    records(maps, image.lookup.iter())?;
    for (prefix, record) in &image.routes {
        maps.routes
            .insert(&Key::new(prefix.bits, prefix.key), record, 0)?;
    }
    for key in &image.port_cas {
        maps.port_cas.insert(key, 0, 0)?;
    }
    for (ifindex, vport) in &image.vports {
        maps.vports.insert(*ifindex, *vport)?;
    }
    for (key, ifindex) in &image.local_ports {
        maps.local_ports.insert(*key, *ifindex)?;
    }
    for (vsid, subnet) in &image.subnets {
        maps.subnets.insert(vsid, subnet, 0)?;
    }
    for (pa, entry) in &image.rewrites {
        maps.rewrites.insert(pa, entry, 0)?;
    }
    Ok(())
}

/// Writes lookup records.
pub(crate) fn records(
    maps: &mut Maps,
    records: impl Iterator<Item = (LookupKey, LookupRecord)>,
) -> Result<()> {
    for (number, (key, record)) in (0_u32..).zip(records) {
        if number.is_multiple_of(LOOK_EVERY) {
            interrupted()?;
        }
        maps.lookup
            .insert(&key, LookupEntry::from(record))
            .with_context(|| format!("cannot write lookup record {number}"))?;
    }
    Ok(())
}
