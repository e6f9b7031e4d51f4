//! Time that a program takes for a packet, above what an empty one takes for the same packet.
//!
//! A call of `BPF_PROG_TEST_RUN` repeats one packet, and a packet that was encapsulated once cannot
//! be encapsulated again. So each packet has a call of its own: another key each time, and between
//! two runs the kernel's own work, as between two packets of a device. What is dropped stays as it
//! was, and is repeated in a loop as well: that is the time with everything at hand. At XDP a driver
//! gives a program other packets within one call: see [`super::driven`].

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    programs::{SchedClassifier, Xdp},
};
use dataplane_common::abi::stats::Direction;
use dataplane_user::dataplane::{OBJECT, maps::Maps};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use xtask::lab::interrupted;

use super::{
    Figure, Plan, Unit, driven, rewriting, tables,
    test_run::{self, Hook},
    walks::{WALKS, Walk},
};
use crate::scenario::{Keys, Work};

/// Runs of a packet in a loop.
const REPEAT: u32 = 1 << 20;
/// Keys of [`Keys::ThousandHot`].
const HOT: u32 = 1024;

/// All walks at both hooks over all sizes of tables.
pub fn measure(plan: &Plan) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for records in &plan.records {
        let mut bench = Bench::load(*records)?;
        for rewrites in [false, true] {
            if rewrites {
                rewriting::give_pas(&mut bench.maps, *records)?;
            }
            for hook in Hook::ALL {
                bench.walks(plan, hook, rewrites, &mut figures)?;
            }
            let works = driven::WORKS.into_iter();
            for work in works.filter(|work| work.rewrites() == rewrites) {
                for keys in [Keys::OneHot, Keys::Uniform] {
                    figures.push(bench.driven(plan, work, keys)?);
                }
            }
        }
    }
    Ok(figures)
}

/// The loaded programs over tables of one size.
struct Bench {
    ebpf: Ebpf,
    maps: Maps,
    records: u32,
}

impl Bench {
    fn load(records: u32) -> Result<Self> {
        let mut ebpf = EbpfLoader::new()
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
        let mut maps = Maps::take(&mut ebpf, records.max(tables::DEFAULT_CAPACITY))?;
        tables::fill(&mut maps, &tables::image(records))?;
        Ok(Self {
            ebpf,
            maps,
            records,
        })
    }

    fn walks(
        &self,
        plan: &Plan,
        hook: Hook,
        rewrites: bool,
        figures: &mut Vec<Figure>,
    ) -> Result<()> {
        for walk in WALKS.iter().filter(|walk| walk.work.rewrites() == rewrites) {
            for keys in walk.keys {
                figures.push(self.one_by_one(plan, hook, walk, *keys)?);
            }
            if matches!(walk.work, Work::Drop(_)) {
                figures.push(self.in_a_loop(plan, hook, walk)?);
            }
        }
        Ok(())
    }

    /// Other packets within one call.
    fn driven(&self, plan: &Plan, work: Work, keys: Keys) -> Result<Figure> {
        let direction = if matches!(work, Work::Decap | Work::RewriteIn) {
            Direction::Ingress
        } else {
            Direction::Egress
        };
        let name = program_name(Hook::Xdp, direction);
        let program = self.ebpf.program(&name).context(name)?;
        let program = <&Xdp>::try_from(program)?.fd()?;
        let mut figure = self
            .figure(Hook::Xdp, work, keys)?
            .with("method", test_run::DRIVEN);
        figure.trials = driven::added(plan, program, (work, keys, self.records))
            .with_context(|| format!("{work:?}, driven"))?;
        Ok(figure)
    }

    /// Each packet in a call of its own, beside the empty program.
    fn one_by_one(&self, plan: &Plan, hook: Hook, walk: &Walk, keys: Keys) -> Result<Figure> {
        let mut random = SmallRng::seed_from_u64(plan.seed);
        let records = if walk.work.rewrites() {
            rewriting::with_pa(self.records)
        } else {
            tables::remotes(self.records)
        };
        let empty = test_run::empty(hook)?;
        let program = self.program(hook, walk.direction)?;
        let mut figure = self
            .figure(hook, walk.work, keys)?
            .with("method", "one packet a call");
        // The first one warms the code up and does not count; its packets are others, so the tables stay cold.
        for trial in 0..=plan.trials {
            interrupted()?;
            let mut frame = || (walk.frame)(key(&mut random, keys, records), records);
            let frames: Vec<_> = (0..plan.packets).map(|_| frame()).collect();
            let more = test_run::difference(program.as_fd(), &empty, &frames, walk.code(hook))
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
            .figure(hook, walk.work, Keys::OneHot)?
            .with("method", "loop");
        let wanted = walk.code(hook);
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

    fn figure(&self, hook: Hook, work: Work, keys: Keys) -> Result<Figure> {
        figure(hook, (work, keys, self.records))
    }

    fn program(&self, hook: Hook, direction: Direction) -> Result<OwnedFd> {
        let name = program_name(hook, direction);
        let program = self.ebpf.program(&name).context(name)?;
        let fd = match hook {
            Hook::Xdp => <&Xdp>::try_from(program)?.fd()?,
            Hook::Tc => <&SchedClassifier>::try_from(program)?.fd()?,
        };
        Ok(fd.as_fd().try_clone_to_owned()?)
    }
}

fn program_name(hook: Hook, direction: Direction) -> String {
    format!("nve_{}_{}", hook.as_str(), direction.as_str())
}

fn key(random: &mut SmallRng, keys: Keys, records: u32) -> u32 {
    match keys {
        Keys::OneHot => 0,
        Keys::ThousandHot => random.random_range(0..records.min(HOT)),
        Keys::Zipf | Keys::Uniform => random.random_range(0..records),
    }
}

/// The figure of a work at a hook, without trials.
pub(super) fn figure(hook: Hook, (work, keys, records): (Work, Keys, u32)) -> Result<Figure> {
    Ok(Figure::new("ns-per-packet", Unit::Nanoseconds)
        .with("hook", hook.as_str())
        .with("work", word(&work)?)
        .with("keys", word(&keys)?)
        .with("records", records))
}

/// The word that rows have for it.
fn word(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?.replace(['{', '}', '"'], ""))
}
