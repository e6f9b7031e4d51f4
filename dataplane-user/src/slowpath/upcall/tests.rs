use super::*;
use crate::slowpath::testing::{broadcast, never_panics, nvgre, ported, too_big, udp};

const PAS: [(&str, &str); 2] = [("192.0.2.2", "192.0.2.1"), ("2001:db8::3", "2001:db8::1")];

fn punt(frame: &[u8]) -> Punt {
    let upcall = Upcall::raw(frame, Instant::now(), 2);
    assert_eq!(
        (upcall.origin, &upcall.frame[..]),
        (Origin::Uplink(2), frame)
    );
    upcall.punt
}

#[test]
fn a_frame_without_a_header_shows_why_it_is_here() {
    for pas in PAS {
        let inside = |inner: &[u8]| punt(&nvgre(pas, 6001, inner));
        let v4 = udp("10.0.0.7", "10.0.0.5", 9);
        assert_eq!(inside(&v4), Punt::SourceMiss);
        assert_eq!(inside(&udp("fd00:a::7", "fd00:a::5", 9)), Punt::SourceMiss);
        assert_eq!(inside(&broadcast(v4)), Punt::Wide);
        let dhcp = |ports| ported("10.0.0.7", "10.0.0.5", ports, &[7; 240]);
        assert_eq!(inside(&dhcp((67, 68))), Punt::DhcpAck);
        assert_eq!(inside(&dhcp((68, 67))), Punt::SourceMiss);
        assert_eq!(inside(&broadcast(dhcp((67, 68)))), Punt::Wide);
        assert_eq!(inside(&[]), Punt::SourceMiss);
        let (pa, ours) = pas;
        let router = if ours.contains(':') {
            "2001:db8:f::1"
        } else {
            "198.51.100.1"
        };
        assert_eq!(
            punt(&too_big(router, (ours, pa), 6001, 1400)),
            Punt::PathMtu
        );
    }
    assert_eq!(punt(&[]), Punt::SourceMiss);
    assert_eq!(punt(&[2; 14]), Punt::SourceMiss);
}

#[test]
fn a_header_says_why_and_where_from() {
    let read = |header: UpcallHeader| {
        let bytes = [&header.to_bytes()[..], b"frame"].concat();
        Upcall::read(&bytes, Instant::now())
    };
    for known in Punt::ALL {
        let port = read(UpcallHeader::new(Task::Handle, 11, 3, known.number())).unwrap();
        assert_eq!((port.punt, port.origin), (*known, Origin::Port(11, 3)));
        assert_eq!((port.slot(), &port.frame[..]), (3, &b"frame"[..]));
        assert_eq!(port.back(), UpcallHeader::new(Task::Egress, 11, 3, 0));
        let uplink = read(UpcallHeader::new(Task::Handle, 2, 0, known.number())).unwrap();
        assert_eq!((uplink.origin, uplink.slot()), (Origin::Uplink(2), 0));
        assert_eq!(uplink.back(), UpcallHeader::new(Task::Ingress, 2, 0, 0));
    }
    assert_eq!(read(UpcallHeader::new(Task::Deliver, 11, 3, 1)), None);
    assert_eq!(read(UpcallHeader::new(Task::Handle, 11, 3, 255)), None);
    assert_eq!(Upcall::read(&[2; 15], Instant::now()), None);
}

#[test]
fn whatever_comes_is_survived() {
    for pas in PAS {
        never_panics(
            &nvgre(pas, 6001, &udp("10.0.0.7", "10.0.0.5", 9)),
            |frame| {
                let _ = punt(frame);
            },
        );
    }
}
