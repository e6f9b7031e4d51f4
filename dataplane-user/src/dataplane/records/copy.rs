//! A table that becomes another one: its memory, its content, and what is stamped meanwhile.

use std::collections::VecDeque;

use aya::maps::MapError;
use dataplane_common::{abi::lookup::LookupRecord, records::geometry::Geometry};

use super::{
    home::Home,
    memory::Memory,
    refused::Refused,
    slots::Entry,
    writer::{Full, Writer},
};

/// Keys are named to the writer so long before their turn.
pub(super) const AHEAD: usize = 24;

/// A table with a seed of its own, and nothing in it.
pub(super) fn empty<H: Home>(home: &mut H, buckets: u64) -> Result<Writer<H::Memory>, Refused> {
    let mut seed = [0_u8; 24];
    rustix::rand::getrandom(&mut seed[..], rustix::rand::GetRandomFlags::empty())
        .map_err(|error| MapError::IoError(error.into()))?;
    let (words, _) = seed.as_chunks::<8>();
    let seed = std::array::from_fn(|word| u64::from_ne_bytes(words[word]));
    let geometry = Geometry::new(seed, buckets)
        .ok_or_else(|| MapError::IoError(std::io::ErrorKind::OutOfMemory.into()))?;
    Ok(Writer::new(home.make(&geometry)?, geometry)?)
}

/// Copies all entries; whether programs stamp some of them.
pub(super) fn copy<M: Memory>(from: &Writer<M>, to: &mut Writer<M>) -> Result<bool, Full> {
    let mut entries = from.entries();
    let mut soon: VecDeque<Entry> = VecDeque::with_capacity(AHEAD);
    let mut stamped = false;
    loop {
        for entry in entries.by_ref().take(AHEAD - soon.len()) {
            to.foresee(entry.key);
            soon.push_back(entry);
        }
        let Some(entry) = soon.pop_front() else {
            return Ok(stamped);
        };
        to.insert(entry.key, entry.record)?;
        stamped |= entry.record.has(LookupRecord::ON_DEMAND);
        if entry.stamp != 0 {
            to.stamp(entry.key, entry.stamp);
        }
    }
}

/// Takes the stamps along that programs wrote while the table was copied and before it was published.
pub(super) fn restamp<M: Memory>(from: &Writer<M>, to: &mut Writer<M>) {
    let fetched = from.entries();
    for entry in fetched.filter(|entry| entry.record.has(LookupRecord::ON_DEMAND)) {
        let now = to.get(entry.key).map(|entry| entry.stamp);
        if now.is_some_and(|now| is_later(entry.stamp, now)) {
            to.stamp(entry.key, entry.stamp);
        }
    }
}

/// Stamps wrap: what is less than half of their range ahead is later.
const fn is_later(stamp: u16, than: u16) -> bool {
    stamp.wrapping_sub(than).cast_signed() > 0
}

#[cfg(test)]
mod tests {
    use super::is_later;

    #[test]
    fn stamps_wrap() {
        for (later, earlier) in [(5, 4), (3, 0xfffe), (0x8000, 1)] {
            assert!(is_later(later, earlier) && !is_later(earlier, later));
        }
        assert!(!is_later(7, 7));
    }
}
