//! What stands in the tables of each host.

use std::net::Ipv4Addr;

use anyhow::Result;
use dataplane_common::{
    abi::{lookup::LookupRecord, vport::Vport},
    id::{Address, Mac},
};
use dataplane_user::policy::table_image::TableImage;

use super::rewriting;
use crate::{
    paths::{
        frames::octets,
        room,
        route::DECAP_TO,
        topology::{
            FIRST_KEY, HOST_A, HOST_B, MAC_A, MAC_B, MAC_HOST_A, MAC_HOST_B, PA_A, TENANT_A,
            Topology, UNDERLAY_MTU, ifindex,
        },
    },
    scenario::{Scenario, Work},
    tables::{self, Port, Station, Uplink, VSID, key},
};

/// Slot of the port `a`.
pub(super) const SLOT_A: u32 = 1;
/// Slot of the port `b`.
const SLOT_B: u32 = 2;
/// Our own PA.
const HERE: u32 = 1;
/// The other host's.
const THERE: u32 = 2;
/// Index of the PA that the port's CA has of its own.
pub(super) const OWN: u32 = 3;
/// Index of the PA that the other port's CA has.
pub(super) const OTHER: u32 = 4;
/// Indexes of the PAs of keys begin here.
pub(super) const FIRST_INDEX: u32 = 8;

/// A host to start.
pub(super) struct Spec {
    /// `true`: `host-b`.
    pub(super) is_b: bool,
    /// Devices of ports.
    pub(super) ports: Vec<&'static str>,
    /// Everything but the many records.
    pub(super) image: TableImage,
    /// How it meets the underlay.
    pub(super) uplink: Uplink,
    /// Room for lookup records.
    pub(super) room: u32,
    /// How many keys have a record.
    pub(super) keys: u32,
    /// The record of each of them.
    pub(super) record: LookupRecord,
    /// How many of them have a PA of their own.
    pub(super) pas: u32,
    /// The slot of the port that has all keys as its own, if one has.
    pub(super) owner: Option<u32>,
}

impl Spec {
    /// The record of a key.
    pub(super) fn record(&self, number: u32) -> LookupRecord {
        let mut record = self.record;
        if number < self.pas {
            record.pa_index = FIRST_INDEX + number;
            record.flags |= LookupRecord::REWRITE;
        }
        record
    }
}

/// The hosts of a scenario; the first one is where keys are looked up.
pub(super) fn hosts(scenario: &Scenario, topology: &Topology) -> Result<Vec<Spec>> {
    let a = || host(scenario, topology, false);
    let b = || host(scenario, topology, true);
    match scenario.work {
        Work::Encap | Work::RewriteOut | Work::SameHost | Work::Drop(_) => Ok(vec![a()?]),
        Work::Decap | Work::RewriteIn => Ok(vec![b()?]),
        Work::EncapDecap | Work::RewriteOutIn => Ok(vec![a()?, b()?]),
    }
}

/// The CA of a record.
pub(super) fn ca(number: u32) -> [u8; 4] {
    FIRST_KEY.wrapping_add(number).to_be_bytes()
}

fn host(scenario: &Scenario, topology: &Topology, is_b: bool) -> Result<Spec> {
    let netns = topology.host(is_b);
    let (image, uplink) = underlay(is_b, ifindex(netns, "eth0")?);
    let mut spec = Spec {
        is_b,
        ports: Vec::new(),
        image,
        uplink,
        room: room::room(scenario.records),
        keys: room::keys(scenario.records),
        record: remote(MAC_B),
        pas: 0,
        owner: None,
    };
    let rewrites = scenario.work.rewrites();
    if !is_b {
        let own = rewrites.then_some((Address::v4(PA_A), OWN));
        let index = ifindex(netns, "a1")?;
        add_port(
            &mut spec,
            "a1",
            (SLOT_A, MAC_A, octets(TENANT_A)),
            (index, own),
        );
    }
    if is_b || scenario.work == Work::SameHost {
        let index = ifindex(netns, "b1")?;
        add_b(&mut spec, scenario.work, index);
    }
    if rewrites {
        spec.pas = room::asked(scenario);
        rewriting::add(&mut spec, scenario.work);
    }
    Ok(spec)
}

/// The port `b`, which packets to all keys are for unless they come from them, and what it needs for
/// answers. It is a next hop, that gets what routes lead to it for: no VM has a million CAs of its own,
/// and a table of those (`PORT_CAS`) would be what is measured. CAs that have PAs are its own.
fn add_b(spec: &mut Spec, work: Work, ifindex: u32) {
    let from_keys = matches!(work, Work::Decap | Work::RewriteIn);
    let ca = if from_keys { DECAP_TO } else { ca(0) };
    let own = work.rewrites().then(|| rewriting::own_of_b(work));
    add_port(spec, "b1", (SLOT_B, MAC_B, ca), (ifindex, own));
    if from_keys {
        return;
    }
    spec.record = local(MAC_B, ifindex);
    if work.rewrites() {
        spec.owner = Some(SLOT_B);
    } else if let Some(vport) = spec.image.vports.get_mut(&ifindex) {
        vport.flags |= Vport::FORWARDS;
    }
    if spec.is_b {
        let to_a = remote(MAC_A);
        spec.image.lookup.insert(key(octets(TENANT_A)), to_a);
    }
}

pub(super) const fn remote(mac: Mac) -> LookupRecord {
    LookupRecord {
        vsid: VSID,
        pa_index: THERE,
        ifindex: 0,
        mac,
        flags: 0,
    }
}

fn local(mac: Mac, ifindex: u32) -> LookupRecord {
    LookupRecord {
        pa_index: HERE,
        ifindex,
        flags: LookupRecord::LOCAL,
        ..remote(mac)
    }
}

fn underlay(is_b: bool, ifindex: u32) -> (TableImage, Uplink) {
    let station = |address, mac| Station {
        pa: Address::v4(octets(address)),
        mac,
    };
    let a = station(HOST_A, MAC_HOST_A);
    let b = station(HOST_B, MAC_HOST_B);
    let (own, there) = if is_b { (b, a) } else { (a, b) };
    let uplink = Uplink {
        own,
        ifindex,
        mtu: UNDERLAY_MTU,
    };
    let mut image = TableImage::default();
    image.local_pas.insert(own.pa);
    image.config.pas = [own.pa, Address::UNSPECIFIED];
    // Keys of records, and those of nobody.
    tables::subnet(&mut image, VSID, (Ipv4Addr::new(10, 0, 0, 0), 7));
    image.underlay.insert(HERE, uplink.hop(own));
    image.underlay.insert(THERE, uplink.hop(there));
    (image, uplink)
}

fn add_port(
    spec: &mut Spec,
    device: &'static str,
    (slot, mac, ca): (u32, Mac, [u8; 4]),
    (ifindex, pa): (u32, Option<(Address, u32)>),
) {
    let port = Port {
        slot,
        ifindex,
        mac,
        ca: Address::v4(ca),
        gateway: Mac([2, 0xEE, 0, 0, 0, 1]),
        flags: Vport::PEER,
        pa,
    };
    if let Some((pa, index)) = pa {
        let mac = spec.uplink.own.mac;
        let hop = spec.uplink.hop(Station { pa, mac });
        spec.image.underlay.insert(index, hop);
    }
    tables::port(&mut spec.image, &port, HERE);
    spec.ports.push(device);
}
