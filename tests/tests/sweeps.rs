//! Exhaustive packets: truncations, GRE words, flows. What is random is in `differential.rs`.

use anyhow::{Context as _, Result, ensure};
use dataplane_common::{
    abi::stats::{Counter, Direction},
    reason::DropReason,
};
use dataplane_tests::{
    differ::{Devices, Differ},
    fixtures,
    packet::{patch, received, udp, udp_ports},
    policy::{BLUE, BLUE_5, PEER, two_tenants},
    prog_run::{Action, Hook, Programs},
};

const A: [u8; 4] = [10, 0, 0, 5];
const REMOTE: [u8; 4] = [10, 0, 0, 7];

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_truncation_of_every_fixture() -> Result<()> {
    let (mut ran, mut refused) = (0, 0);
    let devices = Devices::new("cuts")?;
    devices.inside(|| {
        for world in fixtures::worlds() {
            let mut differ = Differ::new(&world.image)?;
            let fixtures = world.fixtures.iter().filter(|f| f.gso_size == 0);
            for fixture in fixtures {
                // Beyond the headers a cut changes lengths only, which the first 200 show.
                for len in 14..fixture.frame.len().min(200) {
                    let frame = &fixture.frame[..len];
                    for hook in [Hook::Tc, Hook::Xdp] {
                        let agreed = differ.run(hook, fixture.direction, frame);
                        let agreed = agreed.with_context(|| {
                            format!("{}: {} cut to {len}", world.name, fixture.name)
                        })?;
                        match agreed {
                            Some(_) => ran += 1,
                            None => refused += 1,
                        }
                    }
                }
            }
            differ.counted().context(world.name)?;
        }
        Ok(())
    })?;
    ensure!(ran > 20_000, "{ran} runs, {refused} refused by the kernel");
    Ok(())
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
