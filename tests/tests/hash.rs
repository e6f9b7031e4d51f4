//! Kernel hashes that grow and shrink with their content.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{ArrayOfMaps, IterableMap as _, Map, MapData},
};
use dataplane_common::abi::{
    lookup::{LookupEntry, LookupKey, LookupRecord},
    stats::Direction,
    vport::LocalPortKey,
};
use dataplane_tests::{
    packet::udp,
    policy::{BLUE, BLUE_RDID, ca6, two_tenants, vm},
    prog_run::{Action, Hook, Programs},
};
use dataplane_user::dataplane::{
    OBJECT,
    commit::is_full,
    hash::Hash,
    records::{Refused, patience::SPARSE},
};

/// More than twice what the smallest has room for.
const MANY: u32 = 3000;
/// So few that most of the room for [`MANY`] is of no use.
const FEW: u32 = 300;

fn key(number: u32) -> LocalPortKey {
    LocalPortKey::new(number, vm(1))
}

fn record(number: u32) -> LookupRecord {
    LookupRecord::negative(number)
}

fn room(hash: &Hash<LocalPortKey, LookupRecord>) -> Result<u32> {
    Ok(hash.current().map().info()?.max_entries())
}

fn fill(hash: &mut Hash<LocalPortKey, LookupRecord>, numbers: std::ops::Range<u32>) -> Result<()> {
    for number in numbers {
        hash.insert(&key(number), &record(number))?;
    }
    Ok(())
}

fn empty(hash: &mut Hash<LocalPortKey, LookupRecord>, numbers: std::ops::Range<u32>) -> Result<()> {
    for number in numbers {
        hash.remove(&key(number))?;
    }
    Ok(())
}

fn loaded() -> Result<(Ebpf, u32)> {
    let ebpf = EbpfLoader::new().load(OBJECT)?;
    let Some(Map::ArrayOfMaps(map)) = ebpf.map("MACS") else {
        anyhow::bail!("MACS is no array of maps");
    };
    let id = map.info()?.id();
    Ok((ebpf, id))
}

/// As another process that has the pin.
fn again(id: u32, capacity: u32) -> Result<Hash<LocalPortKey, LookupRecord>> {
    let map: ArrayOfMaps<_, _> = Map::from_map_data(MapData::from_id(id)?)?.try_into()?;
    Ok(Hash::open("MACS", map, capacity)?)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn it_is_as_large_as_its_content_and_goes_on_in_another_process() -> Result<()> {
    let (_ebpf, id) = loaded()?;
    let mut hash = again(id, 1 << 20)?;
    ensure!(room(&hash)? == 1024 && hash.is_empty());
    fill(&mut hash, 0..MANY)?;
    ensure!(
        room(&hash)? == 4096 && hash.len() == MANY,
        "{}",
        room(&hash)?
    );
    // What is known takes no room.
    fill(&mut hash, 0..MANY)?;
    hash.remove(&key(7))?;
    ensure!(hash.len() == MANY - 1);
    ensure!(hash.remove(&key(7)).is_err() && hash.len() == MANY - 1);

    drop(hash);
    let mut hash = again(id, 1 << 20)?;
    ensure!(room(&hash)? == 4096 && hash.len() == MANY - 1);
    for number in (0..MANY).filter(|number| *number != 7) {
        let found = hash.current().get(&key(number), 0)?;
        ensure!(found == record(number), "{number}: {found:?}");
    }
    hash.reserve(50_000)?;
    ensure!(room(&hash)? == 65_536 && hash.len() == MANY - 1);
    let found = hash.current().iter().collect::<Result<Vec<_>, _>>()?;
    ensure!(found.len() == 2999, "{} were taken along", found.len());
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn one_that_was_too_large_for_long_becomes_a_smaller_one() -> Result<()> {
    let (_ebpf, id) = loaded()?;
    let mut hash = again(id, 1 << 20)?;
    let (start, moment) = (Instant::now(), Duration::from_secs(1));
    fill(&mut hash, 0..MANY)?;
    hash.tend(start)?;
    empty(&mut hash, FEW..MANY)?;
    hash.tend(start + moment)?;
    hash.tend(start + SPARSE)?;
    ensure!(room(&hash)? == 4096, "not yet");
    // It was in use in between: that is not for long.
    fill(&mut hash, FEW..MANY)?;
    hash.tend(start + SPARSE)?;
    empty(&mut hash, FEW..MANY)?;
    let empty_since = start + SPARSE + moment;
    hash.tend(empty_since)?;
    hash.tend(empty_since + SPARSE.saturating_sub(moment))?;
    ensure!(room(&hash)? == 4096, "not yet either");
    hash.tend(empty_since + SPARSE)?;
    ensure!(room(&hash)? == 1024, "{}", room(&hash)?);

    // Of what it has now, and programs with it, nothing is missing, and nothing has come back.
    drop(hash);
    let hash = again(id, 1 << 20)?;
    ensure!(room(&hash)? == 1024 && hash.len() == FEW);
    for number in 0..FEW {
        let found = hash.current().get(&key(number), 0)?;
        ensure!(found == record(number), "{number}: {found:?}");
    }
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn it_has_no_more_entries_than_it_may() -> Result<()> {
    let (_ebpf, id) = loaded()?;
    let mut hash = again(id, 1500)?;
    fill(&mut hash, 0..1500)?;
    let refused = hash.insert(&key(1500), &record(1500)).err();
    let refused = refused.context("it took one more")?;
    ensure!(is_full(&refused), "{refused}");
    // Another value for a known key is no more.
    hash.insert(&key(3), &record(4))?;
    ensure!(hash.current().get(&key(3), 0)? == record(4));
    hash.remove(&key(0))?;
    fill(&mut hash, 1500..1501)?;

    // A bound below the room of the hash that is there.
    drop(hash);
    let mut hash = again(id, 1200)?;
    ensure!(hash.len() == 1500 && hash.capacity() == 1200);
    ensure!(
        hash.insert(&key(1501), &record(1))
            .is_err_and(|error| is_full(&error))
    );
    Ok(())
}

/// A hash that another process put in place is not overwritten, and whoever had the former one hears
/// of it without a change of its own.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn two_writers_do_not_undo_each_other() -> Result<()> {
    let (_ebpf, id) = loaded()?;
    let mut hash = again(id, 1 << 20)?;
    let mut other = again(id, 1 << 20)?;
    hash.tend(Instant::now())?;
    other.reserve(MANY)?;
    let told = hash.tend(Instant::now());
    ensure!(matches!(told, Err(Refused::Foreign)), "{told:?}");
    fill(&mut other, 0..MANY)?;
    other.tend(Instant::now())?;
    let refused = hash.reserve(MANY).err().context("it grew")?;
    ensure!(refused.to_string().contains("two nved"), "{refused}");
    ensure!(again(id, 1 << 20)?.len() == MANY);
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn programs_find_what_was_there_before_it_grew() {
    let mut programs = Programs::load(&two_tenants());
    let frame = udp(ca6(0, 5), ca6(0, 7), 20);
    let forwarded = |programs: &Programs| {
        for hook in [Hook::Tc, Hook::Xdp] {
            let ran = programs.run(hook, Direction::Egress, &frame);
            assert_eq!(ran.action, Action::Redirect, "{hook:?}");
        }
    };
    forwarded(&programs);
    for number in 0..MANY {
        let [high, low] =
            [number >> 8, number & 0xFF].map(|byte| u8::try_from(byte).expect("byte"));
        let mut ca = ca6(9, low);
        ca[14] = high;
        let entry: LookupEntry = LookupRecord::negative(BLUE).into();
        let ca = IpAddr::from(ca).into();
        programs.set_entry(
            LookupKey {
                rdid: BLUE_RDID,
                ca,
            },
            Some(entry),
        );
    }
    forwarded(&programs);
}
