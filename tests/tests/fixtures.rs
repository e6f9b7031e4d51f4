//! Every fixture through both hooks; a negative one for each drop reason.

use std::collections::BTreeSet;

use dataplane_common::{
    abi::{config::Config, stats::Direction, vport::Vport},
    reason::DropReason,
};
use dataplane_tests::{
    expect::{Fixture, Want, check_at},
    fixtures::{self, slow_path},
    packet::{patch, received, sent, tagged, udp},
    policy::{BLUE, BLUE_5, RED, RED_5, SENDER, red_sends, two_tenants},
    prog_run::{Hook, Programs},
};

const A: [u8; 4] = [10, 0, 0, 5];
const REMOTE: [u8; 4] = [10, 0, 0, 7];
const PEER: [u8; 4] = [192, 0, 2, 2];

/// Reasons that no packet can provoke through `BPF_PROG_TEST_RUN`, and why.
const NOT_BY_PACKET: [(DropReason, &str); 6] = [
    (
        DropReason::DecapFailed,
        "the helper fails only without memory",
    ),
    (DropReason::HoldFull, USER_SPACE),
    (DropReason::TenantBudget, USER_SPACE),
    (DropReason::HoldExpired, USER_SPACE),
    (DropReason::WorkerLost, USER_SPACE),
    (DropReason::TableFull, USER_SPACE),
];
const USER_SPACE: &str = "user space drops it: `slowpath::worker`";

fn check(programs: &Programs, fixtures: &[Fixture], hooks: &[Hook]) {
    check_at(hooks, programs, fixtures);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_fixture_through_both_hooks() {
    let programs = Programs::load(&two_tenants());
    check(&programs, &fixtures::all(), &[Hook::Tc, Hook::Xdp]);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn settings_of_the_provider_network_hold() {
    let mut image = two_tenants();
    image.config = Config {
        drop_foreign_gre: 1,
        dscp: 10,
        outer_ttl: 9,
        flow_id: 0,
        ..Config::DEFAULT
    };
    let frame = udp(A, REMOTE, 30);
    let mut out = sent(BLUE, 10 << 2, &frame);
    out[22] = 9;
    let out = dataplane_tests::packet::patch_ip(&out, 22, &[9]);
    let foreign = patch(&received(BLUE, PEER, 0, &udp(REMOTE, A, 30)), 36, &[8, 0]);
    let fixtures = [
        Fixture::egress("fixed dscp and ttl", frame, Want::Encapped(BLUE_5, out)),
        Fixture::ingress(
            "foreign gre is dropped",
            foreign,
            Want::Dropped(0, DropReason::ForeignGre),
        ),
    ];
    check(&Programs::load(&image), &fixtures, &[Hook::Tc, Hook::Xdp]);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn xdp_verifies_the_outer_checksum_and_tc_leaves_it_to_the_stack() {
    let programs = Programs::load(&two_tenants());
    let inner = udp(REMOTE, A, 30);
    let frame = patch(&received(BLUE, PEER, 0, &inner), 24, &[0xAB, 0xCD]);
    let dropped = Fixture::ingress(
        "bad sum",
        frame.clone(),
        Want::Dropped(0, DropReason::OuterChecksum),
    );
    check(&programs, &[dropped], &[Hook::Xdp]);
    let taken = Fixture::ingress("bad sum", frame, Want::Delivered(0, BLUE_5, inner));
    check(&programs, &[taken], &[Hook::Tc]);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_subnet_may_drop_tagged_frames() {
    let mut image = two_tenants();
    image.vports.get_mut(&SENDER).expect("port").flags = Vport::DROP_TAGGED;
    let frame = tagged(&udp(A, REMOTE, 30), &[[0x81, 0, 0, 5]]);
    let want = Want::Dropped(BLUE_5, DropReason::InnerVlan);
    let fixture = Fixture::egress("tagged", frame, want);
    check(&Programs::load(&image), &[fixture], &[Hook::Tc, Hook::Xdp]);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn same_ca_in_two_vsids_never_meets() {
    let frame = udp(A, REMOTE, 30);
    for (image, slot, vsid) in [(two_tenants(), BLUE_5, BLUE), (red_sends(), RED_5, RED)] {
        let out = sent(vsid, 0, &frame);
        let fixture = Fixture::egress("same bytes", frame.clone(), Want::Encapped(slot, out));
        check(&Programs::load(&image), &[fixture], &[Hook::Tc, Hook::Xdp]);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_device_that_is_no_vport_leaks_nothing_into_the_host() {
    let mut image = two_tenants();
    image.vports.remove(&SENDER);
    let want = Want::Dropped(0, DropReason::PortUnknown);
    let fixture = Fixture::egress("no vport", udp(A, REMOTE, 30), want);
    check(&Programs::load(&image), &[fixture], &[Hook::Tc, Hook::Xdp]);
}

#[test]
fn every_drop_reason_has_a_negative_fixture() {
    let all = [
        fixtures::all(),
        slow_path::unanswered(),
        slow_path::over_rate(),
        slow_path::looping(),
    ];
    let mut covered: BTreeSet<DropReason> = all
        .iter()
        .flatten()
        .filter_map(|fixture| {
            if let Want::Dropped(_, reason) = fixture.want {
                return Some(reason);
            }
            None
        })
        .collect();
    covered.extend(NOT_BY_PACKET.map(|(reason, _)| reason));
    // Those whose tests need settings of their own, above.
    covered.extend([
        DropReason::ForeignGre,
        DropReason::OuterChecksum,
        DropReason::PortUnknown,
    ]);
    let missing: Vec<_> = DropReason::ALL
        .iter()
        .filter(|reason| !covered.contains(reason))
        .collect();
    assert!(
        missing.is_empty(),
        "no fixture drops a packet for {missing:?}"
    );
}

#[test]
fn fixtures_say_the_direction_that_their_reason_has() {
    for fixture in fixtures::all() {
        if let Want::Dropped(_, reason) = fixture.want {
            let says = reason.direction();
            let word = fixture.direction.as_str();
            assert!(
                says == "both" || says == word,
                "{}: {reason:?} is {says}",
                fixture.name
            );
        }
    }
    assert_eq!(Direction::ALL.len(), 2);
}
