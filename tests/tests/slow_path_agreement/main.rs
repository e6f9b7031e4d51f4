//! The same frames over the same policy, once with the whole table in the kernel and once with what
//! is in use, the rest asked of user space: the same verdict, the same bytes, the same counters.

mod checks;
mod pair;
mod rewriting;
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
use rewriting::rewriting;

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
    let records = image.lookup.iter().map(|(key, mut record)| {
        if record.ifindex == SENDER {
            record.ifindex = ELSEWHERE;
        }
        (key, record)
    });
    image.lookup = records.collect();
    image
}

/// How blue's packets get to other hosts.
#[derive(Clone, Copy)]
enum Rule {
    /// Encapsulated.
    Encap,
    /// With PAs in place of their CAs.
    Nat,
}

/// A frame of either kind: IPv4 that needs cutting, or all that there is.
fn any_frame(dice: &mut Dice, direction: Direction, rule: Rule) -> Vec<u8> {
    let any = dice.one_in(2);
    match (direction, rule) {
        (Direction::Egress, _) if any => any_sent(dice),
        (Direction::Egress, _) => sent_frame(dice),
        (Direction::Ingress, Rule::Nat) => rewriting::received(dice),
        (Direction::Ingress, Rule::Encap) if any => any_received(dice),
        (Direction::Ingress, Rule::Encap) => received_frame(dice),
    }
}

/// Thousands of frames over as many policies as are asked for.
fn agree(direction: Direction, rule: Rule) -> Result<Ways> {
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
        let image = match rule {
            Rule::Encap => image,
            Rule::Nat => rewriting(image),
        };
        let mut pair = Pair::new(&image, &listeners);
        for number in 0..FRAMES {
            let frame = any_frame(&mut dice, direction, rule);
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
    let ways = agree(Direction::Egress, Rule::Encap)?;
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
    let ways = agree(Direction::Ingress, Rule::Encap)?;
    taken(
        &ways,
        &[("directly", 500), ("given back", 400), ("narrowed", 5)],
    );
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_is_rewritten_comes_to_the_same_by_the_slow_path() -> Result<()> {
    let ways = agree(Direction::Egress, Rule::Nat)?;
    taken(
        &ways,
        &[
            ("directly", 500),
            ("given back", 400),
            ("fragmented", 50),
            ("told", 20),
            ("told of the last hop", 5),
        ],
    );
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_routers_report_of_rewritten_packets_is_told_in_cas() -> Result<()> {
    let ways = agree(Direction::Ingress, Rule::Nat)?;
    taken(
        &ways,
        &[
            ("directly", 500),
            ("told of what was rewritten", 200),
            ("dropped by user space", 50),
        ],
    );
    Ok(())
}
