use std::sync::atomic::AtomicU64;

use dataplane_common::abi::lookup::LookupRecord;
use dataplane_common::id::Mac;
use dataplane_common::records::bucket::WORDS;
use dataplane_common::records::geometry::Geometry;
use dataplane_common::records::read::{Answer, Buckets, lookup};

use super::*;

mod adopt;
mod growth;
mod history;
mod random;
mod steps;
mod table;
mod torture;

fn geometry(buckets: u64) -> Geometry {
    let seed = [
        0x243f_6a88_85a3_08d3,
        0x1319_8a2e_0370_7344,
        0xa409_3822_299f_31d0,
    ];
    Geometry::new(seed, buckets).expect("an even number")
}

fn memory(buckets: u64) -> Vec<AtomicU64> {
    let words = usize::try_from(buckets).expect("a small table") * WORDS;
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

/// The writer of what another one left, and what was swept.
fn adopted<M: Memory>(memory: M, geometry: Geometry) -> Result<(Writer<M>, Swept), Misfit> {
    let (mut writer, found) = Writer::examine(memory, geometry)?;
    writer.sweep();
    assert_eq!(writer.entries().count() as u64, writer.len(), "{found:?}");
    Ok((writer, found))
}

/// A record each of whose fields tells the key and `n`.
fn record(key: u64, n: u32) -> LookupRecord {
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(n) << 16;
    let bytes = mixed.to_le_bytes();
    let [high, rest] = split(mixed);
    LookupRecord {
        vsid: n,
        pa_index: n ^ rest,
        ifindex: !n ^ high,
        mac: Mac(std::array::from_fn(|i| bytes[i])),
        flags: u16::from_le_bytes([bytes[6], bytes[2]]),
    }
}

fn split(value: u64) -> [u32; 2] {
    [value >> 32, value & 0xffff_ffff].map(|half| u32::try_from(half).expect("half a word"))
}

/// What a reader gets that is not disturbed.
fn read<B: Buckets>(buckets: &B, geometry: &Geometry, key: u64) -> Option<LookupRecord> {
    let mut found = LookupRecord::negative(0);
    let answer = lookup(buckets, geometry, key, &mut found);
    assert_ne!(answer, Answer::BUSY, "nobody writes");
    answer.is_hit().then_some(found)
}

/// Keys as a tenant has them.
fn dense(n: u64) -> Vec<u64> {
    (0..n).map(|i| 5 << 32 | (0x0a00_0000 + i)).collect()
}

/// Keys that all have the first one's home, as who knows the seed can choose them.
fn hostile(geometry: &Geometry, n: usize) -> Vec<u64> {
    let home = geometry.pair(0).home;
    let meet = (0..).filter(|key| geometry.pair(*key).home == home);
    meet.take(n).collect()
}

/// A small generator, for tests that need millions of numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let end = end as u64;
        usize::try_from((self.0 >> 16) % end).expect("below a usize")
    }
}
