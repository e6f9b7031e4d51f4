//! Look-ups that test and measure the table: keys by number, records that tell whose they are, and
//! counts of what was seen. Of no use to the product.

use super::read::Answer;
use crate::{abi::lookup::LookupRecord, abi::pod, id::Mac};

/// What a probing program is told and what it tells, in memory that both sides have.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// State of the numbers at random, or the next number.
    pub state: u64,
    /// Keys have numbers below this; less than 2^32.
    pub keys: u64,
    /// How far the addresses of neighbouring numbers are apart.
    pub stride: u64,
    /// Those below this are always there.
    pub present: u64,
    /// Look-ups that found a whole record.
    pub found: u64,
    /// Look-ups that found none of a key that may be absent.
    pub absent: u64,
    /// Look-ups that found none of a key that is always there.
    pub missed: u64,
    /// Look-ups that gave up.
    pub busy: u64,
    /// Records that are not the key's.
    pub torn: u64,
    /// Not 0: records have their key's number of writing, which rises, and [`Probe::order`] looks.
    pub ordered: u64,
    /// Records that are older than one that was read of the key before.
    pub fallen: u64,
}

impl Probe {
    /// A number below [`Probe::keys`], at random.
    #[inline(always)]
    pub fn draw(&mut self) -> u64 {
        let state = self.state.wrapping_mul(6_364_136_223_846_793_005);
        self.state = state.wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 32).wrapping_mul(self.keys) >> 32
    }

    /// The key of a number: addresses of one domain.
    #[inline(always)]
    pub const fn key(&self, number: u64) -> u64 {
        (7_u64 << 32 | 0x0a00_0000).wrapping_add(number.wrapping_mul(self.stride))
    }

    /// The next key in order; the first one after the last.
    #[inline(always)]
    pub fn advance(&mut self) -> u64 {
        let number = self.state;
        self.state = if number.wrapping_add(1) < self.keys {
            number.wrapping_add(1)
        } else {
            0
        };
        self.key(number)
    }

    /// Counts what came of the look-up of a number's key.
    #[inline(always)]
    pub fn note(&mut self, number: u64, answer: Answer, record: &LookupRecord) {
        if answer.is_hit() {
            let expected = marked(self.key(number), record.vsid);
            // The next number depends on the record; where it is 0, on nothing else.
            self.state = self.state.wrapping_add(u64::from(record.vsid));
            let whole = &expected == record;
            self.found = self.found.wrapping_add(u64::from(whole));
            self.torn = self.torn.wrapping_add(u64::from(!whole));
        } else if answer == Answer::BUSY {
            self.busy = self.busy.wrapping_add(1);
        } else if number < self.present {
            self.missed = self.missed.wrapping_add(1);
        } else {
            self.absent = self.absent.wrapping_add(1);
        }
    }

    /// Counts a record that is older than the latest that was `seen` of its key.
    #[inline(always)]
    pub fn order(&mut self, answer: Answer, record: &LookupRecord, seen: &mut u32) {
        if !answer.is_hit() {
            return;
        }
        if record.vsid < *seen {
            self.fallen = self.fallen.wrapping_add(1);
        } else {
            *seen = record.vsid;
        }
    }

    /// Counts whether two tables said the same of a key.
    #[inline(always)]
    pub fn compare(&mut self, here: bool, there: bool, equal: bool) {
        if here != there || here && !equal {
            self.torn = self.torn.wrapping_add(1);
        } else if here {
            self.found = self.found.wrapping_add(1);
        } else {
            self.absent = self.absent.wrapping_add(1);
        }
    }
}

/// A record each of whose fields tells the key and `n`.
#[inline(always)]
pub const fn marked(key: u64, n: u32) -> LookupRecord {
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n as u64) << 16;
    let [bytes @ .., high, _] = mixed.to_le_bytes();
    LookupRecord {
        vsid: n,
        pa_index: n ^ mixed as u32,
        ifindex: !n ^ (mixed >> 32) as u32,
        mac: Mac(bytes),
        flags: u16::from_le_bytes([high, bytes[2]]),
    }
}

pod!(Probe);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_tells_the_key_and_the_number() {
        let (record, other, later) = (marked(7, 1), marked(8, 1), marked(7, 0x0102_0304));
        for (a, b) in [(record, other), (record, later)] {
            assert_ne!(a.pa_index, b.pa_index);
            assert_ne!(a.ifindex, b.ifindex);
            assert_ne!(a.mac, b.mac);
        }
    }

    #[test]
    fn what_came_of_a_look_up_is_counted_once() {
        let mut probe = Probe {
            keys: 10,
            stride: 1,
            present: 5,
            ..Probe::default()
        };
        assert!((0..1000).all(|_| probe.draw() < 10));
        let record = marked(probe.key(3), 9);
        probe.note(3, Answer::hit(0), &record);
        probe.note(4, Answer::hit(0), &record);
        probe.note(4, Answer::MISS, &record);
        probe.note(5, Answer::MISS, &record);
        probe.note(5, Answer::BUSY, &record);
        let counts = [
            probe.found,
            probe.torn,
            probe.missed,
            probe.absent,
            probe.busy,
        ];
        assert_eq!(counts, [1; 5]);
    }

    #[test]
    fn a_record_is_not_older_than_what_was_seen() {
        let (mut probe, mut seen) = (Probe::default(), 0);
        for (n, fallen) in [(3, 0), (3, 0), (5, 0), (4, 1), (5, 1)] {
            probe.order(Answer::hit(0), &marked(1, n), &mut seen);
            assert_eq!(probe.fallen, fallen, "{n}");
        }
        probe.order(Answer::MISS, &marked(1, 0), &mut seen);
        assert_eq!((probe.fallen, seen), (1, 5));
    }

    #[test]
    fn two_tables_agree_or_not() {
        let mut probe = Probe::default();
        probe.compare(true, true, true);
        probe.compare(true, true, false);
        probe.compare(true, false, false);
        probe.compare(false, false, false);
        assert_eq!((probe.found, probe.torn, probe.absent), (1, 2, 1));
    }
}
