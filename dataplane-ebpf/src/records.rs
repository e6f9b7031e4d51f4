//! The table of the IPv4 lookup records, which user space changes while it is read; how both go
//! together is in [`dataplane_common::records`].

use aya_ebpf::{
    bindings::{BPF_F_INNER_MAP, BPF_F_MMAPABLE},
    btf_maps::{Array, ArrayOfMaps},
    helpers::generated::bpf_ktime_get_coarse_ns,
    macros::btf_map,
};
use dataplane_common::{
    abi::lookup::{LookupEntry, LookupKey4, LookupRecord},
    forward::Answer,
    records::{
        bucket::{STAMPS, WORDS},
        geometry::Geometry,
        header::{GEOMETRY, element},
        key,
        raw::Raw,
        read::{self, ATTEMPTS, Buckets, attempt},
    },
};

/// A table: its header, and as many buckets as it has.
type Table = Array<[u64; WORDS], 2, { (BPF_F_MMAPABLE | BPF_F_INNER_MAP) as usize }>;

/// The current table: user space puts another one in its place.
#[btf_map]
static LOOKUP: ArrayOfMaps<Table, 1> = ArrayOfMaps::new();

struct Current<'m>(&'m Table);

impl Current<'_> {
    #[inline(always)]
    fn first(&self, element: u32) -> Option<*mut u64> {
        Some(self.0.get_ptr_mut(element)?.cast())
    }
}

impl Buckets for Current<'_> {
    type Bucket = Raw;

    #[inline(always)]
    fn bucket(&self, index: u32) -> Option<Raw> {
        let first = self.first(element(index))?;
        // SAFETY: an element is a whole bucket, and the map lives at least until the program ends:
        // who replaces it waits for that. Its writer writes words, and `note` half-words.
        Some(unsafe { Raw::new(first) })
    }
}

/// Looks a record up, and notes that it is in use if it is there on demand.
///
/// Each try begins with the current table: so little has to be kept from one to the next, and a
/// program has 512 bytes of stack.
#[inline(always)]
pub fn look(of: LookupKey4, record: &mut LookupRecord) -> Answer {
    let key = key(of);
    let mut tried = 0_u64;
    while tried < ATTEMPTS {
        tried = tried.wrapping_add(1);
        let answer = attempt_once(key, record);
        if answer != Answer::Busy {
            return answer;
        }
    }
    Answer::Busy
}

#[inline(always)]
fn attempt_once(key: u64, record: &mut LookupRecord) -> Answer {
    let Some(map) = LOOKUP.get(0) else {
        return Answer::Busy;
    };
    let table = Current(map);
    let Some(header) = table.first(0) else {
        return Answer::Busy;
    };
    // SAFETY: the header is an element like a bucket, has the four words of a geometry at this place,
    // and nobody writes to it any more.
    let pair = unsafe { *header.add(GEOMETRY).cast::<Geometry>() }.pair(key);
    let answer = attempt(&table, pair, key, record);
    if answer == read::Answer::MISS {
        return Answer::Absent;
    }
    if !answer.is_hit() {
        return Answer::Busy;
    }
    if record.has(LookupRecord::ON_DEMAND) {
        note(&table, answer.bucket(pair), answer.slot());
    }
    Answer::Found
}

/// Writes the time to a slot; once a second at most, so that CPUs do not take the cache line from
/// each other.
#[inline(always)]
fn note(table: &Current<'_>, bucket: u32, slot: u32) {
    let Some(first) = table.first(element(bucket)) else {
        return;
    };
    // SAFETY: the helper reads a clock.
    let now = (unsafe { bpf_ktime_get_coarse_ns() } >> LookupEntry::SECOND_SHIFT) as u16;
    // SAFETY: the word of the stamps has a half-word for each of the four slots, the lowest first, as
    // the target counts bytes. CPUs and user space write them without order, and a stamp on a slot
    // that is another key's by now keeps that one a while longer.
    unsafe {
        let stamp = first.add(STAMPS).cast::<u16>().add(slot as usize);
        if stamp.read_volatile() != now {
            stamp.write_volatile(now);
        }
    }
}
