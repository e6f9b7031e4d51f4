mod edits;
mod senders;

use super::*;
use crate::{
    forward::testing::{
        BLUE, BLUE_B, BLUE_B_IF, BLUE_IF, HERE, HostTables, PEER, PEER6, RED, RED_IF, address, arp,
        ca4, ca6, decapped, dropped_in, from, icmpv6, ingress, ipv4, lldp, mac, neighbour, nvgre,
        pa6, set, set_outer, tcp, tcp6, tcp6_between, to, udp,
    },
    id::{Address, Mac},
};

const PA: [u8; 4] = [192, 0, 2, 2];

/// From the remote station to blue's first port, in both families.
fn both(last: u8) -> [Vec<u8>; 2] {
    [tcp(ca4(last), ca4(5)), tcp6(last, 5)]
}

/// Of a subnet that has these flags.
fn with(flags: u32) -> HostTables {
    let mut tables = HostTables::two_tenants();
    tables.set_subnet(BLUE, flags);
    tables
}

#[test]
fn same_ca_in_two_vsids_never_meets() {
    let tables = HostTables::two_tenants();
    for (vsid, ifindex) in [(BLUE, BLUE_IF), (RED, RED_IF)] {
        for frame in both(7) {
            let got = decapped(&tables, &nvgre(vsid, PA, &frame));
            assert_eq!((got.ifindex, got.edit.eth.dst), (ifindex, mac(5)));
            assert_eq!((got.edit.ttl, got.edit.tos), (64, 0));
        }
    }
    // Blue's station is none of red's, whatever the underlay says.
    let mut tables = HostTables::two_tenants();
    tables.record(1, BLUE, 9, PEER, 0, 0);
    for frame in both(9) {
        decapped(&tables, &nvgre(BLUE, PA, &frame));
        assert_eq!(
            dropped_in(&tables, &nvgre(RED, PA, &frame)),
            DropReason::SrcUnknown
        );
    }
}

#[test]
fn any_family_comes_over_any_family() {
    let mut tables = HostTables::two_tenants();
    for (pa_index, pa) in [(PEER, Address::v4(PA)), (PEER6, pa6(2))] {
        tables.remote_at(pa_index);
        for frame in both(7) {
            assert_eq!(decapped(&tables, &nvgre(BLUE, pa, &frame)).ifindex, BLUE_IF);
            let other = if pa.is_v4() { pa6(2) } else { PA.into() };
            let frame = nvgre(BLUE, other, &frame);
            assert_eq!(dropped_in(&tables, &frame), DropReason::PaMismatch);
        }
    }
}

#[test]
fn routed_packets_come_in_the_destinations_subnet() {
    let tables = HostTables::two_tenants();
    let gateway = crate::forward::testing::GATEWAY_MAC;
    for frame in [tcp(ca4(7), ca4(26)), tcp6(7, 26)] {
        let frame = from(gateway, &frame);
        let got = decapped(&tables, &nvgre(BLUE_B, PA, &frame));
        assert_eq!((got.ifindex, got.edit.eth.src), (BLUE_B_IF, gateway));
        assert_eq!(
            dropped_in(&tables, &nvgre(BLUE, PA, &frame)),
            DropReason::NoLocalPort
        );
    }
}

#[test]
fn the_destination_must_be_a_port_with_mac_and_ca() {
    let mut tables = HostTables::two_tenants();
    for (frame, exact) in both(7).iter().zip([40, 60]) {
        let nobody = nvgre(BLUE, PA, &to(mac(9), frame));
        assert_eq!(dropped_in(&tables, &nobody), DropReason::NoLocalPort);
        let other = nvgre(BLUE, PA, &to(mac(6), frame));
        assert_eq!(dropped_in(&tables, &other), DropReason::CaPortMismatch);
        tables.port(BLUE_IF).mtu = exact;
        let frame = nvgre(BLUE, PA, frame);
        decapped(&tables, &frame);
        tables.port(BLUE_IF).mtu = exact - 1;
        assert_eq!(dropped_in(&tables, &frame), DropReason::PortMtu);
    }
    tables.vports.remove(&BLUE_IF);
    let frame = nvgre(BLUE, PA, &tcp6(7, 5));
    assert_eq!(dropped_in(&tables, &frame), DropReason::NoLocalPort);
}

#[test]
fn some_ports_get_what_is_to_others() {
    let mut tables = HostTables::two_tenants();
    let routed = tcp6_between(ca6(7), address("2001:db8:9::9"));
    let routed = [
        to(mac(5), &routed),
        to(mac(5), &set(&tcp(ca4(7), ca4(5)), 30, &[198, 51, 100, 1])),
    ];
    let told = arp(2, mac(5), ca4(7), ca4(9));
    let group = to(mac(5), &tcp6_between(ca6(7), address("ff02::1")));
    for frame in routed.iter().chain([&told, &group]) {
        let frame = nvgre(BLUE, PA, frame);
        assert_eq!(dropped_in(&tables, &frame), DropReason::CaPortMismatch);
    }
    // A next hop forwards packets, and is asked and told of its own CAs alone.
    tables.allow(BLUE_IF, Vport::FORWARDS);
    for frame in &routed {
        decapped(&tables, &nvgre(BLUE, PA, frame));
    }
    let asked = to(mac(5), &neighbour(135, ca6(7), ca6(9), ca6(9)));
    for frame in [&told, &asked] {
        let frame = nvgre(BLUE, PA, frame);
        assert_eq!(dropped_in(&tables, &frame), DropReason::CaPortMismatch);
    }
    // Of a station that learns nobody knows better.
    tables.port(BLUE_IF).flags = Vport::LEARNS;
    for frame in routed.iter().chain([&told, &asked]) {
        decapped(&tables, &nvgre(BLUE, PA, frame));
    }
}

#[test]
fn link_local_destinations_are_where_the_mac_is() {
    let tables = HostTables::two_tenants();
    for dst in ["fe80::5", "fe80::1234"] {
        let frame = to(mac(5), &icmpv6(ca6(7), address(dst), 128));
        assert_eq!(decapped(&tables, &nvgre(BLUE, PA, &frame)).ifindex, BLUE_IF);
    }
}

#[test]
fn other_protocols_are_the_subnets_choice() {
    let frame = nvgre(BLUE, PA, &lldp(mac(5), mac(7)));
    assert_eq!(dropped_in(&with(0), &frame), DropReason::NonIp);
    let tables = with(VirtualSubnet::NON_IP);
    assert_eq!(decapped(&tables, &frame).ifindex, BLUE_IF);
    // By a station of that host, to a station of this one.
    let frame = |dst, src| nvgre(BLUE, PA, &lldp(dst, src));
    assert_eq!(
        dropped_in(&tables, &frame(mac(5), mac(9))),
        DropReason::SrcUnknown
    );
    assert_eq!(
        dropped_in(&tables, &frame(mac(5), mac(6))),
        DropReason::PaMismatch
    );
    assert_eq!(
        dropped_in(&tables, &frame(mac(9), mac(7))),
        DropReason::NoLocalPort
    );
    let elsewhere = nvgre(BLUE, [192, 0, 2, 3], &lldp(mac(5), mac(7)));
    assert_eq!(dropped_in(&tables, &elsewhere), DropReason::PaMismatch);
}

#[test]
fn malformed_frames_are_dropped_like_a_ports() {
    let tables = HostTables::two_tenants();
    let told = set(&arp(1, mac(5), ca4(7), ca4(5)), 14, &[9]);
    assert_eq!(
        dropped_in(&tables, &nvgre(BLUE, PA, &told)),
        DropReason::ArpMalformed
    );
    let mapped = set(&tcp6(7, 5), 22, &Address::v4(ca4(7)).to_bytes());
    assert_eq!(
        dropped_in(&tables, &nvgre(BLUE, PA, &mapped)),
        DropReason::IpMalformed
    );
    let hops = set(&neighbour(135, ca6(7), ca6(5), ca6(5)), 21, &[64]);
    assert_eq!(
        dropped_in(&tables, &nvgre(BLUE, PA, &hops)),
        DropReason::NeighbourMalformed
    );
    decapped(&tables, &nvgre(BLUE, PA, &ipv4(ca4(7), ca4(5), 200, &[])));
}

#[test]
fn broadcast_needs_leave_receivers_and_a_sender() {
    let mut tables = HostTables::two_tenants();
    let frames = both(7).map(|frame| nvgre(BLUE, PA, &to(Mac::BROADCAST, &frame)));
    let spoofed = both(7).map(|frame| nvgre(BLUE, [192, 0, 2, 3], &to(Mac::BROADCAST, &frame)));
    let unknown = both(8).map(|frame| nvgre(BLUE, PA, &to(Mac::BROADCAST, &frame)));
    let of = |tables: &HostTables, want| {
        for frame in &frames {
            assert_eq!(ingress(tables, frame), want);
        }
    };
    of(&tables, Err(DropReason::BcastDisabled.into()));
    tables.set_subnet(BLUE, VirtualSubnet::BROADCAST);
    of(&tables, Err(DropReason::BcastNobody.into()));
    tables
        .floods
        .insert(BLUE, Flood::new(&[BLUE_IF], &[PEER], false));
    of(&tables, Ok(Some(Ingress::Flood)));
    for frame in &spoofed {
        assert_eq!(dropped_in(&tables, frame), DropReason::PaMismatch);
    }
    for frame in &unknown {
        assert_eq!(dropped_in(&tables, frame), DropReason::SrcUnknown);
    }
    let marked = set_outer(&frames[1], 15, &[0b11]);
    assert_eq!(dropped_in(&tables, &marked), DropReason::EcnInvalid);
    // Our own broadcast does not come back.
    let own = nvgre(BLUE, [192, 0, 2, 1], &to(Mac::BROADCAST, &tcp6(6, 5)));
    assert_eq!(dropped_in(&tables, &own), DropReason::PaMismatch);
    tables.floods.insert(BLUE, Flood::new(&[1; 17], &[], false));
    of(&tables, Err(Halt::ask(Punt::Wide, DropReason::PuntFailed)));
}

/// The device of a port that went may be another's by now: of another subnet, whose frames are not these.
#[test]
fn a_device_of_another_subnet_gets_nothing() {
    let mut tables = HostTables::two_tenants();
    let red = *tables.port(RED_IF);
    tables.vports.insert(BLUE_IF, red);
    for frame in both(7) {
        let frame = nvgre(BLUE, PA, &frame);
        assert_eq!(dropped_in(&tables, &frame), DropReason::NoLocalPort);
    }
}

/// A frame for a port needs no look-up of its subnet; what is for none does, and to say so.
#[test]
fn a_subnet_that_is_not_here_is_unknown_but_to_its_ports() {
    let mut tables = HostTables::two_tenants();
    tables.vsids.clear();
    for frame in both(7) {
        assert_eq!(decapped(&tables, &nvgre(BLUE, PA, &frame)).ifindex, BLUE_IF);
        for to_others in [to(mac(9), &frame), to(Mac::BROADCAST, &frame)] {
            let frame = nvgre(BLUE, PA, &to_others);
            assert_eq!(dropped_in(&tables, &frame), DropReason::VsidUnknown);
        }
    }
}
