//! The program that makes frames, with everything that is constant for one path.

use anyhow::{Context, Result, bail};
use aya::{Ebpf, programs::Xdp};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle};

use crate::{
    generator::keys::{Pattern, SAMPLES},
    paths::Frames,
    programs,
};

/// Its name.
pub(super) const NAME: &str = "bench_generate";
/// Words of the head in it.
const WORDS: usize = 12;

/// Loads the program with everything that is constant for this path.
pub(super) fn load(frames: &Frames, pattern: &Pattern, (seed, device): (u64, u32)) -> Result<Ebpf> {
    load_as(NAME, frames, pattern, (seed, &[("DEVICE", device)]))
}

/// Loads a program that makes such frames, with more constants of its own.
pub(crate) fn load_as(
    name: &str,
    frames: &Frames,
    pattern: &Pattern,
    (seed, more): (u64, &[(&str, u32)]),
) -> Result<Ebpf> {
    let head = words(&frames.head)?;
    let head_words = u32::try_from(frames.head.len().div_ceil(8))?;
    let key_offset = u32::try_from(frames.key_offset)?;
    let checksum_offset = u32::try_from(frames.checksum_offset.unwrap_or(0))?;
    let checksum = checksum(frames)?;
    let sampled = u32::from(pattern.samples.is_some());
    let mut loader = programs::loader();
    programs::set(&mut loader, "HEAD", &head);
    programs::set(&mut loader, "SEED", &seed);
    let numbers = [
        ("HEAD_WORDS", head_words),
        ("KEY_OFFSET", key_offset),
        ("FIRST_KEY", frames.first_key),
        ("CHECKSUM_OFFSET", checksum_offset),
        ("CHECKSUM", checksum),
        ("KEYS", pattern.keys),
        ("SAMPLED", sampled),
    ];
    for (name, value) in numbers.iter().chain(more) {
        programs::set(&mut loader, name, value);
    }
    if pattern.samples.is_some() {
        loader.map_max_entries("SAMPLES", u32::try_from(SAMPLES)?);
    }
    let mut ebpf = loader.load(programs::OBJECT)?;
    let generator: &mut Xdp = ebpf.program_mut(name).context("no generator")?.try_into()?;
    generator.load()?;
    if let Some(samples) = &pattern.samples {
        fill(&ebpf, samples)?;
    }
    Ok(ebpf)
}

fn fill(ebpf: &Ebpf, samples: &[u32]) -> Result<()> {
    let map = MapHandle::from_map_id(programs::map_id(ebpf, "SAMPLES")?)?;
    let count = u32::try_from(samples.len())?;
    let keys: Vec<u8> = (0..count).flat_map(u32::to_ne_bytes).collect();
    let values: Vec<u8> = samples.iter().flat_map(|key| key.to_ne_bytes()).collect();
    map.update_batch(&keys, &values, count, MapFlags::ANY, MapFlags::ANY)
        .context("cannot fill map SAMPLES")
}

fn words(head: &[u8]) -> Result<[u64; WORDS]> {
    let room = WORDS * size_of::<u64>();
    if head.len() > room {
        bail!(
            "the head of a frame has {} bytes, the generator has room for {room}",
            head.len()
        );
    }
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(head.chunks(size_of::<u64>())) {
        let mut whole = [0; size_of::<u64>()];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_ne_bytes(whole);
    }
    Ok(words)
}

fn checksum(frames: &Frames) -> Result<u32> {
    let Some(offset) = frames.checksum_offset else {
        return Ok(0);
    };
    let bytes = frames
        .head
        .get(offset..offset + 2)
        .context("the checksum is outside the head")?;
    Ok(u32::from(bytes[0]) << 8 | u32::from(bytes[1]))
}

/// `struct xdp_md` of a frame that came from queue 0 of the device.
pub(super) fn context(len: usize, device: u32) -> Result<[u8; 24]> {
    const DATA_END: usize = 4;
    const INGRESS_IFINDEX: usize = 12;
    let len = u32::try_from(len)?;
    let mut context = [0; 24];
    context[DATA_END..DATA_END + 4].copy_from_slice(&len.to_ne_bytes());
    context[INGRESS_IFINDEX..INGRESS_IFINDEX + 4].copy_from_slice(&device.to_ne_bytes());
    Ok(context)
}
