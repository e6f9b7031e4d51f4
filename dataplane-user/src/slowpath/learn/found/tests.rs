use std::time::Instant;

use dataplane_common::abi::{
    lookup::{LookupKey, LookupRecord},
    route,
    underlay::NextHop,
    vsid::VirtualSubnet,
};
use etherparse::IpNumber;

use super::*;
use crate::slowpath::testing::{discovery, headers as ip_headers, ported, udp};

const RDID: u32 = 1;
const VSID: u32 = 6001;
/// Devices of a port that learns, and of a server in its subnet and in another one.
const LEARNS: u32 = 101;
const NEAR: u32 = 102;
const ROUTED: u32 = 103;
const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 7]);
const GATEWAY: Mac = Mac([2, 0xEE, 0, 0, 0, 1]);
const PAS: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

fn port(slot: u32, vsid: u32, mac: Mac, ca: &str) -> Vport {
    let ca = ca.parse::<IpAddr>().unwrap();
    Vport {
        slot,
        rdid: RDID,
        vsid,
        mtu: 1500,
        mac,
        gateway_mac: GATEWAY,
        cas: [ca.into(), Address::UNSPECIFIED],
        ..Vport::default()
    }
}

/// A port here that learns and has 10.0.0.50, servers here, and one at 10.0.0.8 elsewhere.
fn directory() -> Directory {
    let mut tables = crate::policy::table_image::TableImage::default();
    let server = Mac([2, 0, 0, 0, 0, 5]);
    let mut learns = port(1, VSID, CLIENT, "0.0.0.0");
    learns.flags = Vport::LEARNS;
    let ports = [
        (LEARNS, learns),
        (NEAR, port(2, VSID, server, "10.0.0.9")),
        (ROUTED, port(3, VSID + 1, server, "10.0.1.9")),
    ];
    for (ifindex, port) in ports {
        tables.vports.insert(ifindex, port);
        let key = LocalPortKey::new(port.vsid, port.mac);
        tables.local_ports.insert(key, ifindex);
    }
    for vsid in [VSID, VSID + 1] {
        let subnet = VirtualSubnet {
            rdid: RDID,
            flags: 0,
            routes: route::of_domain(RDID),
        };
        tables.subnets.insert(vsid, subnet);
    }
    for (ca, ifindex, mac, pa_index, flags) in [
        ("10.0.0.50", LEARNS, CLIENT, 1, LookupRecord::LOCAL),
        ("10.0.0.8", 0, server, 2, 0),
    ] {
        let ca = ca.parse::<IpAddr>().unwrap().into();
        let record = LookupRecord {
            vsid: VSID,
            pa_index,
            ifindex,
            mac,
            flags,
        };
        tables.lookup.insert(LookupKey { rdid: RDID, ca }, record);
    }
    let [own, other] = PAS.map(|pa| Address::from(pa.parse::<IpAddr>().unwrap()));
    for (index, pa) in [(1, own), (2, other)] {
        tables.underlay.insert(index, NextHop::unrouted(pa, own));
    }
    tables.local_pas.insert(own);
    Directory::of(tables, [].into(), [].into())
}

fn from_port_at(ifindex: u32, punt: Punt, frame: Vec<u8>) -> Upcall {
    Upcall {
        punt,
        origin: Origin::Port(ifindex, ifindex - 100),
        since: Instant::now(),
        frame,
    }
}

/// What a server says to the client: an acknowledgement of 10.0.0.50 for an hour, or something else.
fn said(from: &str, kind: u8, client: Mac) -> Vec<u8> {
    let mut message = vec![0; 236];
    message[..3].copy_from_slice(&[2, 1, 6]);
    message[16..20].copy_from_slice(&[10, 0, 0, 50]);
    message[28..34].copy_from_slice(&client.0);
    message.extend([99, 130, 83, 99, 53, 1, kind, 51, 4, 0, 0, 0x0E, 0x10, 255]);
    ported(from, "10.0.0.50", (67, 68), &message)
}

fn lease() -> Found {
    Found {
        slot: 1,
        rdid: RDID,
        vsid: VSID,
        mac: CLIENT,
        ca: [10, 0, 0, 50].into(),
        lease: Some(3600),
    }
}

#[test]
fn a_sender_claims_what_the_programs_asked_about() {
    let mut directory = directory();
    // Frames of the tests are from 02:00:00:00:00:05.
    directory.tables.vports.get_mut(&NEAR).unwrap().flags = Vport::LEARNS;
    let of = |frame| sent(&directory, &from_port_at(NEAR, Punt::Learn, frame));
    let address = |found: Result<Found, _>| found.map(|found| found.ca.to_string());
    assert_eq!(
        address(of(udp("10.0.0.60", "10.0.0.8", 9))),
        Ok("10.0.0.60".to_owned())
    );
    let about = |source, target: &str| {
        let target: std::net::Ipv6Addr = target.parse().unwrap();
        let body = [
            &[0x20, 0, 0, 0],
            &target.octets()[..],
            &[2, 1, 2, 0, 0, 0, 0, 5],
        ]
        .concat();
        discovery(source, "ff02::1", 136, &body)
    };
    let told = of(about("fe80::5", "fd00::60"));
    assert_eq!(address(told), Ok("fd00::60".to_owned()));
    // Learned, it would not let the packet through: the programs ask about the source.
    let refused = Err(DropReason::LearnRefused);
    assert_eq!(of(about("fd00::61", "fd00::60")), refused);
    assert_eq!(of(udp("169.254.0.1", "10.0.0.8", 9)), refused);
    let mut forged = udp("10.0.0.60", "10.0.0.8", 9);
    forged[11] = 9;
    assert_eq!(of(forged), refused);
    let gone = from_port_at(105, Punt::Learn, udp("10.0.0.60", "10.0.0.8", 9));
    assert_eq!(sent(&directory, &gone), Err(DropReason::PortUnknown));
}

#[test]
fn an_answer_of_a_server_here_is_a_lease_and_goes_on() {
    let directory = directory();
    let frame = said("10.0.0.9", 5, CLIENT);
    let upcall = from_port_at(NEAR, Punt::DhcpAck, frame.clone());
    let (found, to, passed) = acknowledged(&directory, &upcall).unwrap();
    assert_eq!((found, passed), (Some(lease()), frame));
    assert_eq!(to, UpcallHeader::new(Task::Replica, LEARNS, 1, 0));
}

#[test]
fn an_answer_from_another_subnet_takes_one_hop() {
    let directory = directory();
    let upcall = from_port_at(ROUTED, Punt::DhcpAck, said("10.0.1.9", 5, CLIENT));
    let (found, _, passed) = acknowledged(&directory, &upcall).unwrap();
    assert_eq!(found, Some(lease()));
    assert_eq!(
        (&passed[..6], &passed[6..12]),
        (&CLIENT.0[..], &GATEWAY.0[..])
    );
    let ip = etherparse::Ipv4Header::from_slice(&passed[14..]).unwrap().0;
    assert_eq!(
        (ip.time_to_live, ip.header_checksum),
        (63, ip.calc_header_checksum())
    );
}

#[test]
fn what_gives_the_port_no_address_goes_on_too() {
    let directory = directory();
    let offer = said("10.0.0.9", 2, CLIENT);
    let of_another = said("10.0.0.9", 5, Mac([2, 0, 0, 0, 0, 8]));
    for frame in [offer, of_another] {
        let upcall = from_port_at(NEAR, Punt::DhcpAck, frame.clone());
        let (found, to, passed) = acknowledged(&directory, &upcall).unwrap();
        assert_eq!((found, to.ifindex(), passed), (None, LEARNS, frame));
    }
}

/// As an uplink receives it, from the PA.
fn tunnelled_from(pa: &str, vsid: u32, inner: &[u8]) -> Upcall {
    let key = (vsid << 8).to_be_bytes();
    let gre = [&[0x20, 0, 0x65, 0x58], &key[..], inner].concat();
    let mut ip = ip_headers(pa, PAS[0], IpNumber::GRE, 64);
    ip.set_payload_len(gre.len()).unwrap();
    let mut frame = Vec::new();
    let link = etherparse::Ethernet2Header {
        ether_type: etherparse::EtherType::IPV4,
        ..etherparse::Ethernet2Header::default()
    };
    link.write(&mut frame).unwrap();
    ip.write(&mut frame).unwrap();
    frame.extend(gre);
    Upcall::raw(&frame, Instant::now(), 7)
}

#[test]
fn an_answer_from_the_underlay_is_known_by_its_bytes() {
    let directory = directory();
    let frame = said("10.0.0.8", 5, CLIENT);
    let upcall = tunnelled_from(PAS[1], VSID, &frame);
    assert_eq!(upcall.punt, Punt::DhcpAck);
    let (found, to, passed) = acknowledged(&directory, &upcall).unwrap();
    assert_eq!(
        (found, to.slot(), passed),
        (Some(lease()), 1, frame.clone())
    );
    // Of a PA that is not the server's.
    let forged = tunnelled_from("192.0.2.3", VSID, &frame);
    assert_eq!(
        acknowledged(&directory, &forged).map(|_| ()),
        Err(DropReason::PaMismatch.into())
    );
    let other = udp("10.0.0.8", "10.0.0.50", 9);
    assert_eq!(tunnelled_from(PAS[1], VSID, &other).punt, Punt::SourceMiss);
}

#[test]
fn an_answer_to_a_port_that_does_not_learn_is_asked_about() {
    let mut directory = directory();
    let port = directory.tables.vports.get_mut(&LEARNS).unwrap();
    (port.flags, port.cas[0]) = (0, IpAddr::from([10, 0, 0, 50]).into());
    let upcall = tunnelled_from(PAS[1], VSID, &said("10.0.0.8", 5, CLIENT));
    let what = |directory: &Directory| acknowledged(directory, &upcall).unwrap_err().punt;
    assert_eq!(what(&directory), Some(Punt::DhcpAck), "again");
    // The port says so as well as the subnet.
    let subnet = directory.tables.subnets.get_mut(&VSID).unwrap();
    subnet.flags = VirtualSubnet::ON_DEMAND;
    let port = directory.tables.vports.get_mut(&LEARNS).unwrap();
    port.flags = Vport::ON_DEMAND;
    assert_eq!(what(&directory), Some(Punt::SourceMiss));
}
