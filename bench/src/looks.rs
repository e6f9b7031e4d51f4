//! Programs that look records up and do nothing else, beside the tables that they look in.

use std::time::Duration;

use anyhow::{Context, Result};
use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData},
    programs::{TestRun as _, TestRunOptions, Xdp},
};
use dataplane_common::{
    abi::lookup::{LookupEntry, LookupRecord},
    records::{bucket::WORDS, header::header, probe::Probe},
};
use dataplane_user::dataplane::records::{Mapped, Memory as _, Outer, Table};

use crate::programs::{OBJECT, loader};

/// Programs by what they look in.
pub const PROGRAMS: [&str; 6] = [NONE, TABLE, UNCHECKED, FIXED, HASH, BOTH];
/// Nothing.
pub const NONE: &str = "bench_look_none";
/// The table of buckets that is current.
pub const TABLE: &str = "bench_look_table";
/// The same without the check of control words.
pub const UNCHECKED: &str = "bench_look_unchecked";
/// A table of buckets that is always the same map.
pub const FIXED: &str = "bench_look_fixed";
/// The kernel's hash.
pub const HASH: &str = "bench_look_hash";
/// Table and hash, one key after the other.
pub const BOTH: &str = "bench_look_both";

/// The loaded programs.
pub struct Looks {
    ebpf: Ebpf,
    outer: u32,
}

impl Looks {
    /// Loads a copy with an empty table for `capacity` records, a hash of as many, and room for a
    /// fixed table of so many elements.
    pub fn load(capacity: u32, fixed: u32) -> Result<(Self, Table<Outer>)> {
        let mut ebpf = loader()
            .map_max_entries("RECORDS_HASH", capacity)
            .map_max_entries("RECORDS_FIXED", fixed.max(2))
            .load(OBJECT)?;
        for name in PROGRAMS {
            let program = ebpf.program_mut(name).context("no such program")?;
            <&mut Xdp>::try_from(program)?.load()?;
        }
        let map = ebpf.take_map("RECORDS").context("no such map")?;
        let Map::ArrayOfMaps(data) = &map else {
            anyhow::bail!("RECORDS is no map of maps");
        };
        let outer = data.info()?.id();
        let table = Table::new(Outer::new(map.try_into()?), capacity.into())?;
        Ok((Self { ebpf, outer }, table))
    }

    /// The id of the map that the current table is in.
    pub const fn outer(&self) -> u32 {
        self.outer
    }

    /// Runs a program so many times; how long one took, and in `probe` what it saw.
    pub fn run(&mut self, program: &str, probe: &mut Probe, times: u32) -> Result<Duration> {
        let map = self.ebpf.map_mut("PROBE").context("no such map")?;
        Array::<_, Probe>::try_from(map)?.set(0, *probe, 0)?;
        let frame = [0; 64];
        let options = TestRunOptions {
            data_in: Some(&frame),
            repeat: times,
            ..TestRunOptions::new()
        };
        let of = self.ebpf.program(program).context("no such program")?;
        let ran = <&Xdp>::try_from(of)?.test_run(options)?;
        let map = self.ebpf.map("PROBE").context("no such map")?;
        *probe = Array::<_, Probe>::try_from(map)?.get(&0, 0)?;
        Ok(ran.duration)
    }

    /// Writes records into the hash.
    pub fn fill_hash(&mut self, records: impl Iterator<Item = (u64, LookupRecord)>) -> Result<()> {
        let mut hash = self.hash()?;
        for (key, record) in records {
            hash.insert(key, LookupEntry::from(record), 0)?;
        }
        Ok(())
    }

    /// Writes these records into the hash, and removes all others.
    pub fn refill_hash(
        &mut self,
        records: impl Iterator<Item = (u64, LookupRecord)>,
    ) -> Result<()> {
        let mut hash = self.hash()?;
        let former: Result<Vec<u64>, _> = hash.keys().collect();
        for key in former? {
            hash.remove(&key)?;
        }
        self.fill_hash(records)
    }

    fn hash(&mut self) -> Result<HashMap<&mut MapData, u64, LookupEntry>> {
        let map = self.ebpf.map_mut("RECORDS_HASH").context("no such map")?;
        Ok(map.try_into()?)
    }

    /// Makes the fixed table a copy of this one, which has as many elements.
    pub fn fix(&mut self, table: &Table<Outer>) -> Result<()> {
        let map = self.ebpf.take_map("RECORDS_FIXED").context("no such map")?;
        let mut map: Array<MapData, [u64; WORDS]> = map.try_into()?;
        map.set(0, header(table.writer().geometry()), 0)?;
        let (from, to) = (table.writer().memory(), Mapped::open(map)?);
        anyhow::ensure!(from.words() == to.words(), "tables of two sizes");
        for word in 0..from.words() {
            to.store(word, from.load(word));
        }
        Ok(())
    }
}
