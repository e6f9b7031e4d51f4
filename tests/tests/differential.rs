//! Random packets over random policies: the programs do what the decision says in user space, with
//! the same verdict, the same bytes and the same counters.

use std::{collections::BTreeMap, env, thread, time::Instant};

use anyhow::{Context as _, Result, ensure};
use dataplane_common::abi::stats::Direction;
use dataplane_tests::{
    differ::{Devices, Differ},
    packet::{outer_len, upper},
    policy::{BLUE_RDID, PEER, PEER6, RED, RED_5, RED_6, RED_RDID, domain_of},
    prog_run::Hook,
    random::{Dice, any_policy, any_received, any_sent},
    want::Want,
};

/// Packets of a run; `NVE_SWEEP` has another number.
const PACKETS: u64 = 200_000;
/// Packets over one policy.
const EACH: u64 = 500;
/// Packets run by so many at a time.
const THREADS: u64 = 2;

/// How often each way was taken.
type Ways = BTreeMap<String, u64>;

fn word(direction: Direction, frame: &[u8], want: &Want) -> String {
    let what = match want {
        Want::Encapped(..) => "encapped".to_owned(),
        Want::Rewritten(..) => "rewritten".to_owned(),
        // Nothing was in front.
        Want::Delivered(_, _, out)
            if direction == Direction::Ingress && out.len() == frame.len() =>
        {
            "delivered, rewritten".to_owned()
        }
        Want::Delivered(..) => "delivered".to_owned(),
        Want::Replied(..) => "replied".to_owned(),
        Want::Flooded(..) => "flooded".to_owned(),
        Want::Passed => "passed".to_owned(),
        Want::Punted(_, punt, _) => format!("punted {}", punt.as_str()),
        Want::Dropped(_, reason) => format!("dropped {}", reason.as_str()),
    };
    format!("{} {what}", direction.as_str())
}

/// The VSID of a tunnelled packet without outer options.
fn vsid(frame: &[u8]) -> Option<u32> {
    let outer = match frame.get(12..14)? {
        [8, 0] => outer_len(PEER),
        [0x86, 0xDD] => outer_len(PEER6),
        _ => return None,
    };
    let key = frame.get(outer - 4..outer - 1)?;
    Some(u32::from_be_bytes([0, key[0], key[1], key[2]]))
}

/// Where all checksums were right they are right in what comes of it, each summed anew.
fn stays_right(frame: &[u8], want: &Want) -> Result<()> {
    let (Want::Rewritten(_, out) | Want::Delivered(_, _, out)) = want else {
        return Ok(());
    };
    let is_ip = matches!(frame[12..14], [8, 0] | [0x86, 0xDD]);
    let tunnelled = frame.len() > out.len();
    if is_ip && !tunnelled && upper::is_right(frame) {
        ensure!(upper::is_right(out), "a wrong checksum in {out:02x?}");
    }
    Ok(())
}

/// What red's VSID or PAs bring gets to red's ports, and nothing else does; blue's port, which all
/// others are from, sends nothing with that VSID or those PAs.
fn stays_with_its_tenant(direction: Direction, frame: &[u8], want: &Want) -> Result<()> {
    let domain = upper::addresses(frame).and_then(|(_, dst)| domain_of(dst));
    let brings_red = domain.map_or(vsid(frame) == Some(RED), |rdid| rdid == RED_RDID);
    let of_red = direction == Direction::Ingress && brings_red;
    let receivers = match want {
        Want::Delivered(_, slot, _) => vec![*slot],
        Want::Flooded(_, copies) => copies.delivered.clone(),
        Want::Encapped(_, sent) => {
            ensure!(vsid(sent).is_some_and(|vsid| vsid != RED), "sent to red");
            Vec::new()
        }
        Want::Rewritten(_, sent) => {
            let (src, dst) = upper::addresses(sent).context("rewritten")?;
            let domains = [src, dst].map(domain_of);
            ensure!(domains == [Some(BLUE_RDID); 2], "between {src} and {dst}");
            Vec::new()
        }
        Want::Replied(..) | Want::Passed | Want::Punted(..) | Want::Dropped(..) => Vec::new(),
    };
    let right = |slot: &u32| [RED_5, RED_6].contains(slot) == of_red;
    ensure!(
        receivers.iter().all(right),
        "at the other tenant: {want:02x?}"
    );
    Ok(())
}

/// So many packets, beginning with the policy of this number.
fn run(first: u64, packets: u64) -> Result<Ways> {
    let devices = Devices::new("differ")?;
    devices.inside(|| {
        let mut ways = Ways::new();
        let image = any_policy(&mut Dice::new(first));
        let mut differs = [Differ::new(&image)?, Differ::attended(&image)?];
        for (seed, index) in (first..first + packets / EACH).zip((0..2).cycle()) {
            let mut dice = Dice::new(seed);
            let differ = &mut differs[index];
            differ.take(&any_policy(&mut dice))?;
            for number in 0..EACH {
                let hook = dice.of(&[Hook::Tc, Hook::Xdp]);
                let direction = dice.of(&Direction::ALL);
                let frame = match direction {
                    Direction::Egress => any_sent(&mut dice),
                    Direction::Ingress => any_received(&mut dice),
                };
                let ran = differ.run(hook, direction, &frame);
                let ran = ran.with_context(|| format!("policy {seed}, frame {number}"))?;
                if let Some(want) = ran {
                    let stays = stays_with_its_tenant(direction, &frame, &want);
                    let stays = stays.and_then(|()| stays_right(&frame, &want));
                    stays.with_context(|| format!("policy {seed}: {frame:02x?}"))?;
                    *ways.entry(word(direction, &frame, &want)).or_default() += 1;
                }
            }
            let counted = differ.counted();
            counted.with_context(|| format!("policy {seed}"))?;
        }
        Ok(ways)
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn programs_do_what_the_decision_says() -> Result<()> {
    let packets = match env::var("NVE_SWEEP") {
        Ok(packets) => packets.parse().context("NVE_SWEEP is no number")?,
        Err(_) => PACKETS,
    };
    let started = Instant::now();
    let share = packets.div_ceil(THREADS);
    let ways: Result<Vec<Ways>> = thread::scope(|scope| {
        let runs: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || run(1 + thread * (share / EACH + 1), share)))
            .collect();
        let ended = runs.into_iter().map(|run| run.join().expect("no panic"));
        ended.collect()
    });
    let mut all = Ways::new();
    for (way, count) in ways?.into_iter().flatten() {
        *all.entry(way).or_default() += count;
    }
    let ran: u64 = all.values().sum();
    eprintln!("{ran} packets in {:?}: {all:#?}", started.elapsed());
    ensure!(ran * 10 >= packets * 9, "{ran} of {packets} ran");
    // Each way was taken often enough to say something.
    for way in [
        "egress encapped",
        "egress rewritten",
        "egress delivered",
        "egress replied",
        "egress flooded",
        "ingress delivered",
        "ingress delivered, rewritten",
        "ingress flooded",
        "ingress passed",
        "ingress replied",
    ] {
        let count = all.get(way).copied().unwrap_or(0);
        ensure!(count * 500 >= packets, "{way}: {count} of {packets}");
    }
    Ok(())
}
