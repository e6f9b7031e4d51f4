//! What is left to the host.

use super::*;

#[test]
fn what_is_not_ours_passes() {
    let ([four, six], [over4, over6]) = over_both();
    decapped(&four, &over4);
    for (at, bytes) in [
        (12, &[0x86, 0xDD][..]),
        (12, &[0x88, 0xCC]),
        (14, &[0x55]),
        (23, &[6]),
        (30, &[192, 0, 2, 9]),
        (36, &[0x08, 0x00]),
    ] {
        assert_eq!(
            ingress(&four, &set_outer(&over4, at, bytes)),
            Ok(None),
            "{at}"
        );
    }
    decapped(&six, &over6);
    for (at, bytes) in [
        (12, &[0x08, 0][..]),
        (14, &[0x50]),
        (20, &[6]),
        (20, &[60]),
        (53, &[9]),
        (56, &[0x08, 0x00]),
    ] {
        assert_eq!(ingress(&six, &set(&over6, at, bytes)), Ok(None), "{at}");
    }
}

#[test]
fn mapped_addresses_do_not_stand_in_outer_headers() {
    let ([.., mut six], [_, over6]) = over_both();
    let mapped = address("192.0.2.1").to_bytes();
    for at in [22, 38] {
        assert_eq!(ingress(&six, &set(&over6, at, &mapped)), Ok(None));
    }
    // Not even of a host that would take it.
    six.remote_at(2);
    let frame = set(&over6, 22, &address("192.0.2.2").to_bytes());
    assert_eq!(ingress(&six, &frame), Ok(None));
}

#[test]
fn a_group_of_ours_is_ours() {
    let (_, [over4, _]) = over_both();
    let mut four = HostTables::two_tenants();
    let frame = set_outer(&over4, 30, &[239, 1, 1, 1]);
    assert_eq!(ingress(&four, &frame), Ok(None));
    four.local_pas.insert(address("239.1.1.1"));
    decapped(&four, &frame);
}

#[test]
fn foreign_gre_is_dropped_if_the_network_says_so() {
    let (tables, frames) = over_both();
    for ((mut tables, frame), at) in tables.into_iter().zip(frames).zip([36, 56]) {
        let foreign = set(&frame, at, &[0x08, 0x00]);
        assert_eq!(ingress(&tables, &foreign), Ok(None));
        tables.config = Some(Config {
            drop_foreign_gre: 1,
            ..Config::DEFAULT
        });
        assert_eq!(dropped_in(&tables, &foreign), DropReason::ForeignGre);
        decapped(&tables, &frame);
    }
}
