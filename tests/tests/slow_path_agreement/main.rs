//! The same frames over the same policy, once with the whole table in the kernel and once with what
//! is in use, the rest asked of user space: the same verdict, the same bytes, the same counters.

mod checks;
mod pair;
mod side;

use std::{collections::BTreeMap, env};

use anyhow::{Context as _, Result, ensure};
use dataplane_common::abi::stats::Direction;
use dataplane_tests::{
    policy::SENDER,
    prog_run::{Hook, Listener},
    random::{Dice, any_received, any_sent, policy, received_frame, sent_frame},
};
use dataplane_user::policy::table_image::TableImage;

use pair::Pair;

/// Policies in each direction, and frames through each.
const POLICIES: u64 = 12;
const FRAMES: u64 = 300;
/// What [`POLICIES`] begin with; `NVE_AGREEMENT_SEED` begins elsewhere.
const SEED: u64 = 1;

/// How often each way was taken.
type Ways = BTreeMap<&'static str, u64>;

/// The same policy on a host whose uplink, and no port, is the device that frames come from.
fn at_uplink(mut image: TableImage) -> TableImage {
    const ELSEWHERE: u32 = 11;
    let port = image.vports.remove(&SENDER).expect("the sender");
    image.vports.insert(ELSEWHERE, port);
    for ifindex in image.local_ports.values_mut().filter(|i| **i == SENDER) {
        *ifindex = ELSEWHERE;
    }
    for record in image.lookup.values_mut().filter(|r| r.ifindex == SENDER) {
        record.ifindex = ELSEWHERE;
    }
    image
}

/// Thousands of frames over as many policies as are asked for.
fn agree(direction: Direction) -> Result<Ways> {
    let first = match env::var("NVE_AGREEMENT_SEED") {
        Ok(seed) => seed.parse().context("NVE_AGREEMENT_SEED is no number")?,
        Err(_) => SEED,
    };
    eprintln!("{} seeds {first}..{}", direction.as_str(), first + POLICIES);
    let listeners = [Listener::open()?, Listener::open()?];
    let mut ways = Ways::new();
    for seed in first..first + POLICIES {
        let mut dice = Dice::new(seed);
        let image = policy(&mut dice);
        let image = match direction {
            Direction::Egress => image,
            Direction::Ingress => at_uplink(image),
        };
        let mut pair = Pair::new(&image, &listeners);
        for number in 0..FRAMES {
            // The one kind is IPv4 that needs cutting, the other all that there is.
            let any = dice.one_in(2);
            let frame = match (direction, any) {
                (Direction::Egress, false) => sent_frame(&mut dice),
                (Direction::Egress, true) => any_sent(&mut dice),
                (Direction::Ingress, false) => received_frame(&mut dice),
                (Direction::Ingress, true) => any_received(&mut dice),
            };
            let hook = dice.of(&[Hook::Tc, Hook::Xdp]);
            let keep = dice.one_in(4);
            let way = pair.agree(hook, direction, &frame, keep);
            let way = way.with_context(|| {
                format!("seed {seed}, frame {number} at {hook:?}: {frame:02x?}")
            })?;
            *ways.entry(way).or_default() += 1;
        }
        ensure!(pair.conserved());
    }
    eprintln!("{} {ways:?}", direction.as_str());
    Ok(ways)
}

/// Each way was taken often enough to say something.
fn taken(ways: &Ways, wanted: &[(&str, u64)]) {
    for (way, least) in wanted {
        let count = ways.get(way).copied().unwrap_or(0);
        assert!(count >= *least, "{way}: {count} of {least}: {ways:?}");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_ports_send_comes_to_the_same_by_the_slow_path() -> Result<()> {
    let ways = agree(Direction::Egress)?;
    taken(
        &ways,
        &[
            ("directly", 500),
            ("given back", 400),
            ("fragmented", 50),
            ("told", 20),
            ("told of the last hop", 5),
            ("told by the gateway", 5),
            ("answered", 5),
        ],
    );
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_comes_from_the_underlay_comes_to_the_same_by_the_slow_path() -> Result<()> {
    let ways = agree(Direction::Ingress)?;
    taken(
        &ways,
        &[("directly", 500), ("given back", 400), ("narrowed", 5)],
    );
    Ok(())
}
