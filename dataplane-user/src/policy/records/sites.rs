//! Where records of a host's table are: what is alike of many, by small numbers.

use std::sync::Arc;

use dataplane_common::abi::lookup::LookupRecord;

use super::{entry::Entry, names::Numbers};

/// A lookup record but for its MAC and VSID, so that there are not many more than PAs, however many
/// subnets the stations of one PA are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Site {
    pa_index: u32,
    ifindex: u32,
    flags: u16,
    /// The VSID beyond its 24 bits: 0, unless somebody else wrote the kernel's table.
    beyond: u8,
}

/// Site and VSID of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// The number of its site, little endian.
    site: [u8; 3],
    /// Little endian.
    vsid: [u8; 3],
}

/// A record of a routing domain, 16 bytes with an IPv4 CA.
pub(super) type Placed<A> = Entry<A, Spot>;

const _: () = assert!(size_of::<Placed<[u8; 4]>>() == 16);

/// Sites by their numbers. A number is given once: copies of a table agree about those of all the
/// records that they share, whatever became of each since.
#[derive(Clone, Debug, Default)]
pub(super) struct Sites(Numbers<Site>);

impl Sites {
    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.0.values.len()
    }

    /// Where a record is; its site has a number from now on.
    pub(super) fn spot(self: &mut Arc<Self>, record: &LookupRecord) -> Spot {
        let (vsid, beyond) = split(record.vsid);
        let site = Site {
            pa_index: record.pa_index,
            ifindex: record.ifindex,
            flags: record.flags,
            beyond,
        };
        // What copies have in common stays so for as long as nothing is new.
        let known = self.0.get(&site);
        let number = known.unwrap_or_else(|| Arc::make_mut(self).0.of(&site));
        let (site, rest) = split(number);
        assert_eq!(
            rest, 0,
            "there are fewer PAs and ports than 24 bits can tell"
        );
        Spot { site, vsid }
    }

    /// The record of an entry.
    pub(super) fn record<A>(&self, entry: &Placed<A>) -> LookupRecord {
        let site = &self.0.values[entry.site.number()];
        LookupRecord {
            vsid: join(entry.site.vsid, site.beyond),
            pa_index: site.pa_index,
            ifindex: site.ifindex,
            mac: entry.mac,
            flags: site.flags,
        }
    }

    /// Whether the record of an entry is there only while it is in use.
    pub(super) fn is_on_demand<A>(&self, entry: &Placed<A>) -> bool {
        self.0.values[entry.site.number()].flags & LookupRecord::ON_DEMAND != 0
    }
}

impl Spot {
    const fn number(self) -> usize {
        join(self.site, 0) as usize
    }
}

/// The lower 24 bits, little endian, and what is above.
const fn split(number: u32) -> ([u8; 3], u8) {
    let [a, b, c, above] = number.to_le_bytes();
    ([a, b, c], above)
}

const fn join([a, b, c]: [u8; 3], above: u8) -> u32 {
    u32::from_le_bytes([a, b, c, above])
}

/// Compares entries of two tables.
pub(super) struct Alike {
    /// The new table's numbers of sites by the old one's, where they are not the same.
    numbers: Option<Vec<Option<u32>>>,
}

impl Alike {
    /// Of a new table and an old one.
    pub(super) fn of(new: &Arc<Sites>, old: &Arc<Sites>) -> Self {
        if Arc::ptr_eq(new, old) {
            return Self { numbers: None };
        }
        let numbers = old.0.values.iter().map(|site| new.0.get(site));
        Self {
            numbers: Some(numbers.collect()),
        }
    }

    /// Whether entries of the same CA say the same.
    pub(super) fn says<A>(&self, new: &Placed<A>, old: &Placed<A>) -> bool {
        let (one, two) = (new.site.number(), old.site.number());
        let same = match &self.numbers {
            None => one == two,
            Some(numbers) => numbers[two].is_some_and(|number| number as usize == one),
        };
        same && new.site.vsid == old.site.vsid && new.mac == old.mac
    }
}
