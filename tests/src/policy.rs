//! The tables that packet tests run against.
//!
//! The host has PA 192.0.2.1. Blue (VSID 6001) and red (VSID 7001) are different
//! routing domains with the same addresses and MACs: 10.0.0.5 and 10.0.0.6 here,
//! 10.0.0.7 at 192.0.2.2, gateway 10.0.0.1. Blue also has VSID 6002, 10.0.1.0/24.

use dataplane_common::{
    abi::{
        config::Config,
        lookup::{LookupKey, LookupRecord},
        pa,
        port_ca::PortCaKey,
        underlay::NextHop,
        vport::{LocalPortKey, Vport},
        vsid::VirtualSubnet,
    },
    id::Mac,
};
use dataplane_user::policy::table_image::TableImage;

/// Blue's VSID.
pub const BLUE: u32 = 6001;
/// Red's VSID.
pub const RED: u32 = 7001;
/// The device that frames come from in `BPF_PROG_TEST_RUN`: the loopback.
pub const SENDER: u32 = 1;
/// Slot and last CA byte of blue's first port, which sends from [`SENDER`].
pub const BLUE_5: u32 = 1;
/// Slot of blue's 10.0.0.6.
pub const BLUE_6: u32 = 2;
/// Slot of red's 10.0.0.5.
pub const RED_5: u32 = 3;
/// Slot of red's 10.0.0.6.
pub const RED_6: u32 = 4;
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

/// Index of blue's routing domain.
pub const BLUE_RDID: u32 = 1;
/// Index of red's.
pub const RED_RDID: u32 = 2;

const LOCAL_PA: u32 = 1;
const REMOTE_PA: u32 = 2;

/// MAC of the VM with this last CA byte; the same in both tenants.
pub fn vm(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

/// The whole picture of the module's description, `FlowID` off.
pub fn two_tenants() -> TableImage {
    let mut image = TableImage {
        config: Config {
            flow_id: 0,
            seed: 7,
            ..Config::DEFAULT
        },
        ..TableImage::default()
    };
    let here = pa::from_v4([192, 0, 2, 1]);
    image.local_pas.insert(here);
    hop(&mut image, LOCAL_PA, [192, 0, 2, 1], NextHop::RESOLVED);
    hop(&mut image, REMOTE_PA, [192, 0, 2, 2], NextHop::RESOLVED);
    hop(&mut image, 3, [192, 0, 2, 3], NextHop::NO_NEIGHBOUR);
    hop(&mut image, 4, [192, 0, 2, 4], NextHop::NO_ROUTE);
    for (rdid, vsid) in [(BLUE_RDID, BLUE), (RED_RDID, RED)] {
        image.subnets.insert(vsid, VirtualSubnet { rdid, flags: 0 });
        let flags = LookupRecord::GATEWAY;
        record(
            &mut image,
            rdid,
            vsid,
            [10, 0, 0, 1],
            GATEWAY_MAC,
            0,
            0,
            flags,
        );
        record(
            &mut image,
            rdid,
            vsid,
            [10, 0, 0, 7],
            vm(7),
            REMOTE_PA,
            0,
            0,
        );
    }
    record(&mut image, 1, BLUE, [10, 0, 0, 33], vm(33), 3, 0, 0);
    record(&mut image, 1, BLUE, [10, 0, 0, 44], vm(44), 4, 0, 0);
    record(
        &mut image,
        1,
        BLUE,
        [10, 0, 0, 55],
        vm(55),
        LOCAL_PA,
        0,
        LookupRecord::LOCAL,
    );
    record(&mut image, 1, 6002, [10, 0, 1, 9], vm(9), REMOTE_PA, 0, 0);
    port(&mut image, BLUE_5, 1, BLUE, SENDER, 5);
    port(&mut image, BLUE_6, 1, BLUE, 12, 6);
    port(&mut image, RED_5, 2, RED, 21, 5);
    port(&mut image, RED_6, 2, RED, 22, 6);
    image
}

/// The same with red's 10.0.0.5 as the sender.
pub fn red_sends() -> TableImage {
    let mut image = two_tenants();
    port(&mut image, BLUE_5, 1, BLUE, 11, 5);
    port(&mut image, RED_5, 2, RED, SENDER, 5);
    image.vports.remove(&21);
    image
}

/// The same with blue's table on demand: 10.0.0.9 is nobody's, and of all other CAs that have no
/// record nothing is known.
pub fn blue_on_demand() -> TableImage {
    let mut image = two_tenants();
    image.config.upcall_ifindex = 2;
    on_demand(&mut image, BLUE_RDID);
    let nobody = LookupKey {
        rdid: BLUE_RDID,
        ca: [10, 0, 0, 9],
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
    for (key, record) in &mut image.lookup {
        if key.rdid == rdid && !record.has(LookupRecord::LOCAL | LookupRecord::GATEWAY) {
            record.flags |= LookupRecord::ON_DEMAND;
        }
    }
}

fn hop(image: &mut TableImage, index: u32, address: [u8; 4], state: u16) {
    let mut hop = NextHop::unrouted(pa::from_v4(address), pa::from_v4([192, 0, 2, 1]));
    hop.ifindex = 2;
    hop.state = state;
    hop.path_mtu = PATH_MTU;
    hop.src_mac = OUR_MAC;
    hop.dst_mac = HOP_MAC;
    image.underlay.insert(index, hop);
}

#[allow(clippy::too_many_arguments, reason = "one row of a table")]
fn record(
    image: &mut TableImage,
    rdid: u32,
    vsid: u32,
    ca: [u8; 4],
    mac: Mac,
    pa_index: u32,
    ifindex: u32,
    flags: u16,
) {
    let record = LookupRecord {
        vsid,
        pa_index,
        ifindex,
        mac,
        flags,
    };
    image.lookup.insert(LookupKey { rdid, ca }, record);
}

fn port(image: &mut TableImage, slot: u32, rdid: u32, vsid: u32, ifindex: u32, last: u8) {
    let ca = [10, 0, 0, last];
    let vport = Vport {
        slot,
        rdid,
        vsid,
        mtu: PORT_MTU,
        flags: 0,
        mac: vm(last),
        gateway_mac: GATEWAY_MAC,
        ca,
    };
    image.vports.insert(ifindex, vport);
    image.port_cas.insert(PortCaKey { slot, ca });
    image
        .local_ports
        .insert(LocalPortKey::new(vsid, vm(last)), ifindex);
    record(
        image,
        rdid,
        vsid,
        ca,
        vm(last),
        LOCAL_PA,
        ifindex,
        LookupRecord::LOCAL,
    );
}
