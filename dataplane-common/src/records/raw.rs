//! A bucket in the memory of a map, as a program reads it.

use super::bucket::CONTROL;
use super::read::Bucket;

/// A bucket that somebody else writes meanwhile. Its loads are volatile: the compiler makes one of
/// each and keeps their order, and so does an x86.
#[derive(Clone, Copy)]
pub struct Raw(*const u64);

impl Raw {
    /// The bucket with this first word.
    ///
    /// # Safety
    /// All of its [`WORDS`](super::bucket::WORDS) words are there as long as this is used, and
    /// whoever writes to them does it word by word, or half-word by half-word in its stamps.
    #[inline(always)]
    pub const unsafe fn new(first: *const u64) -> Self {
        Self(first)
    }
}

impl Bucket for Raw {
    #[inline(always)]
    fn control(&self) -> u64 {
        self.word(CONTROL)
    }

    #[inline(always)]
    fn word(&self, index: usize) -> u64 {
        // SAFETY: who made it promised memory for all words, and an index is below their number.
        unsafe { self.0.add(index).read_volatile() }
    }

    #[inline(always)]
    fn control_again(&self) -> u64 {
        self.word(CONTROL)
    }

    /// The highest bit of what is both below the difference and not in it; hidden, for the compiler
    /// would make a comparison of it again, and of that a branch. Four of those go sixteen ways, and
    /// the verifier goes each.
    #[inline(always)]
    fn same(a: u64, b: u64) -> u64 {
        let apart = a ^ b;
        sign(!apart & apart.wrapping_sub(1))
    }
}

/// The highest bit, as a number.
#[inline(always)]
fn sign(word: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let mut word = word;
        // SAFETY: one shift of one register.
        unsafe {
            core::arch::asm!("{0} >>= 63", inout(reg) word, options(pure, nomem, nostack));
        }
        word
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        word >> 63
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::bucket::WORDS;

    #[test]
    fn words_are_where_they_were_written() {
        let words: [u64; WORDS] = core::array::from_fn(|word| word as u64 * 3 + 1);
        // SAFETY: the array is a bucket's words, and nobody writes to it.
        let raw = unsafe { Raw::new(words.as_ptr()) };
        assert_eq!((raw.control(), raw.control_again()), (1, 1));
        for (word, value) in words.into_iter().enumerate() {
            assert_eq!(raw.word(word), value);
        }
        for (a, b) in [
            (7, 7),
            (7, 6),
            (0, 1 << 63),
            (1 << 63, 1 << 63),
            (0, u64::MAX),
        ] {
            assert_eq!(Raw::same(a, b), u64::from(a == b), "{a:#x} {b:#x}");
        }
    }
}
