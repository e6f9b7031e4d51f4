//! Exhaustive and random packets: truncations, GRE words, tenants with the same
//! addresses. The programs must agree with the decision run in user space.

use std::collections::BTreeMap;

use dataplane_common::{
    abi::stats::{Counter, Direction},
    forward::Tables as _,
    reason::DropReason,
};
use dataplane_tests::{
    fixtures,
    model::{Fate, decide},
    packet::{patch, received, tcp, udp, udp_ports, who_has},
    policy::{BLUE, BLUE_5, BLUE_6, RED, RED_5, RED_6, SENDER, red_sends, two_tenants},
    prog_run::{Action, Hook, Programs},
};
use dataplane_user::policy::table_image::TableImage;
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

const A: [u8; 4] = [10, 0, 0, 5];
const REMOTE: [u8; 4] = [10, 0, 0, 7];
const PEER: [u8; 4] = [192, 0, 2, 2];

fn agrees(action: Action, fate: Fate) -> bool {
    match fate {
        Fate::Encapped(_) | Fate::Delivered(_) | Fate::Replied => action == Action::Redirect,
        Fate::Passed => action == Action::Pass,
        Fate::Dropped(_) => action == Action::Drop,
    }
}

/// At a vport, XDP passes only what the TC program behind it shall decide.
fn left_to_tc(hook: Hook, direction: Direction, action: Action) -> bool {
    hook == Hook::Xdp && direction == Direction::Egress && action == Action::Pass
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_truncation_of_every_fixture() {
    let image = two_tenants();
    let programs = Programs::load(&image);
    let (mut ran, mut refused) = (0, 0);
    for fixture in fixtures::all()
        .iter()
        .filter(|f| f.gso_size == 0 && !f.xdp_leaves)
    {
        // Beyond the headers a cut changes lengths only, which the first 200 show.
        for len in 14..fixture.frame.len().min(200) {
            let frame = &fixture.frame[..len];
            for hook in [Hook::Tc, Hook::Xdp] {
                // The kernel itself refuses an skb shorter than its network header.
                let Ok(got) = programs.try_run(hook, fixture.direction, frame, 0) else {
                    assert!(hook == Hook::Tc && len < 14 + 40, "{}: {len}", fixture.name);
                    refused += 1;
                    continue;
                };
                if left_to_tc(hook, fixture.direction, got.action) {
                    continue;
                }
                let fate = decide(&image, fixture.direction, frame, hook == Hook::Xdp);
                assert!(
                    agrees(got.action, fate),
                    "{} cut to {len}: {hook:?} {:?}, decision {fate:?}",
                    fixture.name,
                    got.action
                );
                ran += 1;
            }
        }
    }
    assert!(ran > 5000, "{ran} runs, {refused} refused by the kernel");
    assert!(programs.counts().conserved());
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn all_first_gre_words() {
    let programs = Programs::load(&two_tenants());
    let frame = received(BLUE, PEER, 0, &udp(REMOTE, A, 30));
    for hook in [Hook::Tc, Hook::Xdp] {
        let before = programs.counts();
        for word in 0..=u16::MAX {
            let ran = programs.run(
                hook,
                Direction::Ingress,
                &patch(&frame, 34, &word.to_be_bytes()),
            );
            let want = if word == 0x2000 {
                Action::Redirect
            } else {
                Action::Drop
            };
            assert_eq!(ran.action, want, "{hook:?} {word:#06x}");
        }
        let moved = programs.counts().since(&before);
        let key = (0, Direction::Ingress, DropReason::DecapBadGre);
        assert_eq!(moved.drops.get(&key), Some(&65_535));
        assert_eq!(
            moved.counters.get(&(BLUE_5, Counter::IngressDelivered)),
            Some(&1)
        );
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn ten_thousand_flows_spread_over_the_flow_ids() {
    let mut image = two_tenants();
    image.config.flow_id = 1;
    let programs = Programs::load(&image);
    for hook in [Hook::Tc, Hook::Xdp] {
        let mut seen = [0_u32; 256];
        for flow in 0..10_000 {
            let frame = udp_ports(A, REMOTE, 10_000 + flow, 53, 10);
            let first = programs.run(hook, Direction::Egress, &frame).frame[41];
            let again = programs.run(hook, Direction::Egress, &frame).frame[41];
            assert_eq!(first, again, "one flow, one FlowID");
            seen[usize::from(first)] += 1;
        }
        let used = seen.iter().filter(|count| **count > 0).count();
        let expected = 10_000.0 / 256.0;
        let chi: f64 = seen
            .iter()
            .map(|n| (f64::from(*n) - expected).powi(2) / expected)
            .sum();
        // 255 degrees of freedom: 99.9 % of even spreads stay below 330.5.
        assert!(
            used >= 250 && chi < 330.5,
            "{hook:?}: {used} FlowIDs, chi-square {chi}"
        );
    }
}

/// A packet that is mostly right and wrong in one or two places at random.
fn random_frame(rng: &mut TestRng, direction: Direction) -> Vec<u8> {
    let ca = |rng: &mut TestRng| [10, 0, 0, [1, 5, 6, 7, 8, 33][rng.next_u32() as usize % 6]];
    let (src, dst) = (ca(rng), ca(rng));
    let inner = match rng.next_u32() % 4 {
        0 => who_has(src, dst),
        1 => tcp(src, dst, 20),
        _ => udp(src, dst, 30),
    };
    let mut frame = match direction {
        Direction::Egress => inner,
        Direction::Ingress => {
            let vsid = [BLUE, RED, 9999, 0][rng.next_u32() as usize % 4];
            let pa = [192, 0, 2, [1, 2, 3][rng.next_u32() as usize % 3]];
            received(vsid, pa, 0, &inner)
        }
    };
    if rng.next_u32().is_multiple_of(2) {
        let at = rng.next_u32() as usize % frame.len();
        frame[at] = rng.next_u32().to_ne_bytes()[0];
    }
    frame
}

/// Slots of the sender's tenant: nothing else may ever receive from it.
fn same_tenant(slot: u32) -> [u32; 2] {
    if slot == BLUE_5 || slot == BLUE_6 {
        [BLUE_5, BLUE_6]
    } else {
        [RED_5, RED_6]
    }
}

fn cross_deliveries(image: &TableImage, sender: u32, packets: u32, rng: &mut TestRng) -> u64 {
    let programs = Programs::load(image);
    let vsid = image.vport(SENDER).expect("sender").vsid;
    for number in 0..packets {
        let hook = if number % 2 == 0 { Hook::Tc } else { Hook::Xdp };
        let frame = random_frame(rng, Direction::Egress);
        let Ok(ran) = programs.try_run(hook, Direction::Egress, &frame, 0) else {
            continue;
        };
        let fate = decide(image, Direction::Egress, &frame, hook == Hook::Xdp);
        let leaves = left_to_tc(hook, Direction::Egress, ran.action);
        assert!(
            leaves || agrees(ran.action, fate),
            "{hook:?} {:?} {fate:?} {frame:02x?}",
            ran.action
        );
        if let Fate::Encapped(_) = fate
            && ran.action == Action::Redirect
        {
            assert_eq!(
                ran.frame[38..41],
                vsid.to_be_bytes()[1..],
                "key of another tenant"
            );
        }
    }
    let counts = programs.counts();
    assert!(counts.conserved());
    let received = counts
        .counters
        .iter()
        .filter(|((_, c), _)| *c == Counter::LocalReceived);
    received
        .filter(|((slot, _), _)| !same_tenant(sender).contains(slot))
        .map(|(_, n)| n)
        .sum()
}

/// Packets that came to each slot from the underlay.
fn delivered(programs: &Programs) -> BTreeMap<u32, u64> {
    let counts = programs.counts().counters.into_iter();
    counts
        .filter(|((_, counter), _)| *counter == Counter::IngressDelivered)
        .map(|((slot, _), packets)| (slot, packets))
        .collect()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_million_random_packets_and_no_cross_delivery() {
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let egress: u64 = [(two_tenants(), BLUE_5), (red_sends(), RED_5)]
        .iter()
        .map(|(image, sender)| cross_deliveries(image, *sender, 250_000, &mut rng))
        .sum();
    assert_eq!(egress, 0);
    let image = two_tenants();
    let programs = Programs::load(&image);
    let mut expected = BTreeMap::new();
    for number in 0..500_000 {
        let hook = if number % 2 == 0 { Hook::Tc } else { Hook::Xdp };
        let frame = random_frame(&mut rng, Direction::Ingress);
        // Longer than any network header, so the kernel takes every one.
        let ran = programs.run(hook, Direction::Ingress, &frame);
        let fate = decide(&image, Direction::Ingress, &frame, hook == Hook::Xdp);
        assert!(
            agrees(ran.action, fate),
            "{hook:?} {:?} {fate:?} {frame:02x?}",
            ran.action
        );
        if let Fate::Delivered(slot) = fate {
            let key = u32::from_be_bytes([0, frame[38], frame[39], frame[40]]);
            let tenant = if key == BLUE {
                [BLUE_5, BLUE_6]
            } else {
                [RED_5, RED_6]
            };
            assert!(tenant.contains(&slot), "key {key} to slot {slot}");
            *expected.entry(slot).or_insert(0) += 1;
        }
    }
    // Where the kernel says that they went, not only that they went.
    assert_eq!(delivered(&programs), expected);
    assert_eq!(expected.len(), 4, "every port received some");
    assert!(programs.counts().conserved());
}
