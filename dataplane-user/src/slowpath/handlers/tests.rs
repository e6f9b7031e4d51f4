use dataplane_common::abi::upcall::Task;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::*;
use crate::slowpath::{
    testing::{discovery, nvgre, too_big, udp},
    world::{self, GREEN, P5, P6, ROOM, SMALL, address, directory, from_port, from_uplink},
};

mod questions;
mod reported;

/// Without DF.
fn may_be_cut(mut frame: Vec<u8>) -> Vec<u8> {
    let (mut header, _) = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap();
    header.dont_fragment = false;
    header.header_checksum = header.calc_header_checksum();
    frame[14..34].copy_from_slice(&header.to_bytes());
    frame
}

/// What the sender is told: MACs, source, type and code, the four bytes behind the checksum.
fn told(directory: &Directory, punt: Punt, frame: &[u8]) -> ((IpAddr, [u8; 2], u32), DropReason) {
    let handled = handle(directory, &from_port(directory, P5, punt, frame));
    let Handled::Now(Act::Tell { frame, reason }) = handled else {
        panic!("{handled:?}")
    };
    let (header, frame) = frame;
    assert_eq!((header.task(), header.ifindex()), (Some(Task::Deliver), P5));
    assert_eq!(header.slot(), directory.tables.vports[&P5].slot);
    assert_eq!(frame[..6], [2, 0, 0, 0, 0, 5]);
    assert_eq!(frame[6..12], world::gateway_mac(directory).0);
    let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
    let source = match sliced.net.unwrap() {
        NetSlice::Ipv4(ip) => ip.header().source_addr().into(),
        NetSlice::Ipv6(ip) => ip.header().source_addr().into(),
        NetSlice::Arp(_) => panic!("ARP"),
    };
    let (kind, rest) = match sliced.transport.unwrap() {
        TransportSlice::Icmpv4(icmp) => ([icmp.type_u8(), icmp.code_u8()], icmp.bytes5to8()),
        TransportSlice::Icmpv6(icmp) => ([icmp.type_u8(), icmp.code_u8()], icmp.bytes5to8()),
        TransportSlice::Udp(_) | TransportSlice::Tcp(_) | TransportSlice::Igmp(_) => {
            panic!("no ICMP")
        }
    };
    ((source, kind, u32::from_be_bytes(rest)), reason)
}

fn from(gateway: &str, kind: [u8; 2], rest: u16) -> (IpAddr, [u8; 2], u32) {
    (gateway.parse().unwrap(), kind, rest.into())
}

fn dropped(handled: &Handled) -> Option<DropReason> {
    let Handled::Now(Act::Drop(reason)) = handled else {
        return None;
    };
    Some(*reason)
}

#[test]
fn the_sender_of_what_may_not_be_cut_is_told_how_much_fits() {
    let directory = directory();
    let told = |to: &str| {
        let source = if to.contains(':') {
            "fd00:a::5"
        } else {
            "10.0.0.5"
        };
        told(&directory, Punt::Oversize, &udp(source, to, 1450))
    };
    let path = DropReason::MtuExceeded;
    assert_eq!(told("10.0.0.7"), (from("10.0.0.1", [3, 4], ROOM[0]), path));
    assert_eq!(told("10.0.0.8"), (from("10.0.0.1", [3, 4], ROOM[1]), path));
    assert_eq!(
        told("fd00:a::7"),
        (from("fd00:a::1", [2, 0], ROOM[0]), path)
    );
    let port = DropReason::PortMtu;
    assert_eq!(told("10.0.0.6"), (from("10.0.0.1", [3, 4], SMALL), port));
    assert_eq!(told("fd00:a::6"), (from("fd00:a::1", [2, 0], SMALL), port));
}

#[test]
fn what_may_be_cut_goes_on_in_pieces_and_what_fits_as_it_is() {
    let directory = directory();
    for (to, room) in [
        ("10.0.0.7", ROOM[0]),
        ("10.0.0.8", ROOM[1]),
        ("10.0.0.6", SMALL),
    ] {
        let frame = may_be_cut(udp("10.0.0.5", to, 1450));
        let upcall = from_port(&directory, P5, Punt::Oversize, &frame);
        let Handled::Now(Act::Again(pieces)) = handle(&directory, &upcall) else {
            panic!("{to}")
        };
        assert_eq!(pieces.len(), 2, "{to}");
        let longest = pieces.iter().map(Vec::len).max().unwrap();
        assert!(
            longest <= 14 + usize::from(room) && longest > usize::from(room),
            "{to}"
        );
        // Whoever waited for the record is cut at once.
        assert_eq!(go_on(&directory, &upcall), Act::Again(pieces));
    }
    let small = udp("10.0.0.5", "10.0.0.7", 1400);
    let upcall = from_port(&directory, P5, Punt::Oversize, &small);
    assert_eq!(
        handle(&directory, &upcall),
        Handled::Now(Act::Again(vec![small]))
    );
}

#[test]
fn the_gateway_tells_of_a_hop_limit_that_ended_and_that_nobody_listens() {
    let directory = directory();
    let v4 = udp("10.0.0.5", "10.0.1.7", 9);
    let (punt, reason) = (Punt::TtlExceeded, DropReason::TtlExceeded);
    assert_eq!(
        told(&directory, punt, &v4),
        (from("10.0.0.1", [11, 0], 0), reason)
    );
    let v6 = udp("fd00:a::5", "fd00:b::7", 9);
    assert_eq!(
        told(&directory, punt, &v6),
        (from("fd00:a::1", [3, 0], 0), reason)
    );
    let (punt, reason) = (Punt::ToGateway, DropReason::GatewayBound);
    let v4 = udp("10.0.0.5", "10.0.0.1", 9);
    assert_eq!(
        told(&directory, punt, &v4),
        (from("10.0.0.1", [3, 3], 0), reason)
    );
    let v6 = udp("fd00:a::5", "fd00:a::1", 9);
    assert_eq!(
        told(&directory, punt, &v6),
        (from("fd00:a::1", [1, 4], 0), reason)
    );
}

#[test]
fn where_hosts_are_no_gateway_nobody_is_told() {
    let directory = directory();
    let frame = udp("10.0.0.5", "10.0.0.7", 9);
    let upcall = from_port(&directory, GREEN, Punt::TtlExceeded, &frame);
    let handled = handle(&directory, &upcall);
    assert_eq!(dropped(&handled), Some(DropReason::TtlExceeded));
}

#[test]
fn a_path_is_narrowed_by_who_quotes_a_packet_of_ours() {
    let directory = directory();
    let read = |frame: &[u8]| handle(&directory, &from_uplink(Punt::PathMtu, frame));
    for (router, ours, pa) in [
        ("198.51.100.1", "192.0.2.1", "192.0.2.2"),
        ("2001:db8:f::1", "2001:db8::1", "2001:db8::3"),
    ] {
        let believed = too_big(router, (ours, pa), 6001, 1400);
        let narrow = Act::Narrow(pa.parse().unwrap(), 1400);
        assert_eq!(read(&believed), Handled::Now(narrow));
        let forged = Some(DropReason::PaMismatch);
        let unknown = too_big(router, (ours, pa), 9999, 1400);
        assert_eq!(dropped(&read(&unknown)), forged, "no such subnet");
        let other = too_big(router, (pa, ours), 6001, 1400);
        assert_eq!(dropped(&read(&other)), forged, "another's packet");
        let stranger = if ours.contains(':') {
            "2001:db8::99"
        } else {
            "192.0.2.99"
        };
        let nobody = too_big(router, (ours, stranger), 6001, 1400);
        assert_eq!(dropped(&read(&nobody)), forged, "to nobody we know");
        let to_us = too_big(router, (ours, ours), 6001, 1400);
        assert_eq!(dropped(&read(&to_us)), forged, "to ourselves");
        assert_eq!(dropped(&read(&believed[..60])), forged);
    }
}

#[test]
fn each_packet_has_somebody_who_pays_for_it() {
    let directory = directory();
    let blue = directory.tables.vports[&P5].rdid;
    let green = directory.tables.vports[&GREEN].rdid;
    assert!(blue != green && blue != UNDERLAY && green != UNDERLAY);
    let frame = udp("10.0.0.5", "10.0.0.7", 9);
    for (ifindex, rdid) in [(P5, blue), (P6, blue), (GREEN, green)] {
        let upcall = from_port(&directory, ifindex, Punt::Miss, &frame);
        assert_eq!(whose(&directory, &upcall), Ok(rdid));
        let origin = Origin::Port(ifindex, 999);
        let stale = Upcall { origin, ..upcall };
        assert_eq!(whose(&directory, &stale), Err(DropReason::PortUnknown));
        assert_eq!(
            dropped(&handle(&directory, &stale)),
            Some(DropReason::PortUnknown)
        );
    }
    let inner = |pa: &str, ours: &str, vsid| {
        let frame = nvgre((pa, ours), vsid, &udp("10.0.0.7", "10.0.0.5", 9));
        whose(&directory, &from_uplink(Punt::SourceMiss, &frame))
    };
    assert_eq!(inner("192.0.2.2", "192.0.2.1", 6001), Ok(blue));
    assert_eq!(inner("2001:db8::3", "2001:db8::1", 7001), Ok(green));
    assert_eq!(
        inner("192.0.2.2", "192.0.2.1", 9999),
        Err(DropReason::VsidUnknown)
    );
    assert_eq!(
        inner("192.0.2.99", "192.0.2.1", 6001),
        Err(DropReason::PaMismatch)
    );
    let path = from_uplink(Punt::PathMtu, &[]);
    assert_eq!(whose(&directory, &path), Ok(UNDERLAY));
}
