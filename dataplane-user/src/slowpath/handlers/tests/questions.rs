//! Questions: about records, and of neighbours.

use super::*;
use crate::slowpath::testing::broadcast;

fn arp_request(target: [u8; 4]) -> Vec<u8> {
    let link = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 5, 8, 6];
    let arp = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 5, 10, 0, 0, 5];
    [&link[..], &arp, &[0; 6], &target].concat()
}

/// Who has it?
fn solicitation(from: &str, target: Address) -> Vec<u8> {
    let body = [&[0; 4][..], &target.to_bytes()].concat();
    discovery(from, "ff02::1:ff00:7", 135, &body)
}

fn waits_for(directory: &Directory, upcall: &Upcall) -> String {
    let Handled::Wait(ask) = handle(directory, upcall) else {
        panic!("{:?}", handle(directory, upcall))
    };
    assert_eq!(ask.vsid, 6001);
    assert_eq!(ask.key.rdid, directory.tables.vports[&P5].rdid);
    ask.key.ca.to_string()
}

#[test]
fn a_missing_record_is_asked_for_by_whoever_needs_it() {
    let directory = directory();
    let frames = [
        (udp("10.0.0.5", "10.0.0.77", 9), "10.0.0.77"),
        (udp("fd00:a::5", "fd00:a::77", 9), "fd00:a::77"),
        (arp_request([10, 0, 0, 78]), "10.0.0.78"),
        (
            solicitation("fd00:a::5", address("fd00:a::78")),
            "fd00:a::78",
        ),
    ];
    for (frame, ca) in frames {
        let upcall = from_port(&directory, P5, Punt::Miss, &frame);
        assert_eq!(waits_for(&directory, &upcall), ca);
        let cut = from_port(&directory, P5, Punt::Miss, &frame[..20]);
        assert_eq!(
            dropped(&handle(&directory, &cut)),
            Some(DropReason::Truncated)
        );
    }
}

#[test]
fn the_source_of_a_packet_from_the_underlay_is_asked_for() {
    let directory = directory();
    let v4 = nvgre(
        ("192.0.2.2", "192.0.2.1"),
        6001,
        &udp("10.0.0.77", "10.0.0.5", 9),
    );
    let v6 = nvgre(
        ("2001:db8::3", "2001:db8::1"),
        6001,
        &udp("fd00:a::77", "fd00:a::5", 9),
    );
    for (frame, ca) in [(v4, "10.0.0.77"), (v6, "fd00:a::77")] {
        let upcall = from_uplink(Punt::SourceMiss, &frame);
        assert_eq!(waits_for(&directory, &upcall), ca);
    }
}

#[test]
fn a_broadcast_that_programs_copy_was_left_here_for_its_source() {
    let mut directory = directory();
    let frame = broadcast(udp("10.0.0.7", "10.0.0.255", 9));
    let frame = nvgre(("192.0.2.2", "192.0.2.1"), 6001, &frame);
    let upcall = from_uplink(Punt::Wide, &frame);
    assert!(matches!(
        handle(&directory, &upcall),
        Handled::Now(Act::Spread(..))
    ));
    let few = Flood::new(&[P5, P6], &[], false);
    directory.tables.floods.insert(6001, few);
    assert_eq!(waits_for(&directory, &upcall), "10.0.0.7");
}

/// The answer to a question about a neighbour: its MACs, and its flags.
fn answered(directory: &Directory, frame: &[u8]) -> Option<([u8; 6], [u8; 6], u8)> {
    let handled = handle(directory, &from_port(directory, P5, Punt::Neighbour, frame));
    let Handled::Now(Act::Answer(header, frame)) = handled else {
        assert_eq!(dropped(&handled), Some(DropReason::ArpNoRecord));
        return None;
    };
    assert_eq!((header.task(), header.ifindex()), (Some(Task::Deliver), P5));
    assert_eq!(frame[54], 136, "a neighbour advertisement");
    let [to, from] = [0, 6].map(|at| frame[at..at + 6].try_into().unwrap());
    Some((to, from, frame[58]))
}

#[test]
fn who_has_an_address_is_told_whoever_asks() {
    let directory = directory();
    let router = world::gateway_mac(&directory);
    let asker = [2, 0, 0, 0, 0, 5];
    let all = [0x33, 0x33, 0, 0, 0, 1];
    let about = |from: &str, target: Address| answered(&directory, &solicitation(from, target));
    let vm = [2, 0, 0, 0, 0, 7];
    let taken = address("fd00:a::7");
    assert_eq!(about("::", taken), Some((all, vm, 0x20)), "it is taken");
    assert_eq!(about("fd00:a::5", taken), Some((asker, vm, 0x60)));
    let gateway = Address::link_local_of(router);
    assert_eq!(about("fe80::5", gateway), Some((asker, router.0, 0xE0)));
    assert_eq!(about("::", gateway), Some((all, router.0, 0xA0)));
    let gateway = address("fd00:a::1");
    assert_eq!(about("fd00:a::5", gateway), Some((asker, router.0, 0xE0)));
    for free in ["fd00:a::99", "fd00:c::7", "fe80::7"] {
        assert_eq!(about("::", address(free)), None, "{free}");
    }
}

#[test]
fn the_gateway_of_another_router_is_not_told_of() {
    let directory = directory();
    let mac = directory.tables.vports[&GREEN].gateway_mac;
    let frame = solicitation("fe80::5", Address::link_local_of(mac));
    let upcall = from_port(&directory, GREEN, Punt::Neighbour, &frame);
    assert_eq!(
        dropped(&handle(&directory, &upcall)),
        Some(DropReason::ArpNoRecord)
    );
}

#[test]
fn who_looks_for_routers_hears_of_the_gateway_and_its_prefix() {
    let directory = directory();
    let frame = discovery("fe80::5", "ff02::2", 133, &[0; 4]);
    let upcall = from_port(&directory, P5, Punt::RouterSolicit, &frame);
    let Handled::Now(Act::Answer(header, answer)) = handle(&directory, &upcall) else {
        panic!("no answer")
    };
    assert_eq!((header.task(), header.ifindex()), (Some(Task::Deliver), P5));
    assert_eq!(
        (&answer[6..12], answer[54]),
        (&world::gateway_mac(&directory).0[..], 134)
    );
    let prefix = address("fd00:a::").to_bytes();
    assert_eq!(
        answer.windows(16).filter(|bytes| *bytes == prefix).count(),
        1
    );
    let mtu = u32::from(ROOM[0]).to_be_bytes();
    let option = [&[5, 1, 0, 0][..], &mtu].concat();
    assert!(
        answer.windows(8).any(|bytes| bytes == option),
        "the port's MTU"
    );
    let wrong = from_port(&directory, P5, Punt::RouterSolicit, &frame[..40]);
    assert_eq!(
        dropped(&handle(&directory, &wrong)),
        Some(DropReason::BcastDisabled)
    );
}
