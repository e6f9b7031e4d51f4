//! Ports of two VLANs and of an external interface, on one host.

use std::collections::BTreeMap;

use super::*;
use crate::{
    abi::{
        config::Config, lookup::LookupRecord, rewrite::RewriteEntry, underlay::NextHop,
        vport::LocalPortKey, vsid::VirtualSubnet,
    },
    forward::Answer,
    id::Address,
};

const UPLINK: u32 = 2;
const EXTERNAL: u32 = 3;
const OFFICE: u16 = 100;
const LAB: u16 = 200;
/// Of the outside world.
const FAR: Mac = Mac([2, 0, 0, 0, 0, 99]);

#[derive(Default)]
struct Host {
    vports: BTreeMap<u32, Vport>,
    local_ports: BTreeMap<LocalPortKey, u32>,
}

impl Tables for Host {
    fn config(&self) -> Option<&Config> {
        None
    }
    fn vport(&self, ifindex: u32) -> Option<&Vport> {
        self.vports.get(&ifindex)
    }
    fn port_has_ca(&self, _slot: u32, _ca: Address) -> bool {
        false
    }
    fn local_port(&self, scope: u32, mac: Mac) -> Option<u32> {
        self.local_ports
            .get(&LocalPortKey::new(scope, mac))
            .copied()
    }
    fn lookup(&self, _rdid: u32, _ca: Address, _record: &mut LookupRecord) -> Answer {
        Answer::Absent
    }
    fn route(&self, _scope: u32, _ca: Address) -> Option<&LookupRecord> {
        None
    }
    fn station(&self, _vsid: u32, _mac: Mac) -> Option<&LookupRecord> {
        None
    }
    fn flood(&self, _scope: u32) -> Option<&Flood> {
        None
    }
    fn next_hop(&self, _pa_index: u32) -> Option<&NextHop> {
        None
    }
    fn subnet(&self, _vsid: u32) -> Option<&VirtualSubnet> {
        None
    }
    fn is_local_pa(&self, _pa: Address) -> bool {
        false
    }
    fn rewrite(&self, _pa: Address) -> Option<&RewriteEntry> {
        None
    }
}

const fn mac(ifindex: u32) -> Mac {
    Mac([2, 0, 0, 0, 0, ifindex as u8])
}

/// 10, 11: in `OFFICE`, untagged; 12: in `OFFICE`, tags itself; 13: in `LAB`; 14, 15: external;
/// 16: without isolation.
fn host() -> Host {
    let mut host = Host::default();
    let untagged = Vport::TAGS | Vport::UNTAGGED;
    for (ifindex, flags, link, vlan) in [
        (10, untagged, UPLINK, OFFICE),
        (11, untagged, UPLINK, OFFICE),
        (12, Vport::TAGS, UPLINK, OFFICE),
        (13, untagged, UPLINK, LAB),
        (14, Vport::EXTERNAL, EXTERNAL, 0),
        (15, Vport::EXTERNAL, EXTERNAL, 0),
        (16, Vport::PASSES, 0, 0),
    ] {
        let mut port = Vport::default();
        (port.slot, port.mtu, port.mac) = (ifindex, 1500, mac(ifindex));
        (port.flags, port.link, port.vlan) = (flags, link, vlan);
        if !port.has(Vport::PASSES) {
            let key = LocalPortKey::new(scope_of(&port), port.mac);
            host.local_ports.insert(key, ifindex);
        }
        host.vports.insert(ifindex, port);
    }
    host
}

/// A frame without tags.
const fn frame(src: Mac, dst: Mac) -> Switched {
    Switched {
        dst,
        src,
        tags: 0,
        vlan: 0,
        packet: 1500,
    }
}

/// The same with tags, the first of a VLAN.
const fn tagged(frame: Switched, vlan: u16, tags: u8) -> Switched {
    Switched {
        tags,
        vlan,
        ..frame
    }
}

fn sent(frame: Switched) -> Result<(To, u32, bool), DropReason> {
    let host = host();
    let from = host.vports[&u32::from(frame.src.0[5])];
    egress(&host, &from, &frame).map(|way| (way.to, way.ifindex, way.tagged))
}

fn received(link: u32, scope: u32, frame: Switched) -> Result<(To, u32, bool), DropReason> {
    ingress(&host(), link, scope, &frame).map(|way| (way.to, way.ifindex, way.tagged))
}

#[test]
fn a_port_without_isolation_is_the_hosts() {
    let odd = tagged(frame(mac(16), FAR), OFFICE, 3);
    assert_eq!(sent(odd), Ok((To::Host, 0, false)));
    let forged = Switched { src: FAR, ..odd };
    let (host, from) = (host(), host().vports[&16]);
    let way = egress(&host, &from, &forged).expect("it is the host's to judge");
    assert_eq!(way.to, To::Host);
}

#[test]
fn a_vlans_frames_are_tagged_on_the_wire_only() {
    assert_eq!(sent(frame(mac(10), FAR)), Ok((To::Link, UPLINK, true)));
    assert_eq!(
        sent(frame(mac(10), Mac::BROADCAST)),
        Ok((To::All, UPLINK, true))
    );
    assert_eq!(sent(frame(mac(10), mac(11))), Ok((To::Port, 11, false)));
    assert_eq!(sent(frame(mac(10), mac(12))), Ok((To::Port, 12, true)));
    // Another VLAN's port is as far as anybody.
    assert_eq!(sent(frame(mac(10), mac(13))), Ok((To::Link, UPLINK, true)));
}

#[test]
fn a_port_that_tags_sends_its_own_vlan_and_nothing_else() {
    let own = frame(mac(12), FAR);
    assert_eq!(sent(own), Err(DropReason::VlanForeign));
    assert_eq!(sent(tagged(own, LAB, 1)), Err(DropReason::VlanForeign));
    assert_eq!(sent(tagged(own, OFFICE, 2)), Err(DropReason::VlanForeign));
    assert_eq!(sent(tagged(own, OFFICE, 1)), Ok((To::Link, UPLINK, true)));
    let near = tagged(frame(mac(12), mac(10)), OFFICE, 1);
    assert_eq!(sent(near), Ok((To::Port, 10, false)));
}

#[test]
fn an_untagged_port_may_say_its_vlan_and_no_other() {
    let own = frame(mac(10), FAR);
    assert_eq!(sent(tagged(own, OFFICE, 1)), Ok((To::Link, UPLINK, true)));
    for (vlan, tags) in [(LAB, 1), (0, 1), (OFFICE, 2), (OFFICE, 3)] {
        assert_eq!(sent(tagged(own, vlan, tags)), Err(DropReason::VlanForeign));
    }
}

#[test]
fn forged_oversize_and_own_frames_end_here() {
    let (host, from) = (host(), host().vports[&10]);
    let forged = egress(&host, &from, &frame(FAR, mac(11)));
    assert_eq!(forged, Err(DropReason::SpoofMac));
    assert_eq!(sent(frame(mac(10), mac(10))), Err(DropReason::Hairpin));
    let mut large = frame(mac(14), FAR);
    large.packet = 1501;
    assert_eq!(sent(large), Err(DropReason::PortMtu));
}

#[test]
fn external_frames_go_as_they_are() {
    assert_eq!(sent(frame(mac(14), FAR)), Ok((To::Link, EXTERNAL, false)));
    let stacked = tagged(frame(mac(14), FAR), LAB, 2);
    assert_eq!(sent(stacked), Ok((To::Link, EXTERNAL, true)));
    assert_eq!(sent(frame(mac(14), mac(15))), Ok((To::Port, 15, false)));
    let near = tagged(frame(mac(14), mac(15)), LAB, 1);
    assert_eq!(sent(near), Ok((To::Port, 15, true)));
}

#[test]
fn the_wire_reaches_the_ports_of_the_tags_vlan() {
    let scope = scope::of_vlan(OFFICE);
    let from_wire = |dst, tags| received(UPLINK, scope, tagged(frame(FAR, dst), OFFICE, tags));
    assert_eq!(from_wire(mac(10), 1), Ok((To::Port, 10, false)));
    assert_eq!(from_wire(mac(12), 1), Ok((To::Port, 12, true)));
    assert_eq!(from_wire(mac(13), 1), Ok((To::Host, 0, true)));
    assert_eq!(from_wire(FAR, 1), Ok((To::Host, 0, true)));
    assert_eq!(from_wire(mac(10), 2), Err(DropReason::VlanForeign));
    assert_eq!(from_wire(Mac::BROADCAST, 1), Ok((To::All, UPLINK, true)));
    assert_eq!(from_wire(Mac::BROADCAST, 2), Ok((To::Host, 0, true)));
    // Another uplink has other VLANs.
    let elsewhere = received(UPLINK + 7, scope, tagged(frame(FAR, mac(10)), OFFICE, 1));
    assert_eq!(elsewhere, Ok((To::Host, 0, true)));
}

#[test]
fn an_external_interface_reaches_its_ports_with_any_tags() {
    let scope = scope::of_interface(EXTERNAL);
    let plain = frame(FAR, mac(14));
    assert_eq!(received(EXTERNAL, scope, plain), Ok((To::Port, 14, false)));
    let stacked = tagged(plain, LAB, 2);
    assert_eq!(received(EXTERNAL, scope, stacked), Ok((To::Port, 14, true)));
    let other = frame(FAR, mac(10));
    assert_eq!(received(EXTERNAL, scope, other), Ok((To::Host, 0, false)));
}
