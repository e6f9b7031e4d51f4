//! Time that a program takes for a packet, above what an empty one takes for the same packet.
//!
//! A call of `BPF_PROG_TEST_RUN` repeats one packet, and a packet that was encapsulated once cannot
//! be encapsulated again. So each packet has a call of its own: another key each time, and between
//! two runs the kernel's own work, as between two packets of a device. What is dropped stays as it
//! was, and is repeated in a loop as well: that is the time with everything at hand.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    programs::{SchedClassifier, Xdp},
};
use dataplane_common::abi::stats::Direction;
use dataplane_user::dataplane::{OBJECT, layout, maps::Maps};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use xtask::lab::interrupted;

use super::{
    Figure, Plan, Unit, tables,
    test_run::{self, Hook},
};
use crate::scenario::{Keys, Refusal, Work};

/// Runs of a packet in a loop.
const REPEAT: u32 = 1 << 20;
/// Keys of [`Keys::ThousandHot`].
const HOT: u32 = 1024;

/// All walks at both hooks over all sizes of tables.
pub fn measure(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for records in &plan.records {
        let bench = Bench::load(*records)?;
        for hook in Hook::ALL {
            for walk in &WALKS {
                for keys in walk.keys {
                    figures.push(bench.one_by_one(plan, hook, walk, *keys)?);
                }
                if matches!(walk.work, Work::Drop(_)) {
                    figures.push(bench.in_a_loop(plan, hook, walk)?);
                }
            }
        }
    }
    Ok(figures)
}

/// A way through a program, and the packet that takes it.
struct Walk {
    work: Work,
    direction: Direction,
    /// Patterns that make a difference.
    keys: &'static [Keys],
    /// The frame for record `k` of so many.
    frame: fn(k: u32, records: u32) -> Vec<u8>,
}

const ALL_KEYS: &[Keys] = &[Keys::OneHot, Keys::ThousandHot, Keys::Uniform];

const WALKS: [Walk; 6] = [
    Walk {
        work: Work::Encap,
        direction: Direction::Egress,
        keys: ALL_KEYS,
        frame: |k, _| sent(tables::CA, tables::FIRST + k),
    },
    Walk {
        work: Work::Decap,
        direction: Direction::Ingress,
        keys: ALL_KEYS,
        frame: |k, _| {
            let from = tables::FIRST + k;
            tables::tunnelled(k, &sent(from, tables::CA))
        },
    },
    Walk {
        work: Work::SameHost,
        direction: Direction::Egress,
        keys: &[Keys::OneHot],
        frame: |_, _| sent(tables::CA, tables::NEIGHBOUR_CA),
    },
    Walk {
        work: Work::Drop(Refusal::SpoofMac),
        direction: Direction::Egress,
        keys: &[Keys::OneHot],
        frame: |k, _| tables::frame(tables::mac(0), tables::CA, tables::FIRST + k),
    },
    Walk {
        work: Work::Drop(Refusal::SpoofCa),
        direction: Direction::Egress,
        keys: &[Keys::OneHot],
        frame: |k, _| tables::frame(tables::mac(tables::CA), tables::CA + 100, tables::FIRST + k),
    },
    Walk {
        work: Work::Drop(Refusal::NoLookupRecord),
        direction: Direction::Egress,
        keys: ALL_KEYS,
        // Behind the last record there is none.
        frame: |k, records| sent(tables::CA, tables::FIRST + records + k),
    },
];

fn sent(from: u32, to: u32) -> Vec<u8> {
    tables::frame(tables::mac(from), from, to)
}

/// The loaded programs over tables of one size.
struct Bench {
    ebpf: Ebpf,
    /// Hold the tables' content.
    _maps: Maps,
    records: u32,
}

impl Bench {
    fn load(records: u32) -> Result<Self> {
        let mut loader = EbpfLoader::new();
        for name in layout::SIZED {
            loader.map_max_entries(name, records.max(tables::DEFAULT_CAPACITY));
        }
        let mut ebpf = loader
            .load(OBJECT)
            .context("the object with the programs")?;
        for (name, program) in ebpf.programs_mut() {
            let loaded = if name.starts_with("nve_tc") {
                <&mut SchedClassifier>::try_from(program)?.load()
            } else {
                <&mut Xdp>::try_from(program)?.load()
            };
            loaded.with_context(|| format!("program {name}"))?;
        }
        let mut maps = Maps::take(&mut ebpf)?;
        tables::fill(&mut maps, &tables::image(records))?;
        Ok(Self {
            ebpf,
            _maps: maps,
            records,
        })
    }

    /// Each packet in a call of its own, beside the empty program.
    fn one_by_one(&self, plan: &Plan, hook: Hook, walk: &Walk, keys: Keys) -> Result<Figure> {
        let mut random = SmallRng::seed_from_u64(plan.seed);
        let records = tables::remotes(self.records);
        let empty = test_run::empty(hook)?;
        let program = self.program(hook, walk.direction)?;
        let mut figure = self
            .figure(hook, walk, keys)?
            .with("method", "one packet a call");
        // The first one warms the code up and does not count; its packets are others, so the tables stay cold.
        for trial in 0..=plan.trials {
            interrupted()?;
            let mut frame = || (walk.frame)(key(&mut random, keys, records), records);
            let frames: Vec<_> = (0..plan.packets).map(|_| frame()).collect();
            let more = test_run::difference(program.as_fd(), &empty, &frames, code(hook, walk))
                .with_context(|| format!("{:?} at {}", walk.work, hook.as_str()))?;
            if trial > 0 {
                figure.trials.push(more);
            }
        }
        Ok(figure)
    }

    /// One packet again and again in one call, beside the empty program.
    fn in_a_loop(&self, plan: &Plan, hook: Hook, walk: &Walk) -> Result<Figure> {
        let frame = (walk.frame)(0, tables::remotes(self.records));
        let empty = test_run::empty(hook)?;
        let program = self.program(hook, walk.direction)?;
        let mut figure = self
            .figure(hook, walk, Keys::OneHot)?
            .with("method", "loop");
        let wanted = code(hook, walk);
        for trial in 0..=plan.trials {
            interrupted()?;
            let [ran, nothing] =
                test_run::both(program.as_fd(), &empty, trial.is_multiple_of(2), |fd| {
                    test_run::run(fd, &frame, REPEAT)
                })?;
            ensure!(ran.code == wanted, "returned {}, not {wanted}", ran.code);
            if trial > 0 {
                let more = f64::from(ran.nanoseconds) - f64::from(nothing.nanoseconds);
                figure.trials.push(more);
            }
        }
        Ok(figure)
    }

    fn figure(&self, hook: Hook, walk: &Walk, keys: Keys) -> Result<Figure> {
        Ok(Figure::new("ns-per-packet", Unit::Nanoseconds)
            .with("hook", hook.as_str())
            .with("work", word(&walk.work)?)
            .with("keys", word(&keys)?)
            .with("records", self.records))
    }

    fn program(&self, hook: Hook, direction: Direction) -> Result<OwnedFd> {
        let name = format!("nve_{}_{}", hook.as_str(), direction.as_str());
        let program = self.ebpf.program(&name).context(name)?;
        let fd = match hook {
            Hook::Xdp => <&Xdp>::try_from(program)?.fd()?,
            Hook::Tc => <&SchedClassifier>::try_from(program)?.fd()?,
        };
        Ok(fd.as_fd().try_clone_to_owned()?)
    }
}

fn code(hook: Hook, walk: &Walk) -> u32 {
    match walk.work {
        Work::Drop(_) => hook.drops(),
        Work::Encap | Work::Decap | Work::EncapDecap | Work::SameHost => hook.redirects(),
    }
}

fn key(random: &mut SmallRng, keys: Keys, records: u32) -> u32 {
    match keys {
        Keys::OneHot => 0,
        Keys::ThousandHot => random.random_range(0..records.min(HOT)),
        Keys::Zipf | Keys::Uniform => random.random_range(0..records),
    }
}

/// The word that rows have for it.
fn word(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?.replace(['{', '}', '"'], ""))
}
