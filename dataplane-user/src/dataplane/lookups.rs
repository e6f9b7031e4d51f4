//! The lookup records of both families: `LOOKUP` is a table of buckets with the short key of IPv4
//! ([`super::records`]), `LOOKUP6` a hash with the long one ([`super::hash`]).

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aya::{
    Ebpf,
    maps::{Map, MapData, MapError},
    sys::SyscallError,
};
use dataplane_common::{
    abi::lookup::{LookupEntry, LookupKey, LookupRecord},
    records,
};

use super::{
    Error,
    commit::second,
    hash::Hash,
    layout::Mismatch,
    maps::{failed, take},
    records::{Mapped, Outer, Refused, Table, Untended, Viewed},
};

pub mod look;

/// A stamp that is so little ahead of the clock was written since the clock was read; any other is
/// old. The 16 bits of `LOOKUP` come round in 19.5 hours; a record is looked at each time that it
/// could have become idle (a minute), so one whose stamp is misread once goes the next time.
const AHEAD: u16 = 16;

/// Both maps as one table: what all who write to them share.
#[derive(Clone)]
pub struct Lookups {
    v4: Arc<Mutex<Table<Outer>>>,
    v6: Arc<Mutex<Hash<LookupKey, LookupEntry>>>,
}

impl Lookups {
    /// The maps of a loaded object, each for so many records at most; the tables go on if there are some,
    /// that of IPv4 as it is before [`Self::sweep`].
    pub fn take(bpf: &mut Ebpf, capacity: u32) -> Result<Self, Error> {
        let outer = Outer::new(take(bpf, "LOOKUP")?);
        let current = outer.current().map_err(failed("LOOKUP"))?;
        let table = match current {
            Some(map) => adopt(
                outer,
                Mapped::open(map).map_err(failed("LOOKUP"))?,
                capacity,
            )?,
            None => Table::new(outer, capacity.into()).map_err(|refused| Error::Map {
                map: "LOOKUP",
                source: error(refused),
            })?,
        };
        Ok(Self {
            v4: Arc::new(Mutex::new(table)),
            v6: Arc::new(Mutex::new(Hash::take(bpf, "LOOKUP6", capacity)?)),
        })
    }

    /// The map that has the key.
    pub const fn name(key: &LookupKey) -> &'static str {
        if key.ca.is_v4() { "LOOKUP" } else { "LOOKUP6" }
    }

    /// The table of IPv4, while no other handle writes to it.
    pub fn v4(&self) -> MutexGuard<'_, Table<Outer>> {
        // Whatever a writer did not finish, the table is one that readers understand.
        self.v4.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hash of IPv6, while no other handle writes to it.
    pub fn v6(&self) -> MutexGuard<'_, Hash<LookupKey, LookupEntry>> {
        // As above.
        self.v6.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record of a key.
    pub fn get(&self, key: &LookupKey) -> Result<LookupRecord, MapError> {
        let Some(key) = key.v4() else {
            return self.v6().current().get(key, 0).map(|entry| entry.record);
        };
        let entry = self.v4().writer().get(records::key(key));
        entry.map(|entry| entry.record).ok_or(MapError::KeyNotFound)
    }

    /// For how long no program looked a record up that it has on demand; `None` if it has not.
    pub fn idle(&self, key: &LookupKey) -> Option<Duration> {
        let now = second();
        let units = if let Some(key) = key.v4() {
            let stamp = self.v4().writer().get(records::key(key))?.stamp;
            age(now, stamp).into()
        } else {
            let units = now.wrapping_sub(self.v6().current().get(key, 0).ok()?.stamp);
            // A program may have stamped it since the clock was read.
            if units > u32::MAX / 2 { 0 } else { units }
        };
        let nanos = u64::from(units) << LookupEntry::SECOND_SHIFT;
        Some(Duration::from_nanos(nanos))
    }

    /// Writes an entry. The stamp is kept of what is there on demand, and of that its lower half.
    pub fn insert(&self, key: &LookupKey, entry: LookupEntry) -> Result<(), MapError> {
        let Some(key) = key.v4() else {
            return self.v6().insert(key, &entry);
        };
        let key = records::key(key);
        let mut table = self.v4();
        table.insert(key, entry.record).map_err(error)?;
        if entry.record.has(LookupRecord::ON_DEMAND) {
            table.writer_mut().stamp(key, short(entry.stamp));
        }
        Ok(())
    }

    /// Sees to it that so many more records of each family have room, in one step instead of many. What
    /// finds no room fails by itself.
    pub fn reserve(&self, (v4, v6): (u64, u64)) {
        let long = u32::try_from(v6).unwrap_or(u32::MAX);
        let done = [
            ("LOOKUP", v4, self.v4().reserve(v4)),
            ("LOOKUP6", v6, self.v6().reserve(long)),
        ];
        for (map, more, done) in done {
            if let Err(refused) = done {
                tracing::debug!("map {map} has no room for {more} more records: {refused}");
            }
        }
    }

    /// Writes IPv4 records that are not on demand; those that are refused are not in the table then.
    pub fn write(&self, records: &[(u64, LookupRecord)]) -> Vec<(u64, Refused)> {
        let mut refused = Vec::new();
        self.v4().write(records, |table, key, why| {
            table.writer_mut().remove(key);
            refused.push((key, why));
        });
        refused
    }

    /// Removes what an earlier writer left that no reader needs, before the first change.
    pub fn sweep(&self) {
        let swept = self.v4().sweep();
        if swept.strays > 0 {
            tracing::warn!("map LOOKUP had records where none is looked for: {swept:?}");
        }
    }

    /// Sees that the tables are still those that programs read, and gives memory back that they do not
    /// need any more. All are looked after, whichever fails; of their faults, what [`Untended::first`] says.
    pub fn tend(&self) -> Result<(), Untended> {
        let v4 = tended("LOOKUP", self.v4().tend());
        let v6 = tended("LOOKUP6", self.v6().tend(Instant::now()));
        Untended::first([v4, v6])
    }

    /// Removes a record.
    pub fn remove(&self, key: &LookupKey) -> Result<(), MapError> {
        match key.v4() {
            Some(key) => {
                let removed = self.v4().writer_mut().remove(records::key(key));
                removed.map(drop).ok_or_else(absent)
            }
            None => self.v6().remove(key),
        }
    }

    /// Calls back with every record.
    pub fn each(&self, mut call: impl FnMut(LookupKey, LookupRecord)) -> Result<(), Error> {
        for entry in self.v4().writer().entries() {
            call(records::ca(entry.key).into(), entry.record);
        }
        for item in self.v6().current() {
            let (key, entry) = item.map_err(failed("LOOKUP6"))?;
            call(key, entry.record);
        }
        Ok(())
    }
}

/// The table that an earlier writer left, wherever it stopped.
fn adopt(outer: Outer, memory: Mapped, capacity: u32) -> Result<Table<Outer>, Error> {
    let geometry = memory.geometry().ok_or(Mismatch::Table)?;
    let table = Table::adopt(outer, (memory, geometry), capacity.into());
    Ok(table.map_err(|_| Mismatch::Table)?)
}

/// Whether the map of this id is an outer one whose current table, if it has one, is of this layout.
pub fn is_known(id: u32) -> Result<bool, MapError> {
    let map = Map::from_map_data(MapData::from_id(id)?)?;
    let current = Outer::new(map.try_into()?).current()?;
    let Some(current) = current else {
        return Ok(true);
    };
    Ok(Viewed::of(current)?.geometry().is_some())
}

/// What came of looking after a map. One that cannot become a smaller one has told so, and it is no
/// matter: it stays as large as it is.
pub(super) fn tended(map: &'static str, done: Result<(), Refused>) -> Result<(), Untended> {
    match done {
        Ok(()) | Err(Refused::Starved { .. }) => Ok(()),
        Err(refused) => Err(Untended { map, refused }),
    }
}

/// Stamp units since a stamp of 16 bits.
const fn age(now: u32, stamp: u16) -> u16 {
    let units = short(now).wrapping_sub(stamp);
    if units > u16::MAX - AHEAD { 0 } else { units }
}

/// The part of the clock that `LOOKUP` has room for.
#[expect(clippy::cast_possible_truncation, reason = "stamps wrap")]
const fn short(stamp: u32) -> u16 {
    stamp as u16
}

/// As a map says it; [`refused`] is the way back.
pub(super) fn error(refused: Refused) -> MapError {
    match refused {
        Refused::Kernel(error) => error,
        other @ (Refused::Full(_)
        | Refused::Crowded(_)
        | Refused::Starved { .. }
        | Refused::Foreign) => MapError::IoError(io::Error::other(other)),
    }
}

/// Why the table did not take a record, if that was it.
pub fn refused(error: &MapError) -> Option<&Refused> {
    let MapError::IoError(error) = error else {
        return None;
    };
    error.get_ref()?.downcast_ref()
}

fn absent() -> MapError {
    MapError::SyscallError(SyscallError {
        call: "removal from the table in memory",
        io_error: io::Error::from_raw_os_error(libc::ENOENT),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::commit, *};

    #[test]
    fn ages_wrap_with_the_clock_and_none_is_in_the_future() {
        assert_eq!(age(70_000, short(69_940)), 60);
        assert_eq!(age(0x1_0005, 0xfffb), 10);
        assert_eq!(age(5, 5), 0);
        assert_eq!(age(5, 6), 0, "stamped since the clock was read");
        assert_eq!(age(5, 5 + AHEAD), 0);
        assert_eq!(age(5, 5 + AHEAD + 1), u16::MAX - AHEAD, "19 hours ago");
        assert_eq!(age(40_000, 0), 40_000, "11 hours ago");
    }

    /// The largest `idle-seconds` is 36,000.
    #[test]
    fn whoever_was_idle_for_the_longest_time_is_seen_to_be() {
        let idle = (36_000_u64 * 1_000_000_000) >> LookupEntry::SECOND_SHIFT;
        let idle = u32::try_from(idle).expect("ten hours");
        for late in [0, 1, 60, 3600, 30_000] {
            let stamp = short(100_000 - idle - late);
            assert_eq!(u32::from(age(100_000, stamp)), idle + late);
        }
    }

    #[test]
    fn a_map_that_is_not_looked_after_is_named_unless_it_is_only_too_large() {
        let untended = tended("LOOKUP6", Err(Refused::Foreign)).expect_err("another's");
        assert!(untended.to_string().starts_with("map LOOKUP6: another"));
        assert!(tended("MACS", Err(starved())).is_ok() && tended("MACS", Ok(())).is_ok());
    }

    #[test]
    fn why_a_record_is_refused_is_found_in_the_error() {
        let told = error(starved());
        assert!(matches!(refused(&told), Some(Refused::Starved { .. })));
        assert!(commit::is_full(&told) && told.to_string().contains("no memory"));
        assert!(commit::is_full(&error(Refused::Full(3))));
        assert!(!commit::is_full(&error(Refused::Foreign)));
        let kernel = error(Refused::Kernel(MapError::KeyNotFound));
        assert!(refused(&kernel).is_none() && !commit::is_full(&kernel));
    }

    fn starved() -> Refused {
        Refused::Starved {
            records: 7,
            reason: "no memory".to_owned(),
        }
    }
}
