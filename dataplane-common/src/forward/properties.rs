//! Whatever bytes come: nothing panics, and what is forwarded keeps the promises of tenants'
//! isolation.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    Egress, Tables as _,
    ingress::Ingress,
    outer,
    parse::{self, Frame as _},
    testing::{
        BLUE, BLUE_B, BLUE_IF, BLUE2_IF, Bytes, GATEWAY_MAC, HostTables, PEER, RED, RED_IF,
        address, advertisement, arp_request, ask, ca4, ca6, egress, icmpv4, icmpv6, ingress, lldp,
        mac, nvgre, pa6, probe, solicitation, tcp, tcp6, tcp6_between, udp,
    },
};
use crate::{
    abi::{flood::Flood, vport::Vport, vsid::VirtualSubnet},
    id::Address,
};

/// Frames that get far, as blue's or red's first port or its remote station sends them.
fn frames(from: u8, to: u8) -> Vec<Vec<u8>> {
    let (four, six) = ((ca4(from), ca4(to)), (ca6(from), ca6(to)));
    vec![
        tcp(four.0, four.1),
        udp(four.0, four.1, 67, 68),
        icmpv4(four.0, four.1, 8),
        icmpv6(six.0, six.1, 128),
        icmpv6(six.0, address("ff02::2"), 133),
        tcp6(from, to),
        tcp6_between(six.0, address("2001:db8:9::1")),
        arp_request(four.0, four.1),
        solicitation(from, to),
        probe(mac(from), six.1),
        ask(six.0, mac(from), Address::link_local_of(GATEWAY_MAC)),
        advertisement(six.0, six.1, six.0, mac(from)),
        lldp(mac(to), mac(from)),
    ]
}

/// Some bytes of the frame written over, and the end cut off or lengthened.
fn damaged(frame: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = frame.len();
    let changes = vec((0..len, any::<u8>()), 0..5);
    let cut = prop_oneof![4 => Just(len), 1 => 0..len + 20];
    (changes, cut).prop_map(move |(changes, cut)| {
        let mut frame = frame.clone();
        for (at, byte) in changes {
            frame[at] = byte;
        }
        frame.resize(cut, 0);
        frame
    })
}

fn sent() -> impl Strategy<Value = Vec<u8>> {
    let to = select(vec![1_u8, 6, 7, 8, 26, 27]);
    to.prop_flat_map(|to| select(frames(5, to)))
        .prop_flat_map(damaged)
}

fn received() -> impl Strategy<Value = Vec<u8>> {
    let from = select(vec![1_u8, 6, 7, 8, 27]);
    let pa = select(vec![Address::v4([192, 0, 2, 2]), pa6(2), pa6(3)]);
    let inner = from.prop_flat_map(|from| select(frames(from, 5)));
    (inner, pa, select(vec![BLUE, RED, 9999]))
        .prop_flat_map(|(inner, pa, vsid)| damaged(nvgre(vsid, pa, &inner)))
}

/// Everything allowed that flags allow, of these.
fn tables(flags: u16, subnet: u32) -> HostTables {
    let mut tables = HostTables::two_tenants();
    for ifindex in [BLUE_IF, BLUE2_IF, RED_IF] {
        tables.port(ifindex).flags = flags;
    }
    for vsid in [BLUE, RED] {
        tables.vsids.get_mut(&vsid).expect("subnet").flags = subnet;
        tables
            .floods
            .insert(vsid, Flood::new(&[BLUE_IF], &[PEER], false));
    }
    tables.add_route("::", 0, 7);
    tables.add_route("0.0.0.0", 0, 6);
    tables
}

const ISOLATED: u16 = Vport::PASSES | Vport::TAGS | Vport::UNTAGGED | Vport::EXTERNAL;
const SUBNET: u32 = VirtualSubnet::ON_DEMAND | VirtualSubnet::NON_IP | VirtualSubnet::BROADCAST;

/// What a port sends reaches its own routing domain, as itself.
fn stays_inside(tables: &HostTables, ifindex: u32, frame: &[u8]) -> Result<(), TestCaseError> {
    let from = tables.vport(ifindex).expect("port");
    let mine: &[u32] = if from.rdid == 1 {
        &[BLUE, BLUE_B]
    } else {
        &[RED]
    };
    let (vsid, src, routed) = match egress(tables, ifindex, frame) {
        Ok(Egress::Encap(encap)) => {
            let vsid = encap.outer.gre.vsid_bits();
            (vsid, encap.edit.eth.src, vsid != from.vsid)
        }
        Ok(Egress::Deliver(deliver)) => {
            let port = tables.vport(deliver.ifindex).expect("port");
            prop_assert!(deliver.ifindex != ifindex);
            (port.vsid, deliver.edit.eth.src, port.vsid != from.vsid)
        }
        _ => return Ok(()),
    };
    prop_assert!(mine.contains(&vsid), "{vsid}");
    let headers = parse::headers(&Bytes::new(frame), 0).expect("was forwarded");
    prop_assert_eq!(headers.eth.src, from.mac);
    prop_assert_eq!(src, if routed { from.gateway_mac } else { from.mac });
    if routed {
        prop_assert!(headers.kind.is_routable() && !headers.src.is_link_local());
    }
    if headers.kind.is_neighbour() {
        prop_assert_eq!(headers.station, from.mac);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_read_without_panic(
        bytes in vec(any::<u8>(), 0..200),
        kind in select(vec![[8, 0], [0x86, 0xDD], [8, 6], [0x81, 0]]),
        version: u8,
        gso in prop_oneof![Just(0), any::<u32>()],
        offset in 0_usize..100,
    ) {
        let mut bytes = bytes;
        for (at, byte) in [(12, kind[0]), (13, kind[1]), (14, version)] {
            if let Some(place) = bytes.get_mut(offset + at) {
                *place = byte;
            }
        }
        let frame = Bytes::gso(&bytes, gso);
        if let Ok(headers) = parse::headers(&frame, offset) {
            prop_assert_eq!(headers.len as usize, bytes.len() - offset);
        }
        if let Some(ip) = outer::ip(&Bytes::new(&bytes)) {
            let tables = HostTables::two_tenants();
            outer::is_too_big(&tables, &frame, &ip);
            let _ = outer::valid(&frame, &ip, true);
            if let Ok(at) = outer::gre_offset(&ip) {
                let inner = outer::inner(&frame, at);
                let gre = frame.load(at).unwrap_or(crate::wire::gre::GreHeader::nvgre(BLUE, 0));
                let _ = outer::is_nvgre(&tables, &ip, &gre);
                let _ = outer::tunnel(&tables, &ip, &gre, &inner);
            }
        }
    }

    #[test]
    fn no_frame_of_a_port_leaves_its_domain(frame in sent(), flags: u16, red: bool) {
        let tables = tables(flags & !ISOLATED, 0);
        stays_inside(&tables, if red { RED_IF } else { BLUE_IF }, &frame)?;
    }

    #[test]
    fn no_frame_without_leave_speaks_for_others(frame in sent()) {
        let tables = tables(0, 0);
        if let Ok(Egress::Encap(_) | Egress::Deliver(_)) = egress(&tables, BLUE_IF, &frame) {
            let headers = parse::headers(&Bytes::new(&frame), 0).expect("was forwarded");
            let own = [ca4(5).into(), ca6(5)];
            prop_assert!(
                own.contains(&headers.src)
                    || headers.src.is_link_local()
                    || (headers.src == Address::v4([0; 4]) && headers.kind.asks())
            );
            prop_assert!(headers.src != Address::link_local_of(GATEWAY_MAC));
        }
    }

    #[test]
    fn no_frame_of_the_underlay_reaches_another_domain(
        frame in received(),
        flags: u16,
        subnet in 0..=SUBNET,
    ) {
        let mut tables = tables(flags & !ISOLATED, subnet);
        tables.remote_at(PEER);
        if let Ok(Some(Ingress::Deliver(deliver))) = ingress(&tables, &frame) {
            let ip = outer::ip(&Bytes::new(&frame)).expect("an outer header");
            let key = if ip.src.is_v4() { 38 } else { 58 };
            let vsid = u32::from_be_bytes([0, frame[key], frame[key + 1], frame[key + 2]]);
            let port = tables.vport(deliver.ifindex).expect("port");
            prop_assert_eq!(port.vsid, vsid);
            prop_assert_eq!(port.mac, deliver.edit.eth.dst);
            // Nobody but the peer has stations.
            prop_assert_eq!(ip.src, Address::v4([192, 0, 2, 2]));
        }
    }
}
