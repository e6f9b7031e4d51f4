//! PAs of ports here, as the underlay sees them. Pure.
//!
//! They are on no interface of the host: the programs answer who asks for them, and receive what is
//! sent to them. What lets a question or a packet come as far as the programs is worked out here.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

use dataplane_common::{
    abi::rewrite::RewriteEntry,
    id::{Address, Mac},
};

use super::groups::Member;
use crate::policy::table_image::TableImage;

/// What a PA is to its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// The interface that it is reached by.
    pub ifindex: u32,
    /// Its MAC.
    pub mac: Mac,
    /// That is the VM's and not the interface's (`useVmMACAddress`).
    pub of_vm: bool,
}

/// By PA.
pub type Present = BTreeMap<IpAddr, Station>;

/// The PAs that the programs answer for: of attached ports, where a route leads out of an uplink.
pub fn present(image: &TableImage) -> Present {
    let own = image.rewrites.iter();
    own.filter_map(|(pa, entry)| Some((IpAddr::from(*pa), station(image, entry)?)))
        .collect()
}

fn station(image: &TableImage, entry: &RewriteEntry) -> Option<Station> {
    let hop = image.underlay.get(&entry.pa_index)?;
    let here = entry.has(RewriteEntry::LOCAL) && entry.ifindex != 0 && hop.ifindex != 0;
    let of_vm = entry.has(RewriteEntry::VM_MAC);
    here.then_some(Station {
        ifindex: hop.ifindex,
        mac: if of_vm { entry.mac } else { hop.src_mac },
        of_vm,
    })
}

/// Whether a PA is of a port here, attached or not.
pub fn is_of_port(image: &TableImage, pa: IpAddr) -> bool {
    let entry = image.rewrites.get(&Address::from(pa));
    entry.is_some_and(|entry| entry.has(RewriteEntry::LOCAL))
}

/// The groups to which neighbours send when they ask for IPv6 PAs.
pub fn solicited(present: &Present) -> impl Iterator<Item = Member> {
    present.iter().filter_map(|(pa, station)| match pa {
        IpAddr::V4(_) => None,
        IpAddr::V6(pa) => Some((solicited_node(*pa).into(), station.ifindex)),
    })
}

/// The solicited-node multicast address (RFC 4291, section 2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    let low = u16::from_be_bytes([b, c]);
    Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 1, 0xFF00 | u16::from(a), low)
}

/// The MACs that interfaces shall take frames for beside their own.
pub fn foreign_macs(present: &Present) -> BTreeSet<(u32, Mac)> {
    let stations = present.values().filter(|station| station.of_vm);
    stations.map(|s| (s.ifindex, s.mac)).collect()
}

#[cfg(test)]
mod tests {
    use dataplane_common::abi::underlay::NextHop;

    use super::*;

    const HOST: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const VM: Mac = Mac([2, 0, 0, 0, 1, 1]);

    /// A host with one PA, whose port is device `port` and which is reached by device `uplink`.
    fn image(pa: IpAddr, (port, uplink): (u32, u32), flags: u16) -> TableImage {
        let mut image = TableImage::default();
        let mut hop = NextHop::unrouted(pa.into(), Address::UNSPECIFIED);
        (hop.ifindex, hop.src_mac) = (uplink, HOST);
        image.underlay.insert(3, hop);
        let entry = RewriteEntry {
            rdid: 1,
            vsid: 6001,
            ifindex: port,
            pa_index: 3,
            ca: Address::v4([10, 0, 0, 5]),
            mac: VM,
            flags,
        };
        image.rewrites.insert(pa.into(), entry);
        image
    }

    #[test]
    fn a_pa_is_present_while_its_port_is_attached_and_an_uplink_leads_to_it() {
        let pa = IpAddr::from([192, 0, 2, 5]);
        let (local, vm) = (RewriteEntry::LOCAL, RewriteEntry::VM_MAC);
        let found = |devices, flags| present(&image(pa, devices, flags)).remove(&pa);
        let station = Station {
            ifindex: 2,
            mac: HOST,
            of_vm: false,
        };
        assert_eq!(found((9, 2), local), Some(station));
        let told = found((9, 2), local | vm).expect("it is there");
        assert_eq!((told.mac, told.of_vm), (VM, true));
        assert_eq!(found((0, 2), local), None);
        assert_eq!(found((9, 0), local), None);
        assert_eq!(found((9, 2), vm), None);
        assert!(is_of_port(&image(pa, (0, 0), local), pa));
        assert!(!is_of_port(&image(pa, (9, 2), vm), pa));
    }

    #[test]
    fn questions_for_ipv6_pas_come_to_their_groups() {
        let pa: Ipv6Addr = "2001:db8::a12:3456:789a".parse().expect("an address");
        let group: Ipv6Addr = "ff02::1:ff56:789a".parse().expect("an address");
        assert_eq!(solicited_node(pa), group);
        let six = present(&image(pa.into(), (9, 2), RewriteEntry::LOCAL));
        let groups: Vec<_> = solicited(&six).collect();
        assert_eq!(groups, [(IpAddr::from(group), 2)]);
        let four = image([192, 0, 2, 5].into(), (9, 2), RewriteEntry::LOCAL);
        assert_eq!(solicited(&present(&four)).count(), 0);
    }

    #[test]
    fn an_interface_takes_frames_for_the_macs_of_vms_that_use_them() {
        let pa = IpAddr::from([192, 0, 2, 5]);
        let own = present(&image(pa, (9, 2), RewriteEntry::LOCAL));
        assert_eq!(foreign_macs(&own), BTreeSet::new());
        let flags = RewriteEntry::LOCAL | RewriteEntry::VM_MAC;
        let vms = present(&image(pa, (9, 2), flags));
        assert_eq!(foreign_macs(&vms), BTreeSet::from([(2, VM)]));
    }
}
