//! Time that an XDP program takes for packets that are all different, in one call of
//! `BPF_PROG_TEST_RUN`, above what an empty one takes for the same packets.
//!
//! The kernel repeats the frame as the last run left it. So it runs a driver, which makes the frame
//! whole again, gives it the next key and goes on in the program that is measured, by a tail call. The
//! same driver with the same keys goes on in the empty program. Keys are drawn, do not hang on one
//! another, and no call draws those of an earlier one.

use std::os::fd::AsFd;

use anyhow::{Context, Result, ensure};
use aya::{
    Ebpf,
    maps::ProgramArray,
    programs::{ProgramFd, Xdp},
};
use xtask::lab::interrupted;

use super::{
    Plan, rewriting, tables,
    test_run::{self, Hook, Ran},
};
use crate::{
    generator::{keys::Pattern, live_frames::program},
    paths::Frames,
    scenario::{Keys, Work},
    stats::median,
};

/// Single runs that are looked at before anything is measured.
const PROBES: u32 = 256;
/// Turns of both in a trial; the median of their differences counts.
const TURNS: u32 = 16;
/// Bytes of headers of a plain frame, up to UDP's.
const HEADERS: usize = 42;
/// Offsets of an IPv4 header's fields behind Ethernet.
const CHECKSUM: usize = 24;
const SRC: usize = 26;
const DST: usize = 30;

/// What packets are made of for a work.
struct Packets {
    frames: Frames,
    /// The whole of the first one.
    first: Vec<u8>,
    keys: u32,
    /// See the driver.
    sources: u32,
}

/// Works that can be driven: what they leave of a frame can be made whole again.
pub(super) const WORKS: [Work; 4] = [Work::Encap, Work::Decap, Work::RewriteOut, Work::RewriteIn];

fn packets(work: Work, records: u32) -> Result<Packets> {
    let to = tables::FIRST;
    let sent = |from, to| tables::frame(tables::mac(from), from, to);
    let (first, outer, at, key) = match work {
        Work::Encap | Work::RewriteOut => (sent(tables::CA, to), 0, DST, to),
        Work::Decap => {
            let first = tables::tunnelled(0, &sent(to, tables::CA));
            (first, HEADERS, SRC, to)
        }
        Work::RewriteIn => (rewriting::rewritten(0), 0, SRC, rewriting::FIRST_PA),
        Work::EncapDecap | Work::RewriteOutIn | Work::SameHost | Work::Drop(_) => {
            anyhow::bail!("{work:?} is not driven")
        }
    };
    let head = first.get(..HEADERS + outer).context("a short frame")?;
    Ok(Packets {
        frames: Frames {
            head: head.to_vec(),
            key_offset: outer + at,
            first_key: key,
            checksum_offset: Some(outer + CHECKSUM),
            length: u16::try_from(first.len())?,
        },
        keys: if work.rewrites() {
            rewriting::with_pa(records)
        } else {
            tables::remotes(records)
        },
        sources: if work == Work::Decap {
            tables::HOSTS
        } else {
            0
        },
        first,
    })
}

/// The driver, with where it goes on.
struct Driver {
    ebpf: Ebpf,
    first: Vec<u8>,
}

impl Driver {
    fn new(packets: &Packets, keys: Keys, seed: u64) -> Result<Self> {
        let pattern = Pattern::new(keys, packets.keys, seed);
        let more = [
            ("DRIVEN_LEN", u32::try_from(packets.first.len())?),
            ("DRIVEN_SOURCES", packets.sources),
        ];
        Ok(Self {
            ebpf: program::load_as("bench_drive", &packets.frames, &pattern, (seed, &more))?,
            first: packets.first.clone(),
        })
    }

    fn goes_on_in(mut self, program: &ProgramFd) -> Result<Self> {
        let map = self.ebpf.map_mut("DRIVEN").context("no such map")?;
        ProgramArray::try_from(map)?.set(0, program, 0)?;
        Ok(self)
    }

    fn goes_on_in_nothing(mut self) -> Result<Self> {
        let empty = self.ebpf.program_mut("bench_driven_empty");
        let empty: &mut Xdp = empty.context("no such program")?.try_into()?;
        empty.load()?;
        let empty = empty.fd()?.try_clone()?;
        self.goes_on_in(&empty)
    }

    fn run(&self, repeat: u32) -> Result<Ran> {
        let driver = self.ebpf.program("bench_drive").context("no driver")?;
        let driver: &Xdp = driver.try_into()?;
        test_run::run(driver.fd()?.as_fd(), &self.first, repeat)
    }
}

/// Nanoseconds a packet that the program takes more than an empty one: a value for each trial.
pub(super) fn added(
    plan: &Plan,
    program: &ProgramFd,
    (work, keys, records): (Work, Keys, u32),
) -> Result<Vec<f64>> {
    let packets = packets(work, records)?;
    let driver = || Driver::new(&packets, keys, plan.seed);
    let ours = driver()?.goes_on_in(program)?;
    let nothing = driver()?.goes_on_in_nothing()?;
    for _ in 0..PROBES {
        let codes = [&ours, &nothing].map(|driver| driver.run(1).map(|ran| ran.code));
        let [ran, other] = codes;
        let (ran, other) = (ran?, other?);
        let wanted = (Hook::Xdp.redirects(), Hook::Xdp.drops());
        ensure!(
            (ran, other) == wanted,
            "{work:?} and nothing returned {ran} and {other}, not {wanted:?}"
        );
    }
    let mut trials = Vec::new();
    // The first one warms the code up and does not count.
    for trial in 0..=plan.trials {
        interrupted()?;
        let mut turns = Vec::new();
        for turn in 0..TURNS {
            let [ran, other] = if turn % 2 == 0 {
                [ours.run(plan.packets)?, nothing.run(plan.packets)?]
            } else {
                let other = nothing.run(plan.packets)?;
                [ours.run(plan.packets)?, other]
            };
            turns.push(f64::from(ran.nanoseconds) - f64::from(other.nanoseconds));
        }
        trials.extend(median(&turns).filter(|_| trial > 0));
    }
    Ok(trials)
}
