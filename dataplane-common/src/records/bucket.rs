//! A bucket: 128 bytes, two cache lines, four records. All of it is accessed as 64-bit words in
//! host order; parts of a word are counted from its least significant bit.
//!
//! | word | content |
//! |---|---|
//! | 0 | control: bits 0-3 valid, 4-30 version, 31 spilled; the upper half is 0 |
//! | 1 | four stamps of 16 bits: when the record was last used |
//! | 2-5 | four keys |
//! | 6-7 | four heads of 32 bits: a record's first 4 bytes |
//! | 8-15 | four tails of two words: its other 16 |
//!
//! So a miss reads one line, and a hit two words of the other.

use crate::abi::lookup::LookupRecord;

/// Words of a bucket.
pub const WORDS: usize = 16;
/// Records of a bucket.
pub const SLOTS: u32 = 4;

/// The control word.
pub const CONTROL: usize = 0;
/// The stamps, which programs write at any time.
pub const STAMPS: usize = 1;
const KEYS: usize = 2;
const HEADS: usize = 6;
const TAILS: usize = 8;

const _: () = assert!(WORDS * size_of::<u64>() == 128);
const _: () = assert!(KEYS + SLOTS as usize == HEADS && TAILS * size_of::<u64>() == 64);
const _: () = assert!(HEADS + SLOTS as usize / 2 == TAILS && TAILS + 2 * SLOTS as usize == WORDS);
const _: () = assert!(4 + 2 * size_of::<u64>() == size_of::<LookupRecord>());

/// Control word: which slots are valid.
pub const VALID: u64 = 0xf;
/// Control word: a key that has its home here is, or was, in its alternate.
pub const SPILLED: u64 = 1 << 31;
/// Control word: changes with each store of it.
pub const VERSION: u64 = SPILLED - 1 - VALID;

/// The control word after `control`: with the bits of `set`, without those of `clear`.
#[inline(always)]
pub const fn flipped(control: u64, set: u64, clear: u64) -> u64 {
    let version = (control & VERSION).wrapping_add(VALID + 1) & VERSION;
    (control & (VALID | SPILLED) | set) & !clear | version
}

/// The word of a slot's key.
#[inline(always)]
pub const fn key(slot: u32) -> usize {
    KEYS.wrapping_add(slot as usize)
}

/// The word of a slot's head, and the bit that it begins at.
#[inline(always)]
pub const fn head(slot: u32) -> (usize, u32) {
    (HEADS.wrapping_add(slot as usize >> 1), (slot & 1) << 5)
}

/// The first word of a slot's tail.
#[inline(always)]
pub const fn tail(slot: u32) -> usize {
    TAILS.wrapping_add((slot as usize) << 1)
}

/// The bit that a slot's stamp begins at in [`STAMPS`].
#[inline(always)]
pub const fn stamp(slot: u32) -> u32 {
    (slot & (SLOTS - 1)) << 4
}

/// A record as head and tail.
pub const fn split(record: LookupRecord) -> (u32, [u64; 2]) {
    // SAFETY: both are plain data of 20 bytes without padding, so every byte is initialised.
    let parts = unsafe { core::mem::transmute::<LookupRecord, [u32; 5]>(record) };
    let [head, pa_index, ifindex, mac, rest] = parts;
    let tail = [
        pa_index as u64 | (ifindex as u64) << 32,
        mac as u64 | (rest as u64) << 32,
    ];
    (head, tail)
}

/// The record of a head and a tail.
#[inline(always)]
pub const fn join(head: u32, tail: [u64; 2]) -> LookupRecord {
    let [low, high] = tail;
    let parts = [
        head,
        low as u32,
        (low >> 32) as u32,
        high as u32,
        (high >> 32) as u32,
    ];
    // SAFETY: both have 20 bytes without padding, and any bytes are a record.
    unsafe { core::mem::transmute::<[u32; 5], LookupRecord>(parts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Mac;

    #[test]
    fn a_record_survives_its_parts() {
        let record = LookupRecord {
            vsid: 0x0011_2233,
            pa_index: 0x4455_6677,
            ifindex: 0x8899_aabb,
            mac: Mac([1, 2, 3, 4, 5, 6]),
            flags: 0xccdd,
        };
        let (head, tail) = split(record);
        assert_eq!(head, 0x0011_2233);
        assert_eq!(join(head, tail), record);
    }

    #[test]
    fn parts_of_slots_do_not_overlap() {
        let mut taken = [0_u64; WORDS];
        let mut take = |word: usize, bits: u64| {
            assert_eq!(taken[word] & bits, 0, "word {word}");
            taken[word] |= bits;
        };
        take(CONTROL, u64::MAX);
        for slot in 0..SLOTS {
            take(STAMPS, 0xffff << stamp(slot));
            take(key(slot), u64::MAX);
            let (word, shift) = head(slot);
            take(word, 0xffff_ffff << shift);
            take(tail(slot), u64::MAX);
            take(tail(slot) + 1, u64::MAX);
        }
        assert_eq!(taken, [u64::MAX; WORDS]);
    }

    #[test]
    fn a_flip_counts_and_keeps_the_rest() {
        let control = flipped(0b0101 | SPILLED, 0b0010, 0b0001);
        assert_eq!(control, 0b0110 | SPILLED | 16);
        assert_eq!(flipped(VERSION | 1 | SPILLED, 0, 0), 1 | SPILLED);
        assert_eq!(flipped(VERSION | 1, SPILLED, 0), 1 | SPILLED);
    }
}
