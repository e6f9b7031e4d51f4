//! Errors about packets whose addresses were rewritten.

use super::*;
use crate::slowpath::{
    testing::error,
    world::{UPLINK, rewriting},
};

const ROUTERS: [&str; 2] = ["192.0.2.254", "2001:db8::fe"];
const EXCEEDED: [[u8; 2]; 2] = [[11, 0], [3, 0]];

/// The PA of the family.
fn pa(v6: bool, last: u8) -> String {
    if v6 {
        format!("2001:db8:f::{last}")
    } else {
        format!("198.51.100.{last}")
    }
}

/// A router about a packet from one PA to another.
fn about(v6: bool, from: u8, to: u8) -> Vec<u8> {
    let quoted = udp(&pa(v6, from), &pa(v6, to), 20);
    let kind = (EXCEEDED[usize::from(v6)], 0);
    error(ROUTERS[usize::from(v6)], &pa(v6, from), kind, &quoted[14..])
}

/// From the pair, and from an uplink's queue, which does not say why.
fn both_ways(frame: &[u8]) -> [Upcall; 2] {
    let raw = Upcall::raw(frame, std::time::Instant::now(), UPLINK);
    [from_uplink(Punt::RewriteError, frame), raw]
}

/// What a port hears: its device, source, type and code, the four bytes behind the checksum, and the
/// quoted packet.
fn heard(directory: &Directory, frame: &[u8]) -> (u32, IpAddr, [u8; 2], u32, Vec<u8>) {
    let [first, second] = both_ways(frame).map(|upcall| {
        assert_eq!(why(directory, &upcall), Punt::RewriteError);
        handle(directory, &upcall)
    });
    assert_eq!(first, second);
    let Handled::Now(Act::Answer(header, frame)) = first else {
        panic!("{first:?}")
    };
    assert_eq!(header.task(), Some(Task::Deliver));
    let port = directory.tables.vports[&header.ifindex()];
    assert_eq!(header.slot(), port.slot);
    assert_eq!(
        (&frame[..6], &frame[6..12]),
        (&port.mac.0[..], &port.gateway_mac.0[..])
    );
    let (_, packet) = crate::slowpath::packet::Packet::framed(&frame).unwrap();
    assert!(packet.is_intact_icmp() && packet.hop_limit == 64);
    assert!(port.cas.contains(&packet.destination.into()), "{packet:?}");
    let ([kind, code, _, _, rest @ ..], quote) = packet.payload.split_first_chunk::<8>().unwrap();
    let (kind, rest) = ([*kind, *code], u32::from_be_bytes(*rest));
    (header.ifindex(), packet.source, kind, rest, quote.to_vec())
}

#[test]
fn the_sender_hears_from_its_gateway_in_its_own_words() {
    let directory = rewriting();
    for (own, far, cas) in [
        (5, 7, ["10.0.0.5", "10.0.0.7", "fd00:a::5", "fd00:a::7"]),
        (6, 17, ["10.0.0.6", "10.0.1.7", "fd00:a::6", "fd00:b::7"]),
    ] {
        let device = if own == 5 { P5 } else { P6 };
        for (v6, gateway) in [(false, "10.0.0.1"), (true, "fd00:a::1")] {
            let [from, to] = if v6 {
                [cas[2], cas[3]]
            } else {
                [cas[0], cas[1]]
            };
            let kind = EXCEEDED[usize::from(v6)];
            let quoted = udp(from, to, 20)[14..].to_vec();
            let expected = (device, gateway.parse().unwrap(), kind, 0, quoted);
            assert_eq!(heard(&directory, &about(v6, own, far)), expected);
        }
    }
}

#[test]
fn the_mtu_is_what_the_router_says_and_the_quote_is_short() {
    let directory = rewriting();
    for (v6, kind, room) in [(false, [3, 4], 576 - 28), (true, [2, 0], 1280 - 48)] {
        let quoted = udp(&pa(v6, 5), &pa(v6, 7), 1300);
        let router = ROUTERS[usize::from(v6)];
        let frame = error(router, &pa(v6, 5), (kind, 1380), &quoted[14..]);
        let (_, _, told, mtu, quote) = heard(&directory, &frame);
        assert_eq!((told, mtu, quote.len()), (kind, 1380, room));
    }
}

#[test]
fn where_no_host_is_the_gateway_it_comes_from_the_receiver() {
    let directory = rewriting();
    for (v6, far) in [(false, "10.0.0.7"), (true, "fd00:a::7")] {
        let (device, source, ..) = heard(&directory, &about(v6, 25, 27));
        assert_eq!((device, source), (GREEN, far.parse().unwrap()));
    }
}

#[test]
fn what_the_port_cannot_have_sent_is_not_believed() {
    let directory = rewriting();
    for v6 in [false, true] {
        let router = ROUTERS[usize::from(v6)];
        let kind = (EXCEEDED[usize::from(v6)], 0);
        let quote = |from: u8, to: u8| udp(&pa(v6, from), &pa(v6, to), 20)[14..].to_vec();
        let told = |to: u8, quote: &[u8]| error(router, &pa(v6, to), kind, quote);
        let station = error(&pa(v6, 7), &pa(v6, 5), kind, &quote(5, 7));
        let redirect = error(router, &pa(v6, 5), ([5, 1], 0), &quote(5, 7));
        let redirect6 = error(router, &pa(v6, 5), ([137, 0], 0), &quote(5, 7));
        let mut forged = vec![
            ("to another domain", about(v6, 5, 27)),
            ("from another port", told(5, &quote(6, 7))),
            ("to who has no CA", about(v6, 5, 99)),
            ("to a port elsewhere", about(v6, 7, 17)),
            ("too short", told(5, &quote(5, 7)[..27])),
            ("by a station", station),
        ];
        forged.push(("a redirect", if v6 { redirect6 } else { redirect }));
        for (name, frame) in forged {
            for upcall in both_ways(&frame) {
                let reason = dropped(&handle(&directory, &upcall));
                assert_eq!(reason, Some(DropReason::NatSrcUnknown), "{name}");
            }
        }
        assert!(matches!(
            handle(
                &directory,
                &from_uplink(Punt::RewriteError, &about(v6, 5, 7))
            ),
            Handled::Now(Act::Answer(..))
        ));
    }
}

#[test]
fn the_domain_of_the_port_pays_for_it() {
    let directory = rewriting();
    for (own, far, device) in [(5, 7, P5), (25, 27, GREEN)] {
        let rdid = directory.tables.vports[&device].rdid;
        for v6 in [false, true] {
            for upcall in both_ways(&about(v6, own, far)) {
                assert_eq!(whose(&directory, &upcall), Ok(rdid));
            }
        }
    }
    let nobody = from_uplink(Punt::RewriteError, &about(false, 99, 7));
    assert_eq!(whose(&directory, &nobody), Err(DropReason::NatSrcUnknown));
    assert_eq!(
        dropped(&handle(&directory, &nobody)),
        Some(DropReason::NatSrcUnknown)
    );
    // To the host's own PA it is about a path.
    let path = too_big("198.51.100.1", ("192.0.2.1", "192.0.2.2"), 6101, 1400);
    let raw = Upcall::raw(&path, std::time::Instant::now(), UPLINK);
    assert_eq!(why(&directory, &raw), Punt::PathMtu);
    assert_eq!(whose(&directory, &raw), Ok(UNDERLAY));
}

#[test]
fn a_rewritten_packet_may_be_as_long_as_the_path() {
    let directory = rewriting();
    let path = DropReason::MtuExceeded;
    // Of 1400 bytes and one more.
    let v4 = udp("10.0.0.5", "10.0.0.7", 1401 - 28);
    assert_eq!(
        told(&directory, Punt::Oversize, &v4),
        (from("10.0.0.1", [3, 4], 1400), path)
    );
    let v6 = udp("fd00:a::5", "fd00:a::7", 1401 - 48);
    assert_eq!(
        told(&directory, Punt::Oversize, &v6),
        (from("fd00:a::1", [2, 0], 1400), path)
    );
    let upcall = from_port(&directory, P5, Punt::Oversize, &may_be_cut(v4));
    let Handled::Now(Act::Again(pieces)) = handle(&directory, &upcall) else {
        panic!("not cut")
    };
    let lengths: Vec<usize> = pieces.iter().map(|piece| piece.len() - 14).collect();
    assert_eq!(
        lengths,
        [1396, 25],
        "the first is what fits, in units of eight"
    );
    let fits = udp("10.0.0.5", "10.0.0.7", 1400 - 28);
    let upcall = from_port(&directory, P5, Punt::Oversize, &fits);
    assert_eq!(
        handle(&directory, &upcall),
        Handled::Now(Act::Again(vec![fits]))
    );
}

#[test]
fn no_reason_makes_a_port_without_a_tunnel_panic() {
    let directory = rewriting();
    let frames = [
        udp("10.0.0.5", "10.0.0.7", 20),
        udp("fd00:a::5", "fd00:b::7", 20),
        crate::slowpath::testing::ported("10.0.0.7", "10.0.0.5", (67, 68), &[7; 240]),
        about(false, 5, 7),
        vec![],
    ];
    for punt in Punt::ALL {
        for frame in &frames {
            for upcall in [
                from_port(&directory, P5, *punt, frame),
                from_uplink(*punt, frame),
            ] {
                let _ = (whose(&directory, &upcall), handle(&directory, &upcall));
            }
        }
    }
}
