//! The internet checksum (RFC 1071) and its incremental update (RFC 1624).

use crate::id::Address;

/// Ones-complement sum of 16-bit words in host order; complement it for a checksum.
#[inline(always)]
pub fn sum<const N: usize>(words: [u16; N]) -> u16 {
    let mut total: u32 = 0;
    for word in words {
        total = total.wrapping_add(u32::from(word));
    }
    fold(total)
}

/// Ones-complement sum of 16-bit words, two at a time and as they stand in memory: it has the order of
/// the bytes that they have (RFC 1071, section 2).
#[inline(always)]
pub fn sum_as_stored<const N: usize>(pairs: [[u8; 4]; N]) -> u16 {
    let mut total: u64 = 0;
    for pair in pairs {
        total = total.wrapping_add(u64::from(u32::from_ne_bytes(pair)));
    }
    let once = (total & 0xFFFF)
        .wrapping_add(total >> 16 & 0xFFFF)
        .wrapping_add(total >> 32);
    fold(once as u32)
}

/// What new addresses add to the sum of a packet's words, as ones-complement numbers are added.
///
/// The words are summed as they stand in memory, whatever order this machine reads them in: the sum is
/// the same in each (RFC 1071, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta(u32);

impl Delta {
    /// One address takes the place of another of its family.
    #[inline(always)]
    pub fn of(old: Address, new: Address) -> Self {
        let mut total: u64 = 0;
        for word in new.words() {
            total = total.wrapping_add(u64::from(word));
        }
        for word in old.words() {
            total = total.wrapping_add(u64::from(!word));
        }
        Self(fold_words(total))
    }

    /// Both changes.
    #[must_use]
    #[inline(always)]
    pub const fn and(self, other: Self) -> Self {
        Self(fold_words((self.0 as u64).wrapping_add(other.0 as u64)))
    }

    /// The change that undoes it: what a checksum changes by, which makes up for it.
    #[must_use]
    #[inline(always)]
    pub const fn undone(self) -> Self {
        Self(!self.0)
    }

    /// The checksum after the change (RFC 1624, equation 3).
    #[inline(always)]
    pub fn update(self, checksum: [u8; 2]) -> [u8; 2] {
        let old = u16::from_ne_bytes(checksum);
        let (high, low) = (self.0 >> 16, self.0 & 0xFFFF);
        let total = u32::from(!old).wrapping_add(high).wrapping_add(low);
        (!fold(total)).to_ne_bytes()
    }

    /// The same of a checksum that may be absent, of UDP: zero says that there is none and stays, and
    /// none becomes zero (RFC 768).
    #[inline(always)]
    pub fn update_udp(self, checksum: [u8; 2]) -> [u8; 2] {
        if checksum == [0; 2] {
            return checksum;
        }
        match self.update(checksum) {
            [0, 0] => [0xFF; 2],
            updated => updated,
        }
    }

    /// The difference, as the kernel's `__wsum`.
    #[inline(always)]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The sum of an address's 16-bit words, in host order. Of an IPv4 address, that of its four bytes.
#[inline(always)]
pub const fn of_address(address: &Address) -> u32 {
    const fn halves(word: u32) -> u32 {
        let word = u32::from_be(word);
        (word >> 16).wrapping_add(word & 0xFFFF)
    }
    let [a, b, c, d] = address.words();
    // What marks an IPv4 address as one is all ones, which add nothing: 0xFFFF is zero.
    halves(a)
        .wrapping_add(halves(b))
        .wrapping_add(halves(c))
        .wrapping_add(halves(d))
}

#[inline(always)]
const fn fold_words(total: u64) -> u32 {
    let once = (total & 0xFFFF_FFFF).wrapping_add(total >> 32);
    let twice = (once & 0xFFFF_FFFF).wrapping_add(once >> 32);
    twice as u32
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
        fn words_two_at_a_time_add_up_to_the_same(pairs: [[u8; 4]; 5]) {
            let [a, b, c, d, e] = pairs.map(|[a, b, ..]| u16::from_be_bytes([a, b]));
            let [f, g, h, i, j] = pairs.map(|[.., c, d]| u16::from_be_bytes([c, d]));
            let one_by_one = sum([a, b, c, d, e, f, g, h, i, j]);
            prop_assert_eq!(sum_as_stored(pairs).to_ne_bytes(), one_by_one.to_be_bytes());
        }

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

        #[test]
        fn new_addresses_update_a_checksum(
            old: [[u8; 16]; 2],
            new: [[u8; 16]; 2],
            v4: bool,
            rest: [u16; 4],
        ) {
            let address = |bytes: [u8; 16]| match bytes {
                [a, b, c, d, ..] if v4 => Address::v4([a, b, c, d]),
                _ => Address::v6(bytes),
            };
            let (old, new) = (old.map(address), new.map(address));
            let checksum = |addresses: [Address; 2]| {
                let bytes = addresses.map(Address::to_bytes).concat();
                let words = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
                let total: u32 = words.sum::<u32>() + rest.iter().map(|word| u32::from(*word)).sum::<u32>();
                !fold(total)
            };
            let delta = Delta::of(old[0], new[0]).and(Delta::of(old[1], new[1]));
            let updated = u16::from_be_bytes(delta.update(checksum(old).to_be_bytes()));
            let fresh = checksum(new);
            prop_assert!(updated == fresh || (updated ^ fresh) == 0xFFFF);
            let back = delta.undone().update(updated.to_be_bytes());
            let (back, before) = (u16::from_be_bytes(back), checksum(old));
            prop_assert!(back == before || (back ^ before) == 0xFFFF);
        }

        #[test]
        fn udp_neither_gains_nor_loses_a_checksum(old: [u8; 4], new: [u8; 4], checksum: [u8; 2]) {
            let delta = Delta::of(Address::v4(old), Address::v4(new));
            let updated = delta.update_udp(checksum);
            prop_assert_eq!(updated == [0; 2], checksum == [0; 2]);
            let plain = delta.update(checksum);
            prop_assert!(checksum == [0; 2] || updated == plain || plain == [0; 2]);
        }
    }
}
