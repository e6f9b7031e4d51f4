//! Words that are written by one and read by many.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

use dataplane_common::records::{
    bucket::{CONTROL, WORDS},
    read::{Bucket, Buckets},
};

/// The writer's access to a table's words. Each method is one access of 64 bits, seen whole.
pub trait Memory {
    /// Number of words.
    fn words(&self) -> usize;
    /// A word, as this writer left it.
    fn load(&self, word: usize) -> u64;
    /// Writes a word that no reader trusts yet.
    fn store(&self, word: usize, value: u64);
    /// Writes a word, after all stores before it and before all stores after it.
    fn publish(&self, word: usize, value: u64);
    /// Replaces the bits of a mask in a word whose other bits programs may be writing.
    fn replace(&self, word: usize, mask: u64, bits: u64);
    /// A hint that a word and its neighbours will be accessed soon.
    fn foresee(&self, _word: usize) {}
}

/// Memory that is shared with readers, such as a map's, mapped.
#[derive(Clone, Copy)]
pub struct Shared<'m>(pub &'m [AtomicU64]);

impl Memory for Shared<'_> {
    fn words(&self) -> usize {
        self.0.len()
    }

    fn load(&self, word: usize) -> u64 {
        self.0[word].load(Relaxed)
    }

    fn store(&self, word: usize, value: u64) {
        self.0[word].store(value, Relaxed);
    }

    fn publish(&self, word: usize, value: u64) {
        self.0[word].store(value, Release);
        // A dropped slot's next contents must not be seen before the word that dropped it.
        fence(Release);
    }

    fn replace(&self, word: usize, mask: u64, bits: u64) {
        let replaced = |old| Some(old & !mask | bits & mask);
        // A locked exchange, which no program's store to its own half-word can be lost in.
        let _ = self.0[word].fetch_update(Relaxed, Relaxed, replaced);
    }

    #[cfg(target_arch = "x86_64")]
    fn foresee(&self, word: usize) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let word: *const AtomicU64 = &raw const self.0[word];
        // SAFETY: a prefetch accesses nothing as far as the program can tell, and the word is there.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(word.cast()) }
    }
}

/// One bucket for a reader in user space.
pub struct Words<'m>(&'m [AtomicU64]);

impl<'m> Buckets for Shared<'m> {
    type Bucket = Words<'m>;

    fn bucket(&self, index: u32) -> Option<Words<'m>> {
        let first = (index as usize).checked_mul(WORDS)?;
        let words = self.0.get(first..first.checked_add(WORDS)?)?;
        Some(Words(words))
    }
}

impl Bucket for Words<'_> {
    fn control(&self) -> u64 {
        // Not a load-acquire: the memory may be mapped for reading alone, and only relaxed loads are
        // loads and nothing else there.
        let control = self.0[CONTROL].load(Relaxed);
        fence(Acquire);
        control
    }

    fn word(&self, index: usize) -> u64 {
        self.0[index].load(Relaxed)
    }

    fn control_again(&self) -> u64 {
        fence(Acquire);
        self.0[CONTROL].load(Relaxed)
    }
}
