//! Who asks on an uplink for the PA of a port.

use super::*;
use crate::forward::{
    parse,
    testing::{Bytes, ask, bytes_of, ipv6 as packet6, probe},
};

const ROUTER: [u8; 4] = [198, 51, 99, 1];

fn told(tables: &HostTables, ifindex: u32, frame: &[u8]) -> Option<Mac> {
    let headers = parse::headers(&Bytes::new(frame), 0).expect("valid");
    answer(tables, ifindex, &headers)
}

fn router6() -> Address {
    address("2001:db8:ff::1")
}

/// For the PAs of a CA, in both families; and whether the second is taken.
fn questions(rdid: u8, last: u8) -> [Vec<u8>; 3] {
    let target = pa6(rdid, last);
    [
        arp_request(ROUTER, pa4(rdid, last)),
        ask(router6(), mac(1), target),
        probe(mac(1), target),
    ]
}

#[test]
fn the_uplink_that_leads_to_it_answers_for_a_pa() {
    let mut tables = rewriting();
    for question in questions(1, 5) {
        assert!(is_question(&Bytes::new(&question)));
        assert_eq!(told(&tables, UPLINK, &question), Some(OUR_MAC));
        assert_eq!(told(&tables, 3, &question), None, "by another");
    }
    for entry in tables.rewrites.values_mut() {
        entry.flags |= RewriteEntry::VM_MAC;
    }
    for question in questions(1, 5) {
        assert_eq!(told(&tables, UPLINK, &question), Some(mac(5)));
    }
}

#[test]
fn nobody_answers_for_what_is_not_here() {
    let mut tables = rewriting();
    let remote_or_nobodys = questions(1, 7).into_iter().chain(questions(1, 9));
    for question in remote_or_nobodys {
        assert_eq!(told(&tables, UPLINK, &question), None);
    }
    for entry in tables.rewrites.values_mut() {
        entry.ifindex = 0;
    }
    for question in questions(1, 5) {
        assert_eq!(told(&tables, UPLINK, &question), None, "not attached");
    }
}

#[test]
fn who_tells_is_not_answered() {
    let tables = rewriting();
    let announced = arp_request(pa4(1, 5), pa4(1, 5));
    let replied = arp(2, OUR_MAC, ROUTER, pa4(1, 5));
    let advertised = advertisement(router6(), pa6(1, 5), pa6(1, 5), mac(1));
    for frame in [announced, replied, advertised] {
        assert_eq!(told(&tables, UPLINK, &frame), None);
    }
}

#[test]
fn only_questions_are_looked_into() {
    let is = |frame: &[u8]| is_question(&Bytes::new(frame));
    assert!(is(&arp(2, OUR_MAC, ROUTER, pa4(1, 5))), "any ARP is");
    let others = [
        tcp(pa4(1, 7), pa4(1, 5)),
        tcp6_between(pa6(1, 7), pa6(1, 5)),
        advertisement(router6(), pa6(1, 5), pa6(1, 5), mac(1)),
        icmpv6(router6(), pa6(1, 5), 128),
        packet6(router6(), pa6(1, 5), (17, 64), &[icmp::SOLICITATION; 8]),
    ];
    for frame in others {
        assert!(!is(&frame));
    }
    let question = ask(router6(), mac(1), pa6(1, 5));
    for len in 0..=ether::LEN + ipv6::LEN {
        assert!(!is(&question[..len]), "{len} bytes");
    }
    assert!(!is(&bytes_of(&EthHeader::new(mac(1), mac(2), ether::IPV6))));
}
