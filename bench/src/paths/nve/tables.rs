//! What stands in the tables of each host.

use std::net::Ipv4Addr;

use anyhow::Result;
use dataplane_common::{
    abi::{
        lookup::{LookupKey, LookupKey4, LookupRecord},
        port_ca::PortCaKey,
        route,
        underlay::NextHop,
        vport::{LocalPortKey, Vport},
        vsid::VirtualSubnet,
    },
    id::{Address, Mac},
};
use dataplane_user::policy::table_image::{Prefix, TableImage};
use ipnet::Ipv4Net;

use crate::{
    paths::{
        frames::{VSID, octets},
        room,
        route::DECAP_TO,
        topology::{
            FIRST_KEY, HOST_A, HOST_B, MAC_A, MAC_B, MAC_HOST_A, MAC_HOST_B, TENANT_A, TENANT_MTU,
            Topology, UNDERLAY_MTU, ifindex,
        },
    },
    scenario::{Scenario, Work},
};

/// Routing domain of the tenants.
pub(super) const RDID: u32 = 1;
/// Slot of the port `a`.
pub(super) const SLOT_A: u32 = 1;
/// Slot of the port `b`.
const SLOT_B: u32 = 2;
/// Our own PA.
const HERE: u32 = 1;
/// The other host's.
const THERE: u32 = 2;

/// A host to start.
pub(super) struct Spec {
    /// `true`: `host-b`.
    pub(super) is_b: bool,
    /// Devices of ports.
    pub(super) ports: Vec<&'static str>,
    /// Everything but the many records.
    pub(super) image: TableImage,
    /// Room for lookup records.
    pub(super) room: u32,
    /// How many keys have a record.
    pub(super) keys: u32,
    /// The record of each of them.
    pub(super) record: LookupRecord,
    /// The slot of the port that may use all keys as its own, if one may.
    pub(super) owner: Option<u32>,
}

/// The hosts of a scenario; the first one is where keys are looked up.
pub(super) fn hosts(scenario: &Scenario, topology: &Topology) -> Result<Vec<Spec>> {
    let a = || host(scenario, topology, false);
    let b = || host(scenario, topology, true);
    match scenario.work {
        Work::Encap | Work::SameHost | Work::Drop(_) => Ok(vec![a()?]),
        Work::Decap => Ok(vec![b()?]),
        Work::EncapDecap => Ok(vec![a()?, b()?]),
    }
}

/// The key of a record.
pub(super) fn key(number: u32) -> LookupKey4 {
    LookupKey4 {
        rdid: RDID,
        ca: ca(number),
    }
}

/// The CA of a record.
pub(super) fn ca(number: u32) -> [u8; 4] {
    FIRST_KEY.wrapping_add(number).to_be_bytes()
}

fn host(scenario: &Scenario, topology: &Topology, is_b: bool) -> Result<Spec> {
    let netns = topology.host(is_b);
    let mut spec = Spec {
        is_b,
        ports: Vec::new(),
        image: underlay(is_b, ifindex(netns, "eth0")?),
        room: room::room(scenario.records),
        keys: room::keys(scenario.records),
        record: remote(),
        owner: None,
    };
    if !is_b {
        let index = ifindex(netns, "a1")?;
        add_port(&mut spec.image, (SLOT_A, MAC_A, octets(TENANT_A)), index);
        spec.ports.push("a1");
    }
    if is_b || scenario.work == Work::SameHost {
        let index = ifindex(netns, "b1")?;
        add_b(&mut spec, scenario.work, index);
    }
    Ok(spec)
}

/// The port `b`, whose are all keys unless packets come from them, and what it needs for answers.
fn add_b(spec: &mut Spec, work: Work, ifindex: u32) {
    let decap = work == Work::Decap;
    let own = if decap { DECAP_TO } else { ca(0) };
    add_port(&mut spec.image, (SLOT_B, MAC_B, own), ifindex);
    spec.ports.push("b1");
    if decap {
        return;
    }
    spec.record = local(MAC_B, ifindex);
    spec.owner = Some(SLOT_B);
    if spec.is_b {
        let peer = LookupKey {
            rdid: RDID,
            ca: octets(TENANT_A).into(),
        };
        let to_a = LookupRecord {
            mac: MAC_A,
            ..remote()
        };
        spec.image.lookup.insert(peer, to_a);
    }
}

fn remote() -> LookupRecord {
    LookupRecord {
        vsid: VSID,
        pa_index: THERE,
        ifindex: 0,
        mac: MAC_B,
        flags: 0,
    }
}

fn local(mac: Mac, ifindex: u32) -> LookupRecord {
    LookupRecord {
        vsid: VSID,
        pa_index: HERE,
        ifindex,
        mac,
        flags: LookupRecord::LOCAL,
    }
}

fn underlay(is_b: bool, uplink: u32) -> TableImage {
    let a = (HOST_A, MAC_HOST_A);
    let b = (HOST_B, MAC_HOST_B);
    let (here, there) = if is_b { (b, a) } else { (a, b) };
    let own = Address::v4(octets(here.0));
    let mut image = TableImage::default();
    image.local_pas.insert(own);
    let routes = route::of_domain(RDID);
    let subnet = VirtualSubnet {
        rdid: RDID,
        flags: 0,
        routes,
    };
    image.subnets.insert(VSID, subnet);
    let on_link = LookupRecord {
        flags: LookupRecord::ON_LINK,
        ..LookupRecord::negative(VSID)
    };
    // Keys of records, and those of nobody.
    let prefix = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 7);
    let prefix = Prefix::new(routes, prefix.into());
    image.routes.insert(prefix, on_link);
    for (index, (address, mac)) in [(HERE, here), (THERE, there)] {
        let mut hop = NextHop::unrouted(octets(address).into(), own);
        hop.ifindex = uplink;
        hop.state = NextHop::RESOLVED;
        hop.path_mtu = UNDERLAY_MTU;
        hop.src_mac = here.1;
        hop.dst_mac = mac;
        image.underlay.insert(index, hop);
    }
    image
}

fn add_port(image: &mut TableImage, (slot, mac, ca): (u32, Mac, [u8; 4]), ifindex: u32) {
    let ca = Address::v4(ca);
    let vport = Vport {
        slot,
        rdid: RDID,
        vsid: VSID,
        routes: route::of_domain(RDID),
        mtu: TENANT_MTU,
        flags: Vport::PEER,
        mac,
        gateway_mac: Mac([2, 0xEE, 0, 0, 0, 1]),
        cas: [ca, Address::UNSPECIFIED],
        ..Vport::default()
    };
    image.vports.insert(ifindex, vport);
    image.port_cas.insert(PortCaKey { slot, ca });
    image
        .local_ports
        .insert(LocalPortKey::new(VSID, mac), ifindex);
    let key = LookupKey { rdid: RDID, ca };
    image.lookup.insert(key, local(mac, ifindex));
}
