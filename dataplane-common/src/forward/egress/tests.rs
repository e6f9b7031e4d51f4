use super::*;
use crate::{
    forward::{
        parse,
        testing::{
            self, BLUE, BLUE_IF, BLUE2_IF, Bytes, GATEWAY_MAC, HostTables, RED_IF, arp_request,
            mac, tcp,
        },
    },
    wire::arp as wire_arp,
};

const A: [u8; 4] = [10, 0, 0, 5];
const LOCAL: [u8; 4] = [10, 0, 0, 6];
const REMOTE: [u8; 4] = [10, 0, 0, 7];

fn decide<'t>(tables: &'t HostTables, ifindex: u32, frame: &[u8]) -> Result<Egress<'t>, Halt> {
    let from = tables.vport(ifindex).expect("port");
    egress(tables, from, &parse::headers(&Bytes::new(frame), 0)?)
}

fn halted(tables: &HostTables, frame: &[u8]) -> Halt {
    decide(tables, BLUE_IF, frame).expect_err("not forwarded")
}

fn dropped(tables: &HostTables, frame: &[u8]) -> DropReason {
    let halt = halted(tables, frame);
    assert_eq!(halt.punt, None, "asked about");
    halt.reason
}

fn encapped(tables: &HostTables, ifindex: u32, frame: &[u8]) -> Encap {
    match decide(tables, ifindex, frame).expect("sent") {
        Egress::Encap(encap) => encap,
        other @ (Egress::Deliver(_) | Egress::Reply(_)) => panic!("{other:?}"),
    }
}

fn set(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = frame.to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    changed
}

#[test]
fn remote_ca_is_encapsulated_in_its_own_vsid() {
    let tables = HostTables::two_tenants();
    let frame = tcp(A, REMOTE);
    for (ifindex, vsid) in [(BLUE_IF, BLUE), (RED_IF, testing::RED)] {
        let encap = encapped(&tables, ifindex, &frame);
        assert_eq!(encap.outer.gre.vsid_bits(), vsid);
        assert_eq!(encap.outer.ip.src, [192, 0, 2, 1]);
        assert_eq!(encap.outer.ip.dst, [192, 0, 2, 2]);
        assert_eq!(encap.outer.ip.total_len() as usize, frame.len() + 28);
        assert!(encap.outer.ip.checksum_ok());
        assert_eq!(encap.dst_mac, mac(7));
    }
}

#[test]
fn flow_id_none_is_zero() {
    let mut tables = HostTables::two_tenants();
    tables.config = Some(Config {
        flow_id: 0,
        ..Config::DEFAULT
    });
    assert_eq!(
        encapped(&tables, BLUE_IF, &tcp(A, REMOTE))
            .outer
            .gre
            .flow_id(),
        0
    );
}

#[test]
fn local_ca_goes_to_its_port() {
    let tables = HostTables::two_tenants();
    // The record's MAC counts, whatever the sender wrote.
    let frame = set(&tcp(A, LOCAL), 0, &GATEWAY_MAC.0);
    match decide(&tables, BLUE_IF, &frame).expect("sent") {
        Egress::Deliver(deliver) => {
            assert_eq!((deliver.ifindex, deliver.dst_mac), (BLUE2_IF, mac(6)));
        }
        other @ (Egress::Encap(_) | Egress::Reply(_)) => panic!("{other:?}"),
    }
}

#[test]
fn spoofed_sources_are_dropped() {
    let tables = HostTables::two_tenants();
    assert_eq!(dropped(&tables, &tcp(LOCAL, REMOTE)), DropReason::SpoofMac);
    let wrong_ca = set(&tcp(A, REMOTE), 26, &LOCAL);
    assert_eq!(dropped(&tables, &wrong_ca), DropReason::SpoofCa);
    let unaddressed = set(&tcp(A, REMOTE), 26, &[0; 4]);
    assert_eq!(dropped(&tables, &unaddressed), DropReason::SpoofCa);
    let dhcp = set(&unaddressed, 0, &[0xff; 6]);
    assert_eq!(dropped(&tables, &dhcp), DropReason::BcastDisabled);
    let arp = set(&arp_request(A, REMOTE), 28, &LOCAL);
    assert_eq!(dropped(&tables, &arp), DropReason::SpoofCa);
    let arp = set(&arp_request(A, REMOTE), 22, &mac(6).0);
    assert_eq!(dropped(&tables, &arp), DropReason::SpoofMac);
}

#[test]
fn unknown_and_gateway_bound_destinations_are_dropped_by_name() {
    let mut tables = HostTables::two_tenants();
    tables.record(1, 6002, 99, 2, 0, 0);
    let frame = |ca| tcp(A, ca);
    assert_eq!(
        dropped(&tables, &frame([10, 0, 0, 8])),
        DropReason::NoLookupRecord
    );
    let off_subnet = set(&frame([198, 51, 100, 1]), 0, &GATEWAY_MAC.0);
    assert_eq!(dropped(&tables, &off_subnet), DropReason::NoRoute);
    assert_eq!(
        dropped(&tables, &frame([10, 0, 0, 1])),
        DropReason::GatewayBound
    );
    assert_eq!(
        dropped(&tables, &frame([10, 0, 0, 99])),
        DropReason::GatewayBound
    );
    assert_eq!(dropped(&tables, &frame(A)), DropReason::Hairpin);
}

#[test]
fn detached_local_port_is_no_local_port() {
    let mut tables = HostTables::two_tenants();
    tables.record(1, BLUE, 6, 1, 0, LookupRecord::LOCAL);
    assert_eq!(dropped(&tables, &tcp(A, LOCAL)), DropReason::NoLocalPort);
}

#[test]
fn the_underlay_decides_whether_and_how_large() {
    let mut tables = HostTables::two_tenants();
    let frame = tcp(A, REMOTE);
    let hop = |tables: &mut HostTables, state, path_mtu| {
        let hop = tables.underlay.get_mut(&2).expect("hop");
        (hop.state, hop.path_mtu) = (state, path_mtu);
    };
    let exact = (frame.len() - 14) as u16 + MTU_COST;
    hop(&mut tables, NextHop::RESOLVED, exact);
    encapped(&tables, BLUE_IF, &frame);
    hop(&mut tables, NextHop::RESOLVED, exact - 1);
    assert_eq!(halted(&tables, &frame).punt, Some(Punt::Oversize));
    hop(&mut tables, NextHop::NO_NEIGHBOUR, 1600);
    assert_eq!(dropped(&tables, &frame), DropReason::PaNeighUnresolved);
    hop(&mut tables, NextHop::NO_ROUTE, 1600);
    assert_eq!(dropped(&tables, &frame), DropReason::PaNoRoute);
    hop(&mut tables, NextHop::EMPTY, 1600);
    assert_eq!(dropped(&tables, &frame), DropReason::PaNoRoute);
}

#[test]
fn too_long_for_an_outer_header_is_dropped() {
    let mut tables = HostTables::two_tenants();
    tables.underlay.get_mut(&2).expect("hop").path_mtu = u16::MAX;
    let mut headers = parse::headers(&Bytes::new(&tcp(A, REMOTE)), 0).expect("valid");
    headers.len = 65_508;
    let from = tables.vport(BLUE_IF).expect("port");
    assert_eq!(
        egress(&tables, from, &headers),
        Err(DropReason::EncapFailed.into())
    );
}

#[test]
fn tags_are_stripped_or_dropped_by_the_subnet() {
    let tables = HostTables::two_tenants();
    let mut port = *tables.vport(BLUE_IF).expect("port");
    assert_eq!(strip_tags(&port, 2), Ok(2));
    assert_eq!(strip_tags(&port, 3), Err(DropReason::InnerVlan));
    port.flags = Vport::DROP_TAGGED;
    assert_eq!(strip_tags(&port, 0), Ok(0));
    assert_eq!(strip_tags(&port, 1), Err(DropReason::InnerVlan));
}

#[test]
fn arp_is_answered_from_the_records() {
    let tables = HostTables::two_tenants();
    for (target, want) in [
        (REMOTE, mac(7)),
        (LOCAL, mac(6)),
        ([10, 0, 0, 1], GATEWAY_MAC),
    ] {
        match decide(&tables, BLUE_IF, &arp_request(A, target)).expect("answered") {
            Egress::Reply(reply) => {
                assert_eq!((reply.arp.sender_mac, reply.arp.sender), (want, target));
                assert_eq!((reply.arp.target_mac, reply.arp.target), (mac(5), A));
                assert_eq!((reply.eth.dst, reply.eth.src), (mac(5), want));
            }
            other @ (Egress::Encap(_) | Egress::Deliver(_)) => panic!("{other:?}"),
        }
    }
    assert_eq!(
        dropped(&tables, &arp_request(A, [10, 0, 0, 8])),
        DropReason::ArpNoRecord
    );
}

#[test]
fn duplicate_address_probes_are_answered_for_others_only() {
    let tables = HostTables::two_tenants();
    let probe = |target| set(&arp_request(A, target), 28, &[0; 4]);
    assert!(matches!(
        decide(&tables, BLUE_IF, &probe(REMOTE)),
        Ok(Egress::Reply(_))
    ));
    assert_eq!(dropped(&tables, &probe(A)), DropReason::GarpIgnored);
    assert_eq!(
        dropped(&tables, &arp_request(A, A)),
        DropReason::GarpIgnored
    );
}

#[test]
fn unicast_arp_travels_like_data() {
    let tables = HostTables::two_tenants();
    for op in [wire_arp::REQUEST, wire_arp::REPLY] {
        let frame = testing::arp(op, mac(7), A, REMOTE);
        assert_eq!(
            encapped(&tables, BLUE_IF, &frame).outer.gre.vsid_bits(),
            BLUE
        );
    }
    let announced = testing::arp(wire_arp::REPLY, Mac::BROADCAST, A, REMOTE);
    assert_eq!(dropped(&tables, &announced), DropReason::GarpIgnored);
}

#[test]
fn other_protocols_are_dropped_by_name() {
    let tables = HostTables::two_tenants();
    for (ethertype, want) in [
        ([0x86, 0xDD], DropReason::Ipv6Unsupported),
        ([0x88, 0xCC], DropReason::NonIp),
        ([0x81, 0x00], DropReason::InnerVlan),
    ] {
        assert_eq!(
            dropped(&tables, &set(&tcp(A, REMOTE), 12, &ethertype)),
            want
        );
    }
    let group = set(&tcp(A, REMOTE), 0, &[1, 0, 0x5e, 0, 0, 1]);
    assert_eq!(dropped(&tables, &group), DropReason::BcastDisabled);
    let malformed = set(&arp_request(A, REMOTE), 14, &[0, 6]);
    assert_eq!(dropped(&tables, &malformed), DropReason::ArpMalformed);
}

/// Blue's table mode is `onDemand`.
fn on_demand() -> HostTables {
    let mut tables = HostTables::two_tenants();
    let port = tables.vports.get_mut(&BLUE_IF).expect("port");
    port.flags |= Vport::ON_DEMAND;
    tables
}

const STRANGER: [u8; 4] = [10, 0, 0, 99];

#[test]
fn on_demand_asks_about_what_it_does_not_know() {
    let tables = on_demand();
    for frame in [tcp(A, STRANGER), arp_request(A, STRANGER)] {
        assert_eq!(halted(&tables, &frame).punt, Some(Punt::Miss));
    }
    // The other tenant's whole table is there: nobody is asked.
    let refused = decide(&tables, RED_IF, &tcp(A, STRANGER));
    assert_eq!(refused, Err(DropReason::NoLookupRecord.into()));
}

#[test]
fn a_negative_record_is_not_asked_about_again() {
    let mut tables = on_demand();
    let key = crate::abi::lookup::LookupKey {
        rdid: 1,
        ca: STRANGER,
    };
    tables.lookup.insert(key, LookupRecord::negative(BLUE));
    let known = dropped(&tables, &tcp(A, STRANGER));
    assert_eq!(known, DropReason::NoLookupRecord);
    let known = dropped(&tables, &arp_request(A, STRANGER));
    assert_eq!(known, DropReason::ArpNoRecord);
}
