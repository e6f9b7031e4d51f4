//! A writer that is killed at any moment, and the next one.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use aya::maps::{Map, MapData};
use dataplane_bench::looks::{BOTH, Looks};
use dataplane_common::records::probe::{Probe, marked};
use dataplane_user::dataplane::records::{Mapped, Outer, Swept, Table};

/// Tells a copy of this test which table to write to until it is killed.
const WRITER: &str = "NVE_RECORDS_WRITER";
/// Writers that are killed one after the other.
const WRITERS: usize = 24;
/// Keys that are always there.
const PRESENT: u64 = 3000;
/// Keys that come and go.
const PASSING: u64 = 3000;
const CAPACITY: u64 = 100_000;

const KEYS: Probe = Probe {
    state: 0,
    keys: PRESENT + PASSING,
    stride: 1,
    present: PRESENT,
    found: 0,
    absent: 0,
    missed: 0,
    busy: 0,
    torn: 0,
    ordered: 0,
    fallen: 0,
};

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_next_writer_finds_whole_records() -> Result<()> {
    if let Ok(id) = env::var(WRITER) {
        return write(id.parse()?);
    }
    let (mut looks, mut table) = Looks::load(u32::try_from(CAPACITY)?, 0)?;
    for number in 0..PRESENT {
        let key = KEYS.key(number);
        table.insert(key, marked(key, 1))?;
    }
    drop(table);
    let (mut swept, mut written) = (Swept::default(), 0);
    for turn in 0..WRITERS {
        kill(looks.outer(), turn)?;
        let (table, found) = adopt(looks.outer())?;
        ensure!(found.strays == 0 && found.duplicates <= 1, "{found:?}");
        swept.duplicates += found.duplicates;
        written += examine(&mut looks, &table)?;
    }
    println!("{swept:?}, {written} records were others than before");
    ensure!(written > 0, "no writer wrote");
    Ok(())
}

/// Starts a writer and kills it somewhere behind its so-manieth word.
fn kill(outer: u32, turn: usize) -> Result<()> {
    let mut writer = Command::new(env::current_exe()?)
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("killed::the_next_writer_finds_whole_records")
        .env(WRITER, outer.to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let words = BufReader::new(writer.stdout.take().context("no pipe")?).lines();
    let heard = words
        .filter(|line| line.as_ref().is_ok_and(|line| line == "written"))
        .take(turn % 5 + 1)
        .count();
    writer.kill()?;
    writer.wait()?;
    ensure!(heard == turn % 5 + 1, "the writer ended by itself");
    Ok(())
}

/// The table as its last writer left it.
fn adopt(outer: u32) -> Result<(Table<Outer>, Swept)> {
    let outer = Outer::new(Map::from_map_data(MapData::from_id(outer)?)?.try_into()?);
    let memory = Mapped::open(outer.current()?.context("no table")?)?;
    let geometry = memory.geometry().context("no header")?;
    let mut table = Table::adopt(outer, (memory, geometry), CAPACITY)?;
    let swept = table.sweep();
    table.check()?;
    Ok((table, swept))
}

/// Whether the table has what it must, and nothing else, and programs see the same; how many records
/// are not those that were there at first.
fn examine(looks: &mut Looks, table: &Table<Outer>) -> Result<u64> {
    let (mut count, mut written) = (0, 0);
    for entry in table.writer().entries() {
        let whole = marked(entry.key, entry.record.vsid) == entry.record;
        ensure!(whole, "{entry:?}");
        count += 1;
        written += u64::from(entry.record.vsid > 1);
    }
    ensure!(count == table.len(), "{count} of {}", table.len());
    for number in 0..PRESENT {
        let found = table.writer().get(KEYS.key(number));
        ensure!(found.is_some(), "{number} is gone");
    }
    let all = table.writer().entries();
    looks.refill_hash(all.map(|entry| (entry.key, entry.record)))?;
    let mut probe = KEYS;
    looks.run(BOTH, &mut probe, u32::try_from(KEYS.keys)?)?;
    ensure!(probe.torn == 0 && probe.found == count, "{count} {probe:?}");
    Ok(written)
}

/// Updates, inserts, removes, and makes the table another one, until killed.
fn write(outer: u32) -> Result<()> {
    let (mut table, _) = adopt(outer)?;
    let mut random = u64::from(std::process::id()) | 1;
    let mut below = |end: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 16) % end
    };
    for n in 2.. {
        let key = KEYS.key(below(PRESENT));
        table.insert(key, marked(key, n))?;
        let key = KEYS.key(PRESENT + below(PASSING));
        if table.writer_mut().remove(key).is_none() {
            table.insert(key, marked(key, n))?;
        }
        if n % 2000 == 0 {
            table.reseed()?;
        }
        if n % 4096 == 0 {
            writeln!(std::io::stdout(), "written")?;
        }
    }
    Ok(())
}
