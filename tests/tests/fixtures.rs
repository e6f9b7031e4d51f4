//! Every fixture through both hooks; a negative one for each drop reason.

use std::collections::BTreeSet;

use dataplane_common::{
    abi::{
        config::Config,
        lookup::LookupRecord,
        stats::Direction,
        vport::{NEAR_IFINDEXES, PLACES_OF_VPORTS, Vport},
    },
    reason::DropReason,
};
use dataplane_tests::{
    differ::Devices,
    expect::{Copies, Fixture, Want, check_at},
    fixtures::{self, asked, slow_path},
    model::{Setting, decide},
    packet::{patch, received, sent, tagged, udp},
    policy::{
        BLUE, BLUE_5, BLUE_6, BLUE_6_DEVICE, BLUE_16, BLUE_16_DEVICE, RED, RED_5, SENDER,
        broadcasting, red_sends, two_tenants, vm,
    },
    prog_run::{Hook, Programs},
};
use dataplane_user::policy::table_image::TableImage;

const A: [u8; 4] = [10, 0, 0, 5];
const REMOTE: [u8; 4] = [10, 0, 0, 7];
const PEER: [u8; 4] = [192, 0, 2, 2];

/// Reasons that no packet can provoke through `BPF_PROG_TEST_RUN`, and why.
const NOT_BY_PACKET: [(DropReason, &str); 10] = [
    (
        DropReason::LookupBusy,
        "the table has to change each time that it is read",
    ),
    (
        DropReason::DecapFailed,
        "the helper fails only without memory",
    ),
    (
        DropReason::Ipv6Unsupported,
        "of versions that did not forward IPv6",
    ),
    (
        DropReason::BcastFailed,
        "the program that makes copies is always there",
    ),
    (
        DropReason::VlanForeign,
        "only ports that no virtual network has are in a VLAN: `isolation_modes`",
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
    let devices = Devices::new("fixtures").expect("devices");
    let checked = devices.inside(|| {
        let mut programs = Programs::load(&two_tenants());
        for world in fixtures::worlds() {
            eprintln!("{}", world.name);
            programs.fill(&world.image);
            check(&programs, &world.fixtures, &[Hook::Tc, Hook::Xdp]);
        }
        Ok(())
    });
    checked.expect("all is as it shall be");
}

/// The fixtures' bytes are made by etherparse, the model's as the programs make theirs.
#[test]
fn the_model_says_what_the_fixtures_want() {
    for world in fixtures::worlds() {
        for fixture in world.fixtures.iter().filter(|f| f.gso_size == 0) {
            let setting = Setting {
                verify: false,
                attended: false,
            };
            let said = decide(&world.image, fixture.direction, &fixture.frame, setting);
            let name = format!("{}: {}", world.name, fixture.name);
            assert_eq!(said.want, fixture.want, "{name}");
            assert_eq!(said.left_by_xdp, fixture.xdp_leaves, "{name}");
        }
    }
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

/// Two ports whose devices have the same low bits, as on a host that has made very many devices.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_device_of_any_index_is_found() {
    const NEAR: u32 = 4464;
    const FAR: u32 = NEAR_IFINDEXES + NEAR;
    let mut image = two_tenants();
    for (from, to) in [(BLUE_6_DEVICE, FAR), (BLUE_16_DEVICE, NEAR)] {
        moved(&mut image, from, to);
    }
    let programs = Programs::load(&image);
    let mut fixtures = Vec::new();
    for (ca, slot) in [([10, 0, 0, 6], BLUE_6), ([10, 0, 1, 16], BLUE_16)] {
        let inner = patch(&udp(REMOTE, ca, 30), 0, &vm(ca[3]).0);
        let vsid = image.vports.values().find(|port| port.slot == slot);
        let vsid = vsid.expect("port").vsid;
        let frame = received(vsid, PEER, 0, &inner);
        let want = Want::Delivered(0, slot, inner);
        fixtures.push(Fixture::ingress("any index", frame, want));
    }
    check(&programs, &fixtures, &[Hook::Tc, Hook::Xdp]);
    image.vports.remove(&FAR);
    let mut programs = programs;
    programs.fill(&image);
    let gone = &mut fixtures[0];
    gone.want = Want::Dropped(0, DropReason::NoLocalPort);
    check(&programs, &fixtures, &[Hook::Tc, Hook::Xdp]);
}

/// A vport that changes goes from place to place, and all of them are used again.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_port_is_found_however_often_it_changes() {
    let mut image = two_tenants();
    let mut programs = Programs::load(&image);
    let ports = u32::try_from(image.vports.len()).expect("few");
    let changes = PLACES_OF_VPORTS / ports + 2;
    for change in 0..changes {
        for port in image.vports.values_mut() {
            port.mtu = 1400 + u16::try_from(change % 100).expect("small");
        }
        programs.fill(&image);
    }
    let frame = udp(A, REMOTE, 30);
    let out = sent(BLUE, 0, &frame);
    let fixture = Fixture::egress("changed", frame, Want::Encapped(BLUE_5, out));
    check(&programs, &[fixture], &[Hook::Tc, Hook::Xdp]);
}

/// The port at another device.
fn moved(image: &mut TableImage, from: u32, to: u32) {
    let port = image.vports.remove(&from).expect("port");
    image.vports.insert(to, port);
    let local = image.local_ports.values_mut();
    local.filter(|i| **i == from).for_each(|i| *i = to);
    let moved = |mut record: LookupRecord| {
        if record.ifindex == from {
            record.ifindex = to;
        }
        record
    };
    let records = image.lookup.iter();
    image.lookup = records.map(|(key, record)| (key, moved(record))).collect();
    for record in image.stations.values_mut() {
        *record = moved(*record);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_port_has_a_burst_of_broadcasts() {
    let mut image = broadcasting(&[]);
    // Four seconds for the next one: longer than this takes.
    image.config.flood_interval = u32::MAX;
    image.config.flood_burst = 1;
    let frame = fixtures::flood::broadcast(30);
    let copies = Copies {
        delivered: vec![BLUE_6],
        ..Copies::default()
    };
    let wants = [
        Want::Flooded(BLUE_5, copies),
        Want::Dropped(BLUE_5, DropReason::BcastRate),
        Want::Dropped(BLUE_5, DropReason::BcastRate),
    ];
    let devices = Devices::new("rate").expect("devices");
    let checked = devices.inside(|| {
        let programs = Programs::load(&image);
        for want in wants {
            let fixture = Fixture::egress("a broadcast", frame.clone(), want);
            check(&programs, &[fixture], &[Hook::Tc]);
        }
        Ok(())
    });
    checked.expect("all is as it shall be");
}

#[test]
fn every_drop_reason_has_a_negative_fixture() {
    let worlds = fixtures::worlds();
    let worlds = worlds.into_iter().flat_map(|world| world.fixtures);
    let all = [
        worlds.collect(),
        slow_path::unanswered(slow_path::punted()),
        slow_path::unanswered(asked::punted()),
        slow_path::over_rate(slow_path::punted()),
        slow_path::looping(slow_path::punted()),
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
        DropReason::BcastRate,
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
