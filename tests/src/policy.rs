//! The tables that packet tests run against.
//!
//! The host has PAs 192.0.2.1 and `2001:db8::1`. Blue (VSID 6001) and red (VSID 7001) are different
//! routing domains with the same addresses and MACs: 10.0.0.5 and 10.0.0.6 here, 10.0.0.7 at
//! 192.0.2.2, 10.0.0.66 at `2001:db8::2`, gateway 10.0.0.1. Blue also has VSID 6002, 10.0.1.0/24:
//! 10.0.1.16 here, 10.0.1.9 at 192.0.2.2, and customer routes. Whoever has 10.0.N.M has
//! `fd00:N::M` too.

mod rewrite;
mod worlds;

use std::net::IpAddr;

use dataplane_common::{
    abi::{
        config::Config,
        lookup::{LookupKey, LookupRecord},
        port_ca::PortCaKey,
        route,
        underlay::NextHop,
        vport::{LocalPortKey, Vport},
        vsid::VirtualSubnet,
    },
    id::{Address, Mac},
};
use dataplane_user::policy::table_image::{Prefix, TableImage};

pub use rewrite::*;
pub use worlds::*;

/// Blue's VSID.
pub const BLUE: u32 = 6001;
/// Blue's other VSID.
pub const BLUE_OTHER: u32 = 6002;
/// Red's VSID.
pub const RED: u32 = 7001;
/// The device that frames come from in `BPF_PROG_TEST_RUN`: the loopback.
pub const SENDER: u32 = 1;
/// The underlay's device. Far behind those that a kernel with tunnels loaded puts into each namespace.
pub const UPLINK_DEVICE: u32 = 200;
/// Slot and last CA byte of blue's first port, which sends from [`SENDER`].
pub const BLUE_5: u32 = 1;
/// Slot of blue's 10.0.0.6.
pub const BLUE_6: u32 = 2;
/// Slot of red's 10.0.0.5.
pub const RED_5: u32 = 3;
/// Slot of red's 10.0.0.6.
pub const RED_6: u32 = 4;
/// Slot of blue's 10.0.1.16.
pub const BLUE_16: u32 = 5;
/// The last slot in use.
pub const LAST_SLOT: u32 = BLUE_16;
/// Devices of the ports but the sender's.
pub const DEVICES: [u32; 4] = [BLUE_6_DEVICE, RED_5_DEVICE, 222, BLUE_16_DEVICE];
/// Device of [`BLUE_6`].
pub const BLUE_6_DEVICE: u32 = 212;
/// Device of [`RED_5`].
pub const RED_5_DEVICE: u32 = 221;
/// Device of [`BLUE_16`].
pub const BLUE_16_DEVICE: u32 = 216;
/// MTU of the path to 192.0.2.2.
pub const PATH_MTU: u16 = 1600;
/// MTU of every port.
pub const PORT_MTU: u16 = 1500;
/// MAC of both gateways.
pub const GATEWAY_MAC: Mac = Mac([2, 0xEE, 0, 0, 0, 1]);
/// MAC of our underlay interface.
pub const OUR_MAC: Mac = Mac([2, 0, 0, 0, 1, 1]);
/// MAC of the next hop towards 192.0.2.2.
pub const HOP_MAC: Mac = Mac([2, 0, 0, 0, 1, 2]);
/// Our PAs.
pub const US: [u8; 4] = [192, 0, 2, 1];
/// The same, IPv6.
pub const US6: [u8; 16] = pa6(1);
/// The other host's PAs.
pub const PEER: [u8; 4] = [192, 0, 2, 2];
/// The same, IPv6.
pub const PEER6: [u8; 16] = pa6(2);

/// Index of blue's routing domain.
pub const BLUE_RDID: u32 = 1;
/// Index of red's.
pub const RED_RDID: u32 = 2;

const LOCAL_PA: u32 = 1;
const REMOTE_PA: u32 = 2;
const REMOTE_PA6: u32 = 6;

const fn pa6(last: u8) -> [u8; 16] {
    [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

/// The IPv6 CA `fd00:SUBNET::LAST`.
pub const fn ca6(subnet: u8, last: u8) -> [u8; 16] {
    [0xFD, 0, 0, subnet, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

/// The CA of this family: `10.0.SUBNET.LAST` or `fd00:SUBNET::LAST`.
pub fn ca(v6: bool, subnet: u8, last: u8) -> IpAddr {
    if v6 {
        ca6(subnet, last).into()
    } else {
        [10, 0, subnet, last].into()
    }
}

/// MAC of the VM with this last CA byte; the same in both tenants.
pub const fn vm(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

/// The whole picture of the module's description, `FlowID` off.
pub fn two_tenants() -> TableImage {
    let mut image = TableImage {
        config: Config {
            flow_id: 0,
            seed: 7,
            // As fast as they come: what the bucket does has tests of its own.
            flood_interval: 0,
            ..Config::DEFAULT
        },
        ..TableImage::default()
    };
    underlay(&mut image);
    for (rdid, vsid, subnet) in [
        (BLUE_RDID, BLUE, 0),
        (RED_RDID, RED, 0),
        (BLUE_RDID, BLUE_OTHER, 1),
    ] {
        add_subnet(&mut image, rdid, vsid, subnet);
        let gateway = (GATEWAY_MAC, 0, LookupRecord::GATEWAY);
        both(&mut image, (rdid, vsid), (subnet, 1), gateway);
    }
    for (rdid, vsid) in [(BLUE_RDID, BLUE), (RED_RDID, RED)] {
        both(&mut image, (rdid, vsid), (0, 7), (vm(7), REMOTE_PA, 0));
        both(&mut image, (rdid, vsid), (0, 66), (vm(66), REMOTE_PA6, 0));
    }
    let blue = (BLUE_RDID, BLUE);
    both(&mut image, blue, (0, 33), (vm(33), 3, 0));
    both(&mut image, blue, (0, 44), (vm(44), 4, 0));
    let absent = (vm(55), LOCAL_PA, LookupRecord::LOCAL);
    both(&mut image, blue, (0, 55), absent);
    let bare = (vm(77), REMOTE_PA, LookupRecord::NO_TRANSLATION);
    both(&mut image, blue, (0, 77), bare);
    let other = (BLUE_RDID, BLUE_OTHER);
    both(&mut image, other, (1, 9), (vm(9), REMOTE_PA, 0));
    port(&mut image, BLUE_5, blue, SENDER, (0, 5));
    let [blue_6, red_5, red_6, blue_16] = DEVICES;
    port(&mut image, BLUE_6, blue, blue_6, (0, 6));
    port(&mut image, RED_5, (RED_RDID, RED), red_5, (0, 5));
    port(&mut image, RED_6, (RED_RDID, RED), red_6, (0, 6));
    port(&mut image, BLUE_16, other, blue_16, (1, 16));
    customer_routes(&mut image);
    image
}

fn underlay(image: &mut TableImage) {
    let own = [US.into(), Address::v6(US6)];
    image.local_pas.extend(own);
    image.config.pas = own;
    hop(image, LOCAL_PA, US, NextHop::RESOLVED);
    hop(image, REMOTE_PA, PEER, NextHop::RESOLVED);
    hop(image, 3, [192, 0, 2, 3], NextHop::NO_NEIGHBOUR);
    hop(image, 4, [192, 0, 2, 4], NextHop::NO_ROUTE);
    hop(image, 5, US6, NextHop::RESOLVED);
    hop(image, REMOTE_PA6, PEER6, NextHop::RESOLVED);
}

fn add_subnet(image: &mut TableImage, rdid: u32, vsid: u32, subnet: u8) {
    let routes = route::of_domain(rdid);
    let entry = VirtualSubnet {
        rdid,
        flags: 0,
        routes,
    };
    image.subnets.insert(vsid, entry);
    let on_link = LookupRecord {
        flags: LookupRecord::ON_LINK,
        ..LookupRecord::negative(vsid)
    };
    for prefix in [format!("10.0.{subnet}.0/24"), format!("fd00:{subnet}::/64")] {
        put_route(image, routes, &prefix, on_link);
    }
}

/// Blue's: by a VM of the same subnet elsewhere, by one of the other subnet elsewhere and here, by
/// the sender itself.
fn customer_routes(image: &mut TableImage) {
    let scope = route::of_domain(BLUE_RDID);
    for (prefix, v6, subnet, last) in [
        ("203.0.113.0/24", false, 0, 7),
        ("2001:db8:a::/48", true, 0, 66),
        ("192.88.99.0/24", false, 1, 9),
        ("198.18.0.0/15", false, 1, 16),
        ("2001:db8:b::/48", true, 1, 16),
        ("100.64.0.0/10", false, 0, 5),
    ] {
        let ca = ca(v6, subnet, last).into();
        let rdid = BLUE_RDID;
        let via = image.lookup.get(&LookupKey { rdid, ca });
        let mut via = via.expect("the record");
        via.flags |= LookupRecord::VIA;
        put_route(image, scope, prefix, via);
    }
    let next_hop = image.vports.get_mut(&BLUE_16_DEVICE).expect("the port");
    next_hop.flags |= Vport::FORWARDS;
}

/// Adds a route.
pub fn put_route(image: &mut TableImage, scope: u32, prefix: &str, record: LookupRecord) {
    let prefix = prefix.parse().expect("a prefix");
    image.routes.insert(Prefix::new(scope, prefix), record);
}

/// Adds a PA of the underlay.
fn hop(image: &mut TableImage, index: u32, pa: impl Into<IpAddr>, state: u16) {
    let pa = pa.into();
    let src = if pa.is_ipv4() {
        US.into()
    } else {
        Address::v6(US6)
    };
    let mut hop = NextHop::unrouted(pa.into(), src);
    hop.ifindex = UPLINK_DEVICE;
    hop.state = state;
    hop.path_mtu = PATH_MTU;
    hop.src_mac = OUR_MAC;
    hop.dst_mac = HOP_MAC;
    image.underlay.insert(index, hop);
}

/// Adds the records of both of a station's CAs: MAC, PA index, flags.
fn both(
    image: &mut TableImage,
    (rdid, vsid): (u32, u32),
    (subnet, last): (u8, u8),
    (mac, pa_index, flags): (Mac, u32, u16),
) {
    for v6 in [false, true] {
        let ca = ca(v6, subnet, last).into();
        let record = LookupRecord {
            vsid,
            pa_index,
            ifindex: 0,
            mac,
            flags,
        };
        image.lookup.insert(LookupKey { rdid, ca }, record);
    }
}

fn port(
    image: &mut TableImage,
    slot: u32,
    (rdid, vsid): (u32, u32),
    ifindex: u32,
    (subnet, last): (u8, u8),
) {
    let cas = [false, true].map(|v6| Address::from(ca(v6, subnet, last)));
    let vport = Vport {
        slot,
        rdid,
        vsid,
        routes: route::of_domain(rdid),
        mtu: PORT_MTU,
        mac: vm(last),
        gateway_mac: GATEWAY_MAC,
        cas,
        ..Vport::default()
    };
    image.vports.insert(ifindex, vport);
    let key = LocalPortKey::new(vsid, vm(last));
    image.local_ports.insert(key, ifindex);
    let here = (vm(last), LOCAL_PA, LookupRecord::LOCAL);
    both(image, (rdid, vsid), (subnet, last), here);
    for ca in cas {
        image.port_cas.insert(PortCaKey { slot, ca });
        let key = LookupKey { rdid, ca };
        let mut record = image.lookup.get(&key).expect("just made");
        record.ifindex = ifindex;
        image.lookup.insert(key, record);
    }
}
