//! Broadcast and multicast.

use super::*;
use crate::{
    abi::{flood::Flood, lookup::LookupKey},
    forward::Replicate,
    forward::testing::{
        BLUE_B, GROUP, address, arp_request, icmpv6, lldp, probe, solicitation, tcp6_between,
    },
    id::Mac,
};

const ALL: Mac = Mac::BROADCAST;
const MANY: Mac = Mac([0x01, 0, 0x5E, 1, 1, 1]);

/// Blue's broadcast goes to its other port, and to the peer.
fn allowed() -> HostTables {
    let mut tables = HostTables::two_tenants();
    tables
        .floods
        .insert(BLUE, Flood::new(&[BLUE_IF, BLUE2_IF], &[PEER], false));
    tables.allow(BLUE_IF, Vport::BROADCAST);
    tables
}

fn replicas<'t>(tables: &'t HostTables, frame: &[u8]) -> Replicate<'t> {
    assert_eq!(decide(tables, BLUE_IF, frame), Ok(Egress::Flood));
    let headers = parse::headers(&Bytes::new(frame), 0).expect("valid");
    flood(tables, tables.vport(BLUE_IF).expect("port"), &headers).expect("allowed")
}

/// To this group.
fn group(dst: &str) -> Vec<u8> {
    let dst = address(dst);
    let frame = if dst.is_v4() {
        set(&tcp(ca4(5), ca4(7)), 30, &dst.to_v4())
    } else {
        tcp6_between(ca6(5), dst)
    };
    to(MANY, &frame)
}

#[test]
fn the_subnet_says_whether() {
    let mut tables = allowed();
    let frames = [
        to(ALL, &tcp(ca4(5), ca4(7))),
        group("239.1.1.1"),
        group("ff02::fb"),
    ];
    for frame in &frames {
        let replicas = replicas(&tables, frame);
        assert_eq!((replicas.flood.port_count, replicas.group), (2, 0));
        assert_eq!([0, 1].map(|number| replicas.pa(number)), [Some(PEER), None]);
    }
    tables.floods.remove(&BLUE);
    for frame in &frames {
        assert_eq!(dropped(&tables, BLUE_IF, frame), DropReason::BcastNobody);
        // Red's is off.
        assert_eq!(dropped(&tables, RED_IF, frame), DropReason::BcastDisabled);
    }
    tables.port(BLUE_IF).flags = 0;
    for frame in &frames {
        assert_eq!(dropped(&tables, BLUE_IF, frame), DropReason::BcastDisabled);
    }
}

#[test]
fn questions_with_an_answer_are_answered_all_the_same() {
    let tables = allowed();
    for frame in [arp_request(ca4(5), ca4(7)), solicitation(5, 7)] {
        assert!(matches!(
            decide(&tables, BLUE_IF, &frame),
            Ok(Egress::Neighbour(_))
        ));
    }
    assert_eq!(
        dropped(&tables, BLUE_IF, &solicitation(5, 8)),
        DropReason::ArpNoRecord
    );
    assert_eq!(
        dropped(&tables, BLUE_IF, &probe(mac(5), ca6(8))),
        DropReason::ArpNoRecord
    );
}

#[test]
fn spoofed_broadcast_goes_nowhere() {
    let tables = allowed();
    let spoofed = set(&group("239.1.1.1"), 26, &ca4(6));
    assert_eq!(dropped(&tables, BLUE_IF, &spoofed), DropReason::SpoofCa);
    let spoofed = set(&group("ff02::fb"), 6, &mac(6).0);
    assert_eq!(dropped(&tables, BLUE_IF, &spoofed), DropReason::SpoofMac);
}

#[test]
fn more_than_programs_copy_is_user_spaces() {
    let mut tables = allowed();
    tables.floods.insert(BLUE, Flood::new(&[1; 17], &[], false));
    let halt = halted(&tables, BLUE_IF, &group("239.1.1.1"));
    assert_eq!(halt, Halt::ask(Punt::Wide, DropReason::PuntFailed));
}

#[test]
fn all_receivers_are_counted_out() {
    let most: [u32; 16] = core::array::from_fn(|index| index as u32 + 100);
    let flood = Flood::new(&[], &most, false);
    let replicas = Replicate {
        flood: &flood,
        group: 0,
    };
    let pas: Vec<u32> = (0..40).map_while(|number| replicas.pa(number)).collect();
    assert_eq!(pas, most);
    assert_eq!((16..40).find_map(|number| replicas.pa(number)), None);
}

#[test]
fn a_group_may_be_mapped_to_one_of_the_underlay() {
    let mut tables = allowed();
    let mapped = [
        ("239.1.1.1", BLUE),
        ("ff05::1", BLUE),
        ("239.2.2.2", BLUE_B),
    ];
    for (ca, vsid) in mapped {
        let mut record = tables.of(1, ca6(7));
        (record.vsid, record.pa_index, record.flags) = (vsid, GROUP, LookupRecord::GROUP);
        let key = LookupKey {
            rdid: 1,
            ca: address(ca),
        };
        tables.lookup.insert(key, record);
    }
    for ca in ["239.1.1.1", "ff05::1"] {
        let replicas = replicas(&tables, &group(ca));
        assert_eq!(
            [0, 1].map(|number| replicas.pa(number)),
            [Some(GROUP), None]
        );
        assert_eq!(replicas.flood.port_count, 2);
    }
    // Another subnet's group is not this one's; a station's record is none.
    assert_eq!(replicas(&tables, &group("239.2.2.2")).pa(0), Some(PEER));
    assert_eq!(replicas(&tables, &to(ALL, &tcp6(5, 7))).pa(0), Some(PEER));
    let mut station = tables.of(1, ca6(7));
    station.pa_index = GROUP;
    let ca = address("239.3.3.3");
    tables.lookup.insert(LookupKey { rdid: 1, ca }, station);
    assert_eq!(replicas(&tables, &group("239.3.3.3")).pa(0), Some(PEER));
    // By unicast nobody gets past the rules of broadcast, or into another subnet.
    for (ca, _) in mapped {
        let frame = to(GATEWAY_MAC, &group(ca));
        assert_eq!(
            dropped(&tables, BLUE_IF, &frame),
            DropReason::NoLookupRecord
        );
    }
}

#[test]
fn router_solicitations_are_answered_where_that_is_on() {
    let mut tables = allowed();
    let routers = address("ff02::2");
    let frame = to(Mac([0x33, 0x33, 0, 0, 0, 2]), &icmpv6(ca6(5), routers, 133));
    let nobody = set(&frame, 22, &[0; 16]);
    for frame in [&frame, &nobody] {
        replicas(&tables, frame);
    }
    tables.allow(BLUE_IF, Vport::ADVERTISES);
    let asks = Halt::ask(Punt::RouterSolicit, DropReason::PuntFailed);
    for frame in [&frame, &nobody] {
        assert_eq!(halted(&tables, BLUE_IF, frame), asks);
    }
    replicas(&tables, &set(&frame, 54, &[134]));
    tables.port(BLUE_IF).flags = Vport::ADVERTISES;
    assert_eq!(halted(&tables, BLUE_IF, &frame), asks);
}

#[test]
fn other_protocols_are_the_subnets_choice() {
    let mut tables = allowed();
    let frame = lldp(ALL, mac(5));
    assert_eq!(dropped(&tables, BLUE_IF, &frame), DropReason::NonIp);
    tables.allow(BLUE_IF, Vport::NON_IP);
    assert_eq!(replicas(&tables, &frame).pa(0), Some(PEER));
    assert_eq!(
        dropped(&tables, BLUE_IF, &lldp(ALL, mac(6))),
        DropReason::SpoofMac
    );
}
