//! What the programs leave to user space, packet by packet, through both hooks.

use std::collections::BTreeSet;

use anyhow::Result;
use dataplane_common::{
    abi::{
        lookup::LookupKey,
        stats::{Counter, Direction},
        upcall::PAIR,
    },
    punt::Punt,
    reason::DropReason as R,
};
use dataplane_tests::{
    expect::{Fixture, Want, check_at},
    fixtures::{self, asked, rewrite, slow_path},
    model::second,
    packet::{received, udp, who_has},
    policy::{
        BLUE, BLUE_5, BLUE_RDID, RED, RED_RDID, UPLINK_DEVICE, asking, blue_on_demand, rewriting,
        two_tenants,
    },
    prog_run::{Hook, Listener, Programs, UPLINK, half},
};

const A: [u8; 4] = [10, 0, 0, 5];
const LOCAL: [u8; 4] = [10, 0, 0, 6];
const REMOTE: [u8; 4] = [10, 0, 0, 7];
const UNASKED: [u8; 4] = [10, 0, 0, 8];
const NOBODY: [u8; 4] = [10, 0, 0, 9];
const PEER: [u8; 4] = [192, 0, 2, 2];
const BOTH: [Hook; 2] = [Hook::Tc, Hook::Xdp];

fn at_both_hooks(programs: &Programs, fixtures: &[Fixture]) {
    check_at(&BOTH, programs, fixtures);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn user_space_gets_the_frame_behind_a_header_that_says_why() -> Result<()> {
    let (programs, _listener) = Programs::attended(&blue_on_demand())?;
    at_both_hooks(&programs, &slow_path::punted());
    at_both_hooks(&programs, &slow_path::too_large());
    at_both_hooks(&programs, &slow_path::known());
    let (programs, _listener) = Programs::attended(&asking())?;
    at_both_hooks(&programs, &asked::punted());
    let mut image = rewriting();
    image.config.upcall_ifindex = UPLINK_DEVICE;
    let (programs, _listener) = Programs::attended(&image)?;
    at_both_hooks(&programs, &rewrite::punted());
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_whole_table_leaves_all_but_questions_about_cas() -> Result<()> {
    let mut image = two_tenants();
    image.config.upcall_ifindex = UPLINK_DEVICE;
    let (programs, _listener) = Programs::attended(&image)?;
    at_both_hooks(&programs, &slow_path::attended(fixtures::all()));
    let about_ca = |fixture: &Fixture| {
        matches!(
            fixture.want,
            Want::Punted(_, Punt::Miss | Punt::SourceMiss, _)
        )
    };
    let mut punted = slow_path::punted();
    punted.retain(|fixture| !about_ca(fixture));
    at_both_hooks(&programs, &punted);
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_a_socket_each_punt_is_a_drop_with_its_reason() -> Result<()> {
    for (image, punted) in [
        (blue_on_demand(), slow_path::punted as fn() -> Vec<Fixture>),
        (asking(), asked::punted),
    ] {
        let mut programs = Programs::load(&image);
        at_both_hooks(&programs, &slow_path::unanswered(punted()));
        // The same when there was one: the kernel takes it out of the map when its owner ends.
        let listener = Listener::open()?;
        programs.listen(PAIR, &listener);
        at_both_hooks(&programs, &punted());
        drop(listener);
        at_both_hooks(&programs, &slow_path::unanswered(punted()));
    }
    at_both_hooks(&Programs::load(&blue_on_demand()), &slow_path::known());
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_the_pair_a_punt_is_a_drop_that_costs_no_token() -> Result<()> {
    for (mut image, punted) in [
        (blue_on_demand(), slow_path::punted()),
        (asking(), asked::punted()),
    ] {
        image.config.upcall_ifindex = 0;
        image.config.punt_burst = 1;
        image.config.punt_interval = u32::MAX;
        let (programs, _listener) = Programs::attended(&image)?;
        let failed = slow_path::with_fate(punted, |_| R::PuntFailed);
        at_both_hooks(&programs, &failed);
    }
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_empty_bucket_ends_all_punts_and_nothing_else() -> Result<()> {
    let (mut programs, _listener) = Programs::attended(&blue_on_demand())?;
    programs.empty_buckets();
    at_both_hooks(&programs, &slow_path::over_rate(slow_path::punted()));
    at_both_hooks(&programs, &slow_path::known());
    let mut usual = fixtures::all();
    usual.retain(|fixture| !matches!(fixture.want, Want::Dropped(..)));
    at_both_hooks(&programs, &usual);
    let (mut programs, _listener) = Programs::attended(&asking())?;
    programs.empty_buckets();
    at_both_hooks(&programs, &slow_path::over_rate(asked::punted()));
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_burst_is_granted_and_each_side_has_a_bucket_of_its_own() -> Result<()> {
    const BURST: u64 = 5;
    let mut image = blue_on_demand();
    image.config.punt_burst = u32::try_from(BURST)?;
    // Four seconds for the next one: longer than this takes.
    image.config.punt_interval = u32::MAX;
    let (programs, _listener) = Programs::attended(&image)?;
    let miss = udp(A, UNASKED, 30);
    let source_miss = received(BLUE, PEER, 0, &udp(UNASKED, A, 30));
    for _ in 0..3 * BURST {
        programs.run(Hook::Tc, Direction::Egress, &miss);
    }
    programs.run(Hook::Tc, Direction::Ingress, &source_miss);
    let counts = programs.counts();
    let of = |slot, counter| counts.counters.get(&(slot, counter)).copied();
    assert_eq!(of(BLUE_5, Counter::EgressPunted), Some(BURST), "{counts:?}");
    let refused = counts.drops.get(&(BLUE_5, Direction::Egress, R::PuntRate));
    assert_eq!(refused, Some(&(2 * BURST)), "{counts:?}");
    assert_eq!(of(0, Counter::IngressPunted), Some(1), "{counts:?}");
    assert!(counts.conserved());
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_queue_with_a_socket_gets_the_frame_as_it_is() -> Result<()> {
    for (image, punted) in [
        (blue_on_demand(), slow_path::punted as fn() -> Vec<Fixture>),
        (asking(), asked::punted),
    ] {
        let (mut programs, _pair) = Programs::attended(&image)?;
        programs.be_uplink();
        // An uplink whose queue has no socket leaves its punts to the pair.
        at_both_hooks(&programs, &punted());
        let queue = Listener::open()?;
        programs.listen(UPLINK, &queue);
        let own = slow_path::to_uplink_socket(punted());
        at_both_hooks(&programs, &own);
        programs.empty_buckets();
        let refused = slow_path::with_fate(own, |_| R::PuntRate);
        at_both_hooks(&programs, &refused);
    }
    // There are no sizes that a queue does not take, and what is known is known.
    let (mut programs, _pair) = Programs::attended(&blue_on_demand())?;
    programs.be_uplink();
    let queue = Listener::open()?;
    programs.listen(UPLINK, &queue);
    at_both_hooks(&programs, &slow_path::known());
    Ok(())
}

/// The stamps of records that a hit may or may not move.
fn stamps(programs: &mut Programs) -> [u32; 4] {
    let records = [
        (BLUE_RDID, REMOTE),
        (BLUE_RDID, LOCAL),
        (BLUE_RDID, NOBODY),
        (RED_RDID, REMOTE),
    ];
    let mut stamp = |(rdid, ca): (u32, [u8; 4])| {
        let ca = ca.into();
        programs.entry(LookupKey { rdid, ca }).stamp
    };
    records.map(&mut stamp)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_hit_is_noted_at_the_record_in_use_alone() {
    let hit = udp(A, REMOTE, 30);
    let source_hit = received(BLUE, PEER, 0, &udp(REMOTE, A, 30));
    let others = [
        (Direction::Egress, udp(A, LOCAL, 30)),
        (Direction::Egress, udp(A, NOBODY, 30)),
        (
            Direction::Ingress,
            received(RED, PEER, 0, &udp(REMOTE, A, 30)),
        ),
    ];
    for hook in BOTH {
        for (direction, frame) in [
            (Direction::Egress, &hit),
            (Direction::Egress, &who_has(A, REMOTE)),
            (Direction::Ingress, &source_hit),
        ] {
            let mut programs = Programs::load(&blue_on_demand());
            for (direction, frame) in &others {
                programs.run(hook, *direction, frame);
            }
            assert_eq!(stamps(&mut programs), [0; 4], "{hook:?} {direction:?}");
            let key = LookupKey {
                rdid: BLUE_RDID,
                ca: REMOTE.into(),
            };
            let record = programs.entry(key).record;
            let from = second();
            programs.run(hook, direction, frame);
            let to = second();
            let (from, to) = (half(from).into(), half(to).into());
            let [stamp, rest @ ..] = stamps(&mut programs);
            assert!((from..=to).contains(&stamp), "{stamp} of {from}..={to}");
            assert_eq!(rest, [0; 3], "{hook:?} {direction:?}");
            assert_eq!(programs.entry(key).record, record);
            // A use long ago is not the last one.
            programs.set_entry(key, Some(record.into()));
            programs.run(hook, direction, frame);
            assert_ne!(programs.entry(key).stamp, 0);
        }
    }
}

#[test]
fn every_punt_has_a_fixture_of_its_own() {
    let of = |fixtures: Vec<Fixture>| -> BTreeSet<Punt> {
        let punts = fixtures.into_iter().filter_map(|fixture| {
            if let Want::Punted(_, punt, _) = fixture.want {
                return Some(punt);
            }
            None
        });
        punts.collect()
    };
    let mut all = slow_path::punted();
    all.extend(asked::punted());
    let own = of(slow_path::to_uplink_socket(all));
    let mut all = slow_path::punted();
    all.extend(asked::punted());
    all.extend(rewrite::punted());
    assert!(of(all).iter().eq(Punt::ALL));
    // All that XDP can leave to a queue's own socket; what errors quote, it leaves to TC.
    let from_underlay = [Punt::SourceMiss, Punt::Wide, Punt::PathMtu, Punt::DhcpAck];
    assert!(own.iter().eq(&from_underlay), "{own:?}");
}
