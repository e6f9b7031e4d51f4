//! The memory of one table: an array map of the kernel's, mapped into this process.

use std::{
    io,
    os::fd::AsFd,
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use aya::maps::{Array, IterableMap as _, MapData, MapError};
use dataplane_common::records::{
    bucket::WORDS,
    geometry::Geometry,
    header::{element, header, parse},
    read::Buckets,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::memory::{Memory, Shared, Words};

/// `BPF_F_MMAPABLE`, and `BPF_F_INNER_MAP`: maps of any size fit the same place (Linux 5.10).
const FLAGS: u32 = 1 << 10 | 1 << 12;

/// A map whose elements are buckets.
pub type Map = Array<MapData, [u64; WORDS]>;

/// A table's map, and its words for as long as this lives.
pub struct Mapped {
    map: Map,
    first: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the words are atomics, which threads may share; the mapping is this value's own.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// A new map for a table: its header, and buckets that are empty.
    pub fn create(geometry: &Geometry) -> Result<Self, MapError> {
        let map = Map::create(element(geometry.buckets()), FLAGS)?;
        let mapped = Self::of(map, ProtFlags::READ | ProtFlags::WRITE)?;
        for (word, value) in mapped.all().iter().zip(header(geometry)) {
            word.store(value, Relaxed);
        }
        Ok(mapped)
    }

    /// A map that is there, to be written.
    pub fn open(map: Map) -> Result<Self, MapError> {
        Self::of(map, ProtFlags::READ | ProtFlags::WRITE)
    }

    fn of(map: Map, access: ProtFlags) -> Result<Self, MapError> {
        let bytes = map.len() as usize * WORDS * size_of::<u64>();
        let fd = map.map().fd().as_fd();
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
        let start = unsafe { mmap(ptr::null_mut(), bytes, access, MapFlags::SHARED, fd, 0) };
        let start = start.map_err(|error| MapError::IoError(error.into()))?;
        let first = NonNull::new(start.cast::<AtomicU64>())
            .ok_or_else(|| MapError::IoError(io::ErrorKind::AddrNotAvailable.into()))?;
        let words = bytes / size_of::<u64>();
        Ok(Self { map, first, words })
    }

    /// What its header says; `None` for a map that is no table.
    pub fn geometry(&self) -> Option<Geometry> {
        let head = self.all().get(..WORDS)?;
        let geometry = parse(&std::array::from_fn(|word| head[word].load(Relaxed)))?;
        (self.map.len() == element(geometry.buckets())).then_some(geometry)
    }

    /// The map.
    pub const fn map(&self) -> &Map {
        &self.map
    }

    fn all(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is so many words long, aligned to pages, and there until `drop`. Who else
        // has it mapped accesses it by atomics of words, and programs by single loads of words and
        // stores of half-words of 16 bits, in the stamps alone. The kernel's programs are outside of
        // the language's model of memory: what counts is that an x86 makes each of these accesses
        // whole, and that the exchange of `replace` is locked, so it loses none of their stores.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.words) }
    }

    /// The buckets, behind the header.
    fn buckets(&self) -> Shared<'_> {
        Shared(self.all().get(WORDS..).unwrap_or_default())
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `of` with this length, and no slice of it is left.
        let unmapped = unsafe { munmap(self.first.as_ptr().cast(), self.words * size_of::<u64>()) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

/// A table's memory that is read alone; to the kernel as well, which would end a process that stores.
pub struct Viewed(Mapped);

impl Viewed {
    /// A map that is there.
    pub fn of(map: Map) -> Result<Self, MapError> {
        Mapped::of(map, ProtFlags::READ).map(Self)
    }

    /// What its header says; `None` for a map that is no table.
    pub fn geometry(&self) -> Option<Geometry> {
        self.0.geometry()
    }

    /// Its buckets, for a reader.
    pub fn buckets(&self) -> impl Buckets<Bucket = Words<'_>> {
        self.0.buckets()
    }
}

impl Memory for Mapped {
    fn words(&self) -> usize {
        self.words - WORDS
    }

    fn load(&self, word: usize) -> u64 {
        self.buckets().load(word)
    }

    fn store(&self, word: usize, value: u64) {
        self.buckets().store(word, value);
    }

    fn publish(&self, word: usize, value: u64) {
        self.buckets().publish(word, value);
    }

    fn replace(&self, word: usize, mask: u64, bits: u64) {
        self.buckets().replace(word, mask, bits);
    }

    fn foresee(&self, word: usize) {
        self.buckets().foresee(word);
    }
}
