//! Tables with rule `TranslationMethodNat`: some CAs have PAs of their own.

use std::net::IpAddr;

use dataplane_common::{
    abi::{
        lookup::{LookupKey, LookupRecord},
        port_ca::PortCaKey,
        rewrite::RewriteEntry,
        underlay::NextHop,
        vport::Vport,
    },
    id::{Address, Mac},
};
use dataplane_user::policy::table_image::TableImage;

use super::{BLUE_RDID, RED_RDID, SENDER, ca, hop, two_tenants};

/// Last byte of the second CA of the sender of [`rewriting`], and of its PA.
pub const SECOND: u8 = 25;
/// MAC of the next hop on which packets to PAs go.
pub const NAT_HOP_MAC: Mac = Mac([2, 0, 0, 0, 1, 3]);

/// The PA of a CA: blue's are 198.51.100.LAST and 198.51.101.LAST, red's 198.51.102.LAST, by subnet;
/// or `2001:db8:64::LAST` and so on.
pub fn own_pa(v6: bool, rdid: u32, subnet: u8, last: u8) -> IpAddr {
    let tenant = if rdid == BLUE_RDID { 100 } else { 102 } + subnet;
    if v6 {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&[0x20, 1, 0x0D, 0xB8, 0, tenant]);
        bytes[15] = last;
        bytes.into()
    } else {
        [198, 51, tenant, last].into()
    }
}

/// Index of the routing domain whose PA this is; `None`: nobody's.
pub fn domain_of(pa: IpAddr) -> Option<u32> {
    let tenant = match pa {
        IpAddr::V4(pa) if pa.octets()[..2] == [198, 51] => u16::from(pa.octets()[2]),
        IpAddr::V6(pa) if pa.segments()[..2] == [0x2001, 0xDB8] => pa.segments()[2],
        IpAddr::V4(_) | IpAddr::V6(_) => return None,
    };
    match tenant {
        100 | 101 => Some(BLUE_RDID),
        102 => Some(RED_RDID),
        _ => None,
    }
}

/// Gives a station that has records PAs of its own, in both families; of a port here as well.
pub fn nat(image: &mut TableImage, rdid: u32, (subnet, last): (u8, u8), flags: u16) {
    for v6 in [false, true] {
        let key = LookupKey {
            rdid,
            ca: ca(v6, subnet, last).into(),
        };
        let Some(mut record) = image.lookup.get(&key) else {
            continue;
        };
        let before = image.underlay[&record.pa_index];
        let local = record.has(LookupRecord::LOCAL);
        let pa = own_pa(v6, rdid, subnet, last);
        let index = image.underlay.keys().max().map_or(1, |index| index + 1);
        let state = if local {
            NextHop::RESOLVED
        } else {
            before.state
        };
        hop(image, index, pa, state);
        let hop = image.underlay.get_mut(&index).expect("just made");
        hop.dst_mac = NAT_HOP_MAC;
        if local {
            // Questions come by the device of test runs.
            hop.ifindex = SENDER;
        }
        record.pa_index = index;
        record.flags |= LookupRecord::REWRITE;
        image.lookup.insert(key, record);
        let here = if local { RewriteEntry::LOCAL } else { 0 };
        let entry = RewriteEntry {
            rdid,
            vsid: record.vsid,
            ifindex: record.ifindex,
            pa_index: index,
            ca: key.ca,
            mac: record.mac,
            flags: here | flags,
        };
        image.rewrites.insert(pa.into(), entry);
        if let Some(port) = image.vports.get_mut(&record.ifindex) {
            let place = usize::from(v6);
            port.flags |= Vport::REWRITES;
            if port.cas[place] == key.ca {
                port.pas[place] = pa.into();
            }
            if flags & RewriteEntry::VM_MAC != 0 {
                port.flags |= Vport::VM_MAC;
            }
        }
    }
    image.config.rewrites = 1;
}

/// The sender gets a second CA in each family, with a record of its own.
pub fn second_ca(image: &mut TableImage) {
    for v6 in [false, true] {
        let mut key = LookupKey {
            rdid: BLUE_RDID,
            ca: ca(v6, 0, 5).into(),
        };
        let record = image.lookup.get(&key).expect("the record");
        key.ca = ca(v6, 0, SECOND).into();
        image.lookup.insert(key, record);
        let slot = image.vports[&SENDER].slot;
        image.port_cas.insert(PortCaKey { slot, ca: key.ca });
    }
}

/// Blue's sender and 10.0.1.16 here, 10.0.0.7, .33, .44, .55 and 10.0.1.9 elsewhere have PAs of their own, and so
/// have both of red's 10.0.0.5 and 10.0.0.7. The PA of 10.0.1.16 is reached by another interface.
pub fn rewriting() -> TableImage {
    rewriting_here(true)
}

/// The same; whether the sender has one.
pub fn rewriting_here(sender: bool) -> TableImage {
    let mut image = two_tenants();
    second_ca(&mut image);
    if sender {
        nat(&mut image, BLUE_RDID, (0, 5), 0);
        nat(&mut image, BLUE_RDID, (0, SECOND), 0);
    }
    for station in [(0, 7), (0, 33), (0, 44), (0, 55), (1, 9)] {
        nat(&mut image, BLUE_RDID, station, 0);
    }
    nat(&mut image, BLUE_RDID, (1, 16), RewriteEntry::VM_MAC);
    for station in [(0, 5), (0, 7)] {
        nat(&mut image, RED_RDID, station, RewriteEntry::VM_MAC);
    }
    for v6 in [false, true] {
        let pa: Address = own_pa(v6, BLUE_RDID, 1, 16).into();
        let index = image.rewrites[&pa].pa_index;
        image.underlay.get_mut(&index).expect("its own").ifindex = super::UPLINK_DEVICE;
    }
    image
}

/// The same as [`rewriting`] with the VM's MAC on the wire.
pub fn with_vm_mac() -> TableImage {
    let mut image = rewriting();
    super::sender(&mut image).flags |= Vport::VM_MAC;
    image
}
