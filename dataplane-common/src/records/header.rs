//! The first bucket of a table's map, which says what the others are.
//!
//! | word | content |
//! |---|---|
//! | 0 | [`LAYOUT`] |
//! | 1-4 | the [`Geometry`] |
//! | 5-15 | 0 |
//!
//! It is written before any program sees the map, and never again: a table of another size or seed
//! is another map. So buckets and geometry are always each other's.

use super::bucket::WORDS;
use super::geometry::Geometry;

/// What a table's map begins with; another layout of buckets has another word.
pub const LAYOUT: u64 = u64::from_le_bytes(*b"nve-rec1");

/// The place of the geometry, in words.
pub const GEOMETRY: usize = 1;

/// The bucket in a table's map, behind the header.
#[inline(always)]
pub const fn element(bucket: u32) -> u32 {
    bucket.wrapping_add(1)
}

/// The header of a table.
pub const fn header(geometry: &Geometry) -> [u64; WORDS] {
    let [xor, first, second, buckets] = geometry.words();
    let mut words = [0; WORDS];
    words[0] = LAYOUT;
    words[GEOMETRY] = xor;
    words[GEOMETRY + 1] = first;
    words[GEOMETRY + 2] = second;
    words[GEOMETRY + 3] = buckets;
    words
}

/// The geometry of a header; `None` if it is not one.
pub fn parse(words: &[u64; WORDS]) -> Option<Geometry> {
    let geometry = Geometry::from_words([
        words[GEOMETRY],
        words[GEOMETRY + 1],
        words[GEOMETRY + 2],
        words[GEOMETRY + 3],
    ])?;
    (*words == header(&geometry)).then_some(geometry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let geometry = Geometry::new([1, 2, 3], 256).expect("a good size");
        let words = header(&geometry);
        assert_eq!(parse(&words), Some(geometry));
        for (word, bit) in [(0, 1), (2, 1), (4, 1), (5, 1)] {
            let mut other = words;
            other[word] ^= bit;
            assert_eq!(parse(&other), None, "word {word}");
        }
        assert_eq!(parse(&[0; WORDS]), None);
    }
}
