//! Many entries of a map at once.

use anyhow::{Context, Result};
use aya::Pod;
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};

/// Entries of one system call.
const CHUNK: u32 = 65_536;

/// Writes entries `0..count`, each as `entry` says, in batches: one call for each takes three times as long.
pub(super) fn fill<K: Pod, V: Pod>(
    map: u32,
    count: u32,
    entry: impl Fn(u32) -> (K, V),
) -> Result<()> {
    let map = MapHandle::from_map_id(map)?;
    let mut first = 0;
    while first < count {
        let entries = CHUNK.min(count - first);
        let mut keys = Vec::new();
        let mut values = Vec::new();
        for number in first..first + entries {
            let (key, value) = entry(number);
            keys.extend_from_slice(bytes_of(&key));
            values.extend_from_slice(bytes_of(&value));
        }
        map.update_batch(&keys, &values, entries, MapFlags::ANY, MapFlags::ANY)
            .with_context(|| {
                format!(
                    "cannot write entries {first}.. of {count} to map {}",
                    map.name().display()
                )
            })?;
        first += entries;
    }
    Ok(())
}

/// The bytes of a key or value, as the kernel takes them.
fn bytes_of<T: Pod>(value: &T) -> &[u8] {
    // SAFETY: `Pod` promises plain data without padding, so all of its bytes are initialised; the
    // slice borrows `value` and is as long as it.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}
