//! The same tables with more in them, or with one thing otherwise.

use dataplane_common::{
    abi::{
        flood::Flood,
        lookup::{LookupKey, LookupRecord},
        route,
        underlay::NextHop,
        vport::{LocalPortKey, Vport},
        vsid::VirtualSubnet,
    },
    id::Address,
};
use dataplane_user::policy::table_image::TableImage;

use super::{
    BLUE, BLUE_5, BLUE_6_DEVICE, BLUE_OTHER, BLUE_RDID, LOCAL_PA, RED, RED_5, RED_5_DEVICE,
    RED_RDID, REMOTE_PA, REMOTE_PA6, SENDER, UPLINK_DEVICE, hop, port, put_route, two_tenants, vm,
};

/// A group of blue's that has a PA group of its own.
pub const GROUP: [u8; 4] = [239, 7, 7, 7];
/// That PA group.
pub const PA_GROUP: [u8; 4] = [239, 1, 1, 1];
/// Index of the PA group.
const GROUP_PA: u32 = 7;
/// Last byte of the MAC of a station of which nothing else is known; at 192.0.2.2.
pub const STRANGER: u8 = 99;

/// The same with red's 10.0.0.5 as the sender.
pub fn red_sends() -> TableImage {
    let mut image = two_tenants();
    port(&mut image, BLUE_5, (BLUE_RDID, BLUE), 11, (0, 5));
    port(&mut image, RED_5, (RED_RDID, RED), SENDER, (0, 5));
    image.vports.remove(&RED_5_DEVICE);
    image
}

/// The same with blue's table on demand: 10.0.0.9 is nobody's, and of all other CAs that have no
/// record nothing is known.
pub fn blue_on_demand() -> TableImage {
    let mut image = two_tenants();
    image.config.upcall_ifindex = UPLINK_DEVICE;
    on_demand(&mut image, BLUE_RDID);
    let nobody = LookupKey {
        rdid: BLUE_RDID,
        ca: [10, 0, 0, 9].into(),
    };
    let negative = LookupRecord::negative(BLUE);
    image.lookup.insert(nobody, negative);
    image
}

/// Sets what `tableMode: onDemand` sets in a routing domain.
pub fn on_demand(image: &mut TableImage, rdid: u32) {
    for port in image.vports.values_mut().filter(|p| p.rdid == rdid) {
        port.flags |= Vport::ON_DEMAND;
    }
    for subnet in image.subnets.values_mut().filter(|s| s.rdid == rdid) {
        subnet.flags |= VirtualSubnet::ON_DEMAND;
    }
    let records = image.lookup.iter().map(|(key, mut record)| {
        if key.rdid == rdid && !record.has(LookupRecord::LOCAL | LookupRecord::GATEWAY) {
            record.flags |= LookupRecord::ON_DEMAND;
        }
        (key, record)
    });
    image.lookup = records.collect();
}

/// The same, and blue's ports learn their CAs and are told of their router, and a broadcast has more
/// receivers than programs copy for.
pub fn asking() -> TableImage {
    let mut image = blue_on_demand();
    flag(
        &mut image,
        BLUE,
        Vport::LEARNS | Vport::ADVERTISES | Vport::BROADCAST,
    );
    let subnet = image.subnets.get_mut(&BLUE).expect("blue");
    subnet.flags |= VirtualSubnet::BROADCAST;
    image.floods.insert(BLUE, Flood::new(&[], &[], true));
    image
}

/// The sender's port.
pub fn sender(image: &mut TableImage) -> &mut Vport {
    image.vports.get_mut(&SENDER).expect("the sender")
}

/// Sets a flag of every port of a subnet.
fn flag(image: &mut TableImage, vsid: u32, flag: u16) {
    for port in image.vports.values_mut().filter(|p| p.vsid == vsid) {
        port.flags |= flag;
    }
}

/// Blue with broadcast: its ports here, the hosts with these PA indexes.
pub fn broadcasting(pas: &[u32]) -> TableImage {
    let mut image = two_tenants();
    flag(&mut image, BLUE, Vport::BROADCAST);
    let subnet = image.subnets.get_mut(&BLUE).expect("blue");
    subnet.flags |= VirtualSubnet::BROADCAST;
    image
        .floods
        .insert(BLUE, Flood::new(&[SENDER, BLUE_6_DEVICE], pas, false));
    hop(&mut image, GROUP_PA, PA_GROUP, NextHop::RESOLVED);
    for (index, last) in [(8, 8), (9, 9)] {
        hop(&mut image, index, [192, 0, 2, last], NextHop::RESOLVED);
    }
    let group = LookupKey {
        rdid: BLUE_RDID,
        ca: GROUP.into(),
    };
    let record = LookupRecord {
        vsid: BLUE,
        pa_index: GROUP_PA,
        ifindex: 0,
        mac: vm(0),
        flags: LookupRecord::GROUP,
    };
    image.lookup.insert(group, record);
    image.local_pas.insert(Address::v4(PA_GROUP));
    image
}

/// Blue with frames of any kind and with stations of which only the MAC is known.
pub fn switched() -> TableImage {
    let mut image = two_tenants();
    flag(&mut image, BLUE, Vport::NON_IP | Vport::UNKNOWN_CAS);
    let subnet = image.subnets.get_mut(&BLUE).expect("blue");
    subnet.flags |= VirtualSubnet::NON_IP;
    let mut station = |last, pa_index, ifindex, flags| {
        let record = LookupRecord {
            vsid: BLUE,
            pa_index,
            ifindex,
            mac: vm(last),
            flags,
        };
        let key = LocalPortKey::new(BLUE, vm(last));
        image.stations.insert(key, record);
    };
    station(5, LOCAL_PA, SENDER, LookupRecord::LOCAL);
    station(6, LOCAL_PA, BLUE_6_DEVICE, LookupRecord::LOCAL);
    station(7, REMOTE_PA, 0, 0);
    station(66, REMOTE_PA6, 0, 0);
    station(STRANGER, REMOTE_PA, 0, LookupRecord::L2_ONLY);
    image.floods.insert(
        BLUE,
        Flood::new(&[SENDER, BLUE_6_DEVICE], &[REMOTE_PA], false),
    );
    image
}

/// The sender's addresses are learned, and so are those of blue's 10.0.0.6.
pub fn learning() -> TableImage {
    let mut image = switched();
    flag(&mut image, BLUE, Vport::LEARNS);
    image
}

/// The sender is the next hop of customer routes.
pub fn forwarding() -> TableImage {
    let mut image = two_tenants();
    sender(&mut image).flags |= Vport::FORWARDS;
    image
}

/// Blue without a distributed router: 10.0.0.7 leads to other subnets.
pub fn external_router() -> TableImage {
    let mut image = two_tenants();
    for (vsid, subnet) in [(BLUE, 0), (BLUE_OTHER, 1)] {
        let scope = route::of_subnet(vsid);
        flag(&mut image, vsid, Vport::EXTERNAL_ROUTER);
        let ports = image.vports.values_mut().filter(|p| p.vsid == vsid);
        ports.for_each(|port| port.routes = scope);
        image.subnets.get_mut(&vsid).expect("blue").routes = scope;
        let on_link = LookupRecord {
            flags: LookupRecord::ON_LINK,
            ..LookupRecord::negative(vsid)
        };
        for prefix in [format!("10.0.{subnet}.0/24"), format!("fd00:{subnet}::/64")] {
            put_route(&mut image, scope, &prefix, on_link);
        }
    }
    for v6 in [false, true] {
        let gateway = LookupKey {
            rdid: BLUE_RDID,
            ca: super::ca(v6, 0, 1).into(),
        };
        image.lookup.remove(&gateway);
        let router = LookupKey {
            rdid: BLUE_RDID,
            ca: super::ca(v6, 0, 7).into(),
        };
        let mut via = image.lookup.get(&router).expect("the record");
        via.flags |= LookupRecord::VIA;
        let prefix = if v6 { "::/0" } else { "0.0.0.0/0" };
        put_route(&mut image, route::of_subnet(BLUE), prefix, via);
    }
    image
}
