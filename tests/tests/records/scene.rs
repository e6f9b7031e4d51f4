//! A writer and a program at the same table.

use std::{
    collections::BTreeMap,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use dataplane_bench::looks::{BOTH, Looks};
use dataplane_common::records::{
    geometry::Geometry,
    probe::{Probe, marked},
};
use dataplane_user::dataplane::records::{Outer, Refused, Table};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Look-ups of one call of the kernel's.
const CHUNK: u32 = 100_000;
/// The domain of the keys that meet, which nobody looks up.
const HOSTILE: u64 = 9 << 32;

/// What is written.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// Keys that are always there.
    present: u64,
    /// Keys that come and go.
    passing: u64,
    /// Records that there may be.
    capacity: u32,
    /// The keys that are always there have one bucket.
    meet: bool,
    /// Keys that meet come every so many writes, so that the table changes its seed; 0: never.
    hostile: u64,
    /// Whether records are moved to make room.
    pub(crate) moves: bool,
    /// Whether the table becomes another one.
    pub(crate) renews: bool,
}

/// Three records in one bucket, so that each write takes the slot that the one before left.
pub(crate) const HOT: Scene = Scene {
    name: "hot",
    present: 3,
    passing: 0,
    capacity: 100,
    meet: true,
    hostile: 0,
    moves: false,
    renews: false,
};
/// A table of 1,024 slots that is nearly full, and changes its seed.
pub(crate) const CROWDED: Scene = Scene {
    name: "crowded",
    present: 800,
    passing: 140,
    capacity: 955,
    meet: false,
    hostile: 20_000,
    moves: true,
    renews: true,
};
/// A table that grows from the smallest to sixty times that.
pub(crate) const GROWING: Scene = Scene {
    name: "growing",
    present: 500,
    passing: 60_000,
    capacity: 1 << 17,
    meet: false,
    hostile: 0,
    moves: true,
    renews: true,
};

/// What was seen and done.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) found: u64,
    pub(crate) absent: u64,
    pub(crate) missed: u64,
    pub(crate) busy: u64,
    pub(crate) torn: u64,
    pub(crate) fallen: u64,
    pub(crate) written: u64,
    pub(crate) moves: u64,
    pub(crate) renewed: u64,
}

impl Tally {
    pub(crate) const fn looked(&self) -> u64 {
        self.found + self.absent + self.missed + self.busy + self.torn
    }

    pub(crate) const fn add(&mut self, other: &Self) {
        self.found += other.found;
        self.absent += other.absent;
        self.missed += other.missed;
        self.busy += other.busy;
        self.torn += other.torn;
        self.fallen += other.fallen;
        self.written += other.written;
        self.moves += other.moves;
        self.renewed += other.renewed;
    }
}

/// The numbers of keys that are in the table, and of their records.
type Model = BTreeMap<u64, u32>;

struct Writing<'s> {
    scene: &'s Scene,
    table: Table<Outer>,
    probe: Probe,
    model: Model,
    written: u32,
    moves: u64,
    random: u64,
}

impl Scene {
    /// Looks up so often, or until something is wrong, or for so long, and compares at the end.
    pub(crate) fn run(&self, program: &str, most: u64, limit: Option<Duration>) -> Result<Tally> {
        let (mut looks, table) = Looks::load(self.capacity, 0)?;
        let mut writing = Writing::begin(self, table)?;
        let mut probe = Probe {
            state: 1,
            present: self.present,
            ordered: 1,
            ..writing.probe
        };
        let (stop, start) = (AtomicBool::new(false), Barrier::new(2));
        let deadline = limit.map(|limit| Instant::now() + limit);
        thread::scope(|scope| -> Result<()> {
            let writer = scope.spawn(|| {
                on_cpu(1);
                start.wait();
                let written = writing.run(&stop);
                stop.store(true, Relaxed);
                written
            });
            on_cpu(0);
            start.wait();
            let looked = watch(&mut looks, program, &mut probe, (most, deadline, &stop));
            stop.store(true, Relaxed);
            writer.join().expect("the writer")?;
            looked
        })?;
        writing.compare(&mut looks)?;
        Ok(Tally {
            found: probe.found,
            absent: probe.absent,
            missed: probe.missed,
            busy: probe.busy,
            torn: probe.torn,
            fallen: probe.fallen,
            written: writing.written.into(),
            moves: writing.moves,
            renewed: writing.table.renewed(),
        })
    }
}

/// Runs the program until it has seen enough.
fn watch(
    looks: &mut Looks,
    program: &str,
    probe: &mut Probe,
    (most, deadline, stop): (u64, Option<Instant>, &AtomicBool),
) -> Result<()> {
    let mut looked = 0;
    while looked < most && probe.torn + probe.missed + probe.fallen == 0 {
        looks.run(program, probe, CHUNK)?;
        looked += u64::from(CHUNK);
        let over = deadline.is_some_and(|deadline| Instant::now() > deadline);
        if over || stop.load(Relaxed) {
            break;
        }
    }
    Ok(())
}

/// Keeps a thread on a CPU, if the machine has it.
fn on_cpu(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    // Where there is one CPU alone, the two take turns.
    let _ = sched_setaffinity(None, &set);
}

impl<'s> Writing<'s> {
    fn begin(scene: &'s Scene, table: Table<Outer>) -> Result<Self> {
        let mut writing = Self {
            scene,
            table,
            probe: Probe {
                keys: scene.present + scene.passing,
                stride: 1,
                ..Probe::default()
            },
            model: Model::new(),
            written: 0,
            moves: 0,
            random: 0x9e37_79b9_7f4a_7c15,
        };
        while scene.meet && !writing.meet() {
            writing.probe.stride += 1;
        }
        for number in 0..scene.present {
            writing.put(number)?;
        }
        Ok(writing)
    }

    /// Writes until told to stop, or until the table has grown as far as it goes.
    fn run(&mut self, stop: &AtomicBool) -> Result<()> {
        let mut grown = self.scene.present;
        while self.written < 20_000 || !stop.load(Relaxed) {
            let number = self.below(self.scene.present);
            self.put(number)?;
            if self.scene.hostile == 0 && self.scene.passing > 0 {
                if grown == self.scene.present + self.scene.passing {
                    break;
                }
                self.put(grown)?;
                grown += 1;
            } else if self.scene.passing > 0 {
                let number = self.scene.present + self.below(self.scene.passing);
                self.pass(number)?;
                if u64::from(self.written).is_multiple_of(self.scene.hostile) {
                    self.provoke()?;
                }
            }
        }
        self.moves += self.table.writer().moves();
        Ok(())
    }

    /// Whether all keys have one home.
    fn meet(&self) -> bool {
        let geometry = self.table.writer().geometry();
        let home = |number| geometry.pair(self.probe.key(number)).home;
        (1..self.probe.keys).all(|number| home(number) == home(0))
    }

    /// Writes another record of a key.
    fn put(&mut self, number: u64) -> Result<()> {
        self.written += 1;
        let key = self.probe.key(number);
        let record = marked(key, self.written);
        self.table.insert(key, record)?;
        self.model.insert(number, self.written);
        Ok(())
    }

    /// Removes a key, or writes it if it is not there.
    fn pass(&mut self, number: u64) -> Result<()> {
        let removed = self.table.writer_mut().remove(self.probe.key(number));
        let expected = self.model.remove(&number);
        let found = removed.map(|entry| entry.record.vsid);
        ensure!(found == expected, "{found:?}, not {expected:?}");
        if removed.is_none() {
            self.put(number)?;
        }
        Ok(())
    }

    /// Inserts more keys with the same two buckets than those have slots for, and removes them.
    fn provoke(&mut self) -> Result<()> {
        self.written += 1;
        let geometry: Geometry = *self.table.writer().geometry();
        let pair = geometry.pair(HOSTILE);
        let meet = (HOSTILE..).filter(|key| geometry.pair(*key) == pair);
        let keys: Vec<u64> = meet.take(9).collect();
        self.moves += self.table.writer().moves();
        for key in &keys {
            let record = marked(*key, 1);
            if let Err(Refused::Crowded(_)) = self.table.insert(*key, record) {
                // It changes its seed by itself, but not so often.
                self.table.reseed()?;
                self.table.insert(*key, record)?;
            }
            ensure!(self.table.writer().get(*key).is_some());
        }
        for key in &keys {
            ensure!(self.table.writer_mut().remove(*key).is_some());
        }
        Ok(())
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) % end
    }

    /// Fills the hash with what the table must have, and has a program compare every key.
    fn compare(&self, looks: &mut Looks) -> Result<()> {
        let records = self.model.iter().map(|(number, n)| {
            let key = self.probe.key(*number);
            (key, marked(key, *n))
        });
        looks.fill_hash(records)?;
        let (keys, mut probe) = (self.probe.keys, self.probe);
        looks.run(BOTH, &mut probe, u32::try_from(keys)?)?;
        let known = u64::try_from(self.model.len())?;
        ensure!(probe.torn == 0 && probe.found == known, "{known} {probe:?}");
        ensure!(probe.found + probe.absent == keys, "{keys} {probe:?}");
        ensure!(self.table.len() == known, "{} of {known}", self.table.len());
        Ok(())
    }
}
