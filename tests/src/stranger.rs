//! eBPF programs of somebody else: the product's own code under other names, with empty tables.

use anyhow::{Context, Result};
use aya::{Ebpf, EbpfLoader, Pod};
use dataplane_common::abi::stats::{Counter, counter_index};
use dataplane_user::dataplane::OBJECT;

/// Loads the object with `nve` in the names of its programs replaced by `xyz`, so that nobody
/// takes them for programs of another nved. They pass everything, and count it.
pub fn stranger() -> Result<Ebpf> {
    let mut object = OBJECT.to_vec();
    for at in 0..object.len().saturating_sub(4) {
        if matches!(&object[at..at + 4], b"nve_") {
            object[at..at + 3].copy_from_slice(b"xyz");
        }
    }
    Ok(EbpfLoader::new().load(&object)?)
}

/// As the programs count: packets and bytes.
#[repr(C)]
#[derive(Clone, Copy)]
struct Count(u64, u64);

// SAFETY: two integers without padding.
unsafe impl Pod for Count {}

/// Packets that a stranger's uplink program has seen and passed.
pub fn seen(object: &Ebpf) -> Result<u64> {
    let map = object.map("COUNTERS").context("no counters")?;
    let map: aya::maps::PerCpuArray<_, Count> = map.try_into()?;
    let counts = map.get(&counter_index(0, Counter::IngressPassed), 0)?;
    Ok(counts.iter().map(|count| count.0).sum())
}
