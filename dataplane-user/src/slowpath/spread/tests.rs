use super::*;
use crate::slowpath::{
    testing::{broadcast, nvgre, udp},
    world::{P5, P6, P16, directory, from_port, from_uplink, index},
};

/// The copies: task, device or index of a PA, and slot or sender's device.
fn copies(directory: &Directory, act: &Act) -> Vec<(Task, u32, u32)> {
    let Act::Spread(headers, _) = act else {
        panic!("{act:?}")
    };
    let mut copies: Vec<_> = headers
        .iter()
        .map(|header| (header.task().unwrap(), header.ifindex(), header.slot()))
        .collect();
    for (task, ifindex, slot) in &copies {
        if *task == Task::Replica {
            assert_eq!(directory.tables.vports[ifindex].slot, *slot);
        }
    }
    copies.sort_by_key(|(task, index, _)| (*task as u8, *index));
    copies
}

fn slot(directory: &Directory, ifindex: u32) -> u32 {
    directory.tables.vports[&ifindex].slot
}

#[test]
fn a_ports_broadcast_goes_to_all_others_of_its_subnet() {
    let directory = directory();
    let frame = broadcast(udp("10.0.0.5", "10.0.0.255", 9));
    let act = spread(&directory, &from_port(&directory, P5, Punt::Wide, &frame));
    let [b, c] = ["192.0.2.2", "2001:db8::3"].map(|pa| index(&directory, pa));
    let mut expected = vec![
        (Task::Encap, b, P5),
        (Task::Encap, c, P5),
        (Task::Replica, P6, slot(&directory, P6)),
    ];
    expected.sort_by_key(|(task, index, _)| (*task as u8, *index));
    assert_eq!(copies(&directory, &act), expected);
    assert!(matches!(act, Act::Spread(_, copy) if copy == frame));
}

#[test]
fn a_group_that_is_mapped_goes_to_the_groups_pa_instead_of_hosts() {
    let directory = directory();
    let mut frame = udp("10.0.0.5", "239.0.0.9", 9);
    frame[..6].copy_from_slice(&[1, 0, 0x5e, 0, 0, 9]);
    let act = spread(&directory, &from_port(&directory, P5, Punt::Wide, &frame));
    let expected = [
        (Task::Encap, index(&directory, "239.1.1.9"), P5),
        (Task::Replica, P6, slot(&directory, P6)),
    ];
    assert_eq!(copies(&directory, &act), expected);
}

#[test]
fn what_the_port_may_not_send_is_not_spread() {
    let directory = directory();
    let of = |frame: &[u8]| spread(&directory, &from_port(&directory, P5, Punt::Wide, frame));
    let frame = broadcast(udp("10.0.0.6", "10.0.0.255", 9));
    assert_eq!(of(&frame), Act::Drop(DropReason::SpoofCa));
    let mut frame = broadcast(udp("10.0.0.5", "10.0.0.255", 9));
    frame[11] = 6;
    assert_eq!(of(&frame), Act::Drop(DropReason::SpoofMac));
}

#[test]
fn a_broadcast_from_the_underlay_goes_to_ports_alone() {
    let directory = directory();
    let inner = broadcast(udp("10.0.0.7", "10.0.0.255", 9));
    let inner = [&inner[..11], &[7], &inner[12..]].concat();
    let frame = nvgre(("192.0.2.2", "192.0.2.1"), 6001, &inner);
    let act = spread(&directory, &from_uplink(Punt::Wide, &frame));
    let expected = [P5, P6].map(|port| (Task::Replica, port, slot(&directory, port)));
    assert_eq!(
        copies(&directory, &act),
        expected,
        "not to {P16}, of another subnet"
    );
    assert!(matches!(act, Act::Spread(_, copy) if copy == inner));
}

#[test]
fn a_broadcast_is_spread_only_from_where_its_sender_is() {
    let directory = directory();
    let from = |pas: (&str, &str), ca: &str| {
        let inner = broadcast(udp(ca, "10.0.0.255", 9));
        spread(
            &directory,
            &from_uplink(Punt::Wide, &nvgre(pas, 6001, &inner)),
        )
    };
    let (b, c) = (("192.0.2.2", "192.0.2.1"), ("2001:db8::3", "2001:db8::1"));
    assert!(matches!(from(b, "10.0.0.7"), Act::Spread(..)));
    assert!(matches!(from(c, "10.0.0.8"), Act::Spread(..)));
    assert_eq!(from(c, "10.0.0.7"), Act::Drop(DropReason::PaMismatch));
    assert_eq!(
        from(b, "10.0.0.5"),
        Act::Drop(DropReason::PaMismatch),
        "a port here"
    );
    assert_eq!(from(b, "10.0.0.99"), Act::Drop(DropReason::SrcUnknown));
}

#[test]
fn alone_in_its_subnet_a_port_reaches_nobody() {
    let mut directory = directory();
    directory.tables.vports.retain(|ifindex, _| *ifindex == P5);
    directory.receivers.clear();
    let frame = broadcast(udp("10.0.0.5", "10.0.0.255", 9));
    let act = spread(&directory, &from_port(&directory, P5, Punt::Wide, &frame));
    assert_eq!(act, Act::Drop(DropReason::BcastNobody));
}
