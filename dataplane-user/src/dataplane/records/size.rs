//! How many buckets a table has for its records.

use dataplane_common::records::bucket::SLOTS;

/// Buckets of the smallest table: 32 KiB.
pub(super) const LEAST: u64 = 256;
/// Records that a table is filled with at most: so many of 16 slots' worth, 0.9375. The search for
/// room is short up to there, and what is in the alternate bucket costs a second cache line.
const LOAD: u64 = 15;
/// A table that cannot grow takes new keys up to so many of 25 slots' worth, 0.96: above that, updates
/// would not find a free slot either.
const TIGHT: u64 = 24;
/// A table that has grown is so many eighths as large. Records that come one by one have been copied
/// 2.7 times on average before it grows, and 3.7 times after; their buckets are 34 to 47 bytes each.
const STEP: u64 = 11;

/// The records that a table of so many buckets has comfortably.
pub(super) const fn comfortable(buckets: u64) -> u64 {
    buckets * SLOTS as u64 * LOAD / 16
}

/// The records that a table of so many buckets has at most, if updates shall find room.
pub(super) const fn tight(buckets: u64) -> u64 {
    buckets * SLOTS as u64 * TIGHT / 25
}

/// The buckets that so many records need, an even number.
pub(super) const fn size_for(records: u64) -> u64 {
    let buckets = (records * 16)
        .div_ceil(SLOTS as u64 * LOAD)
        .next_multiple_of(2);
    if buckets < LEAST { LEAST } else { buckets }
}

/// The size after this one.
pub(super) const fn larger(buckets: u64) -> u64 {
    (buckets * STEP / 8).next_multiple_of(2)
}
