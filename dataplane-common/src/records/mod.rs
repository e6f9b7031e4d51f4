//! The lookup records of IPv4 as a table of buckets in plain memory: written by one process through
//! `mmap`, read by the programs without a lock.
//!
//! * [`bucket`]: the 128 bytes of a bucket.
//! * [`geometry`]: key -> hash -> home bucket and its one alternate.
//! * [`header`]: the bucket before the first, which has the geometry.
//! * [`read`]: the look-up; [`raw`] is how programs load.
//! * [`probe`]: look-ups that test and measure it.
//!
//! # Protocol
//! A key is in its home bucket or in its alternate. What is valid is said by the bucket's control
//! word alone: valid bits, a version, and whether a key that has its home here is elsewhere. A valid
//! slot never changes. The writer fills a slot that is not valid, and one store of the control word,
//! which also counts up the version, publishes it, drops another, or both. So there is no "write in
//! progress": a writer that stops between any two stores leaves a table that is readable.
//!
//! An update takes a free slot of the key's own bucket and flips both bits at once; if there is
//! none, a second copy is published in the other bucket and then the old one is dropped. A move to
//! make room does the same with equal copies. So a key has at most two copies, in different buckets,
//! and home is looked at first: no reader sees the new record and later the old one.
//!
//! # Reader
//! Home's control word, keys, and on a match the record; then the control word again. Unchanged: the
//! slot was valid all the while, so key and record are whole. If home has no match and has spilled:
//! the alternate likewise. A miss wants the control words of both buckets (home only, if it has not
//! spilled) unchanged: then there is an instant at which neither had the key. Home's alone would not
//! do: two updates in the alternate can reuse the slot whose key is being compared. Nor would the
//! alternate's: a move home bumps home's word first. The sticky "spilled" is set before the first
//! key leaves, so that its absence is proof.
//!
//! Anything else is tried again, [`read::ATTEMPTS`] times; then the answer is busy. There is no other
//! place to ask: a program drops the packet and counts it as `LOOKUP_BUSY`, user space asks on. It
//! takes a writer that changes the bucket during each of the tries, of some tens of nanoseconds.
//!
//! # Order of loads and stores
//! The writer needs: contents before the control word that publishes them, and the control word that
//! drops a slot before its next contents. The reader needs: the first control word before keys and
//! record, and these before the second control word. x86 keeps stores in order and loads in order
//! (TSO), so it is enough that the compiler does: volatile accesses in the programs, atomics in
//! user space. On arm64 the first control word must be a load-acquire and, as BPF has no load
//! fence, keys and record as well (`BPF_LOAD_ACQ`: Linux 6.15, `-mcpu=v4`); user space's atomics
//! are right there already. Until that is proven, nved runs on x86-64 alone.
//!
//! The version has 27 bits. For a false "unchanged" a program would have to be held up between two
//! loads for a whole number of 2^27 changes of that very bucket, which take seconds.

pub mod bucket;
pub mod geometry;
pub mod header;
pub mod probe;
pub mod raw;
pub mod read;

use crate::abi::lookup::LookupKey4;

/// The key of a CA: its routing domain, then the address, most significant bits first.
#[inline(always)]
pub const fn key(key: LookupKey4) -> u64 {
    (key.rdid as u64) << 32 | u32::from_be_bytes(key.ca) as u64
}

/// The CA of a key.
pub const fn ca(key: u64) -> LookupKey4 {
    LookupKey4 {
        rdid: (key >> 32) as u32,
        ca: (key as u32).to_be_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_domain_then_address() {
        let of = LookupKey4 {
            rdid: 7,
            ca: [10, 1, 2, 3],
        };
        assert_eq!(key(of), 0x0000_0007_0a01_0203);
        assert_eq!(ca(key(of)), of);
    }
}
