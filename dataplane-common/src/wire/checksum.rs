//! The internet checksum (RFC 1071) and its incremental update (RFC 1624).

/// Ones-complement sum of 16-bit words in host order; complement it for a checksum.
#[inline(always)]
pub fn sum<const N: usize>(words: [u16; N]) -> u16 {
    let mut total: u32 = 0;
    for word in words {
        total = total.wrapping_add(u32::from(word));
    }
    fold(total)
}

/// The checksum after one word changed from `old` to `new` (RFC 1624, equation 3).
#[inline(always)]
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    let total = u32::from(!checksum)
        .wrapping_add(u32::from(!old))
        .wrapping_add(u32::from(new));
    !fold(total)
}

/// Ones-complement sum of sums of 16-bit words.
#[inline(always)]
pub fn sum_of_words<const N: usize>(sums: [u32; N]) -> u16 {
    let mut total: u32 = 0;
    for sum in sums {
        total = total.wrapping_add(sum);
    }
    fold(total)
}

#[inline(always)]
fn fold(total: u32) -> u16 {
    let once = (total & 0xFFFF).wrapping_add(total >> 16);
    let twice = (once & 0xFFFF).wrapping_add(once >> 16);
    (twice & 0xFFFF) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn update_agrees_with_a_fresh_sum(words: [u16; 6], at in 0usize..6, new: u16) {
            let before = !sum(words);
            let mut changed = words;
            let slot = changed.get_mut(at).expect("in range");
            let old = *slot;
            *slot = new;
            let updated = update(before, old, new);
            // Both forms of zero mean the same sum.
            let fresh = !sum(changed);
            prop_assert!(updated == fresh || (updated ^ fresh) == 0xFFFF);
        }
    }
}
