//! Look-ups of records and nothing else: in the table of buckets and in the kernel's hash, to see what
//! they cost and that both say the same, and without the check of control words, to see what it is
//! for.
//!
//! One run is one look-up of a key at random. The next key waits for the record of this one, so that
//! the time of a run is what a packet waits, not what overlapping misses take on average.

use aya_ebpf::{
    bindings::{BPF_F_INNER_MAP, BPF_F_MMAPABLE, xdp_action::XDP_DROP},
    btf_maps::{Array, ArrayOfMaps, HashMap},
    macros::{btf_map, xdp},
    programs::XdpContext,
};
use dataplane_common::{
    abi::lookup::{LookupEntry, LookupRecord},
    records::{
        bucket::WORDS,
        geometry::Geometry,
        header::{GEOMETRY, element},
        probe::{Probe, marked},
        raw::Raw,
        read::{ATTEMPTS, Answer, Bucket, Buckets, attempt},
    },
};

type Table = Array<[u64; WORDS], 2, { (BPF_F_MMAPABLE | BPF_F_INNER_MAP) as usize }>;

#[btf_map]
static RECORDS: ArrayOfMaps<Table, 1> = ArrayOfMaps::new();
/// As large as the first table, to tell what the step between the maps costs.
#[btf_map]
static RECORDS_FIXED: Array<[u64; WORDS], 2, { BPF_F_MMAPABLE as usize }> = Array::new();
#[btf_map]
static RECORDS_HASH: HashMap<u64, LookupEntry, 1> = HashMap::new();
#[btf_map]
static PROBE: Array<Probe, 1, { BPF_F_MMAPABLE as usize }> = Array::new();

/// The number of writing that was last seen of each key.
#[btf_map]
static SEEN: Array<u32, KEYS> = Array::new();
/// Keys whose order can be looked at.
const KEYS: usize = 1 << 16;

trait Elements {
    fn first(&self, element: u32) -> Option<*const u64>;
}

impl<const N: usize, const FLAGS: usize> Elements for &Array<[u64; WORDS], N, FLAGS> {
    #[inline(always)]
    fn first(&self, element: u32) -> Option<*const u64> {
        Some(self.get_ptr(element)?.cast())
    }
}

struct In<E, const CHECK: bool>(E);
/// A bucket whose control word is believed not to change, unless `CHECK`.
struct One<const CHECK: bool>(Raw);

impl<E: Elements, const CHECK: bool> Buckets for In<E, CHECK> {
    type Bucket = One<CHECK>;

    #[inline(always)]
    fn bucket(&self, index: u32) -> Option<One<CHECK>> {
        let first = self.0.first(element(index))?;
        // SAFETY: an element is a whole bucket and lives at least until the program ends; who writes
        // to it writes whole words.
        Some(One(unsafe { Raw::new(first) }))
    }
}

impl<const CHECK: bool> Bucket for One<CHECK> {
    #[inline(always)]
    fn control(&self) -> u64 {
        self.0.control()
    }
    #[inline(always)]
    fn word(&self, index: usize) -> u64 {
        self.0.word(index)
    }
    #[inline(always)]
    fn control_again(&self) -> u64 {
        self.0.control_again()
    }
    #[inline(always)]
    fn same(a: u64, b: u64) -> u64 {
        Raw::same(a, b)
    }
    #[inline(always)]
    fn unchanged(&self, control: u64) -> bool {
        !CHECK || self.control_again() == control
    }
}

#[inline(always)]
fn in_table<E: Elements, const CHECK: bool>(
    elements: E,
    key: u64,
    record: &mut LookupRecord,
) -> Answer {
    let Some(header) = elements.first(0) else {
        return Answer::BUSY;
    };
    // SAFETY: the header has a geometry at this place, and nobody writes to it.
    let pair = unsafe { *header.add(GEOMETRY).cast::<Geometry>() }.pair(key);
    attempt(&In::<E, CHECK>(elements), pair, key, record)
}

#[inline(always)]
fn in_current<const CHECK: bool>(key: u64, record: &mut LookupRecord) -> Answer {
    let mut tried = 0_u64;
    while tried < ATTEMPTS {
        tried = tried.wrapping_add(1);
        let Some(table) = RECORDS.get(0) else {
            return Answer::BUSY;
        };
        let answer = in_table::<_, CHECK>(table, key, record);
        if answer != Answer::BUSY {
            return answer;
        }
    }
    Answer::BUSY
}

#[inline(always)]
fn in_hash(key: u64, record: &mut LookupRecord) -> Answer {
    // SAFETY: the entry is copied at once; what another key's entry makes of it is what is seen here.
    match unsafe { RECORDS_HASH.get(&key) } {
        Some(entry) => {
            *record = entry.record;
            Answer::hit(0)
        }
        None => Answer::MISS,
    }
}

#[inline(always)]
fn run(look: impl FnOnce(u64, &mut LookupRecord) -> Answer) -> u32 {
    let Some(probe) = PROBE.get_ptr_mut(0) else {
        return XDP_DROP;
    };
    // SAFETY: one program runs at a time, and user space reads when it does not.
    let probe = unsafe { &mut *probe };
    let number = probe.draw();
    let key = probe.key(number);
    let mut record = LookupRecord::negative(0);
    let answer = look(key, &mut record);
    probe.note(number, answer, &record);
    if probe.ordered != 0
        && let Some(seen) = SEEN.get_ptr_mut(number as u32)
    {
        // SAFETY: see above; no other program has it.
        probe.order(answer, &record, unsafe { &mut *seen });
    }
    XDP_DROP
}

/// No look-up: what the rest costs.
#[xdp]
pub fn bench_look_none(_ctx: XdpContext) -> u32 {
    run(|key, record| {
        *record = marked(key, 0);
        Answer::hit(0)
    })
}

/// In the table of buckets, as the product does it.
#[xdp]
pub fn bench_look_table(_ctx: XdpContext) -> u32 {
    run(in_current::<true>)
}

/// The same without the check of what was read.
#[xdp]
pub fn bench_look_unchecked(_ctx: XdpContext) -> u32 {
    run(in_current::<false>)
}

/// The same in one map that is always the table.
#[xdp]
pub fn bench_look_fixed(_ctx: XdpContext) -> u32 {
    run(|key, record| in_table::<_, true>(&RECORDS_FIXED, key, record))
}

/// In the kernel's hash.
#[xdp]
pub fn bench_look_hash(_ctx: XdpContext) -> u32 {
    run(in_hash)
}

/// In both, one key after the other, when nobody writes: notes a key that they disagree about as torn.
#[xdp]
pub fn bench_look_both(_ctx: XdpContext) -> u32 {
    let Some(probe) = PROBE.get_ptr_mut(0) else {
        return XDP_DROP;
    };
    // SAFETY: see `run`.
    let probe = unsafe { &mut *probe };
    let key = probe.advance();
    let (mut here, mut there) = (LookupRecord::negative(0), LookupRecord::negative(0));
    let answer = in_current::<true>(key, &mut here);
    let expected = in_hash(key, &mut there);
    probe.compare(answer.is_hit(), expected.is_hit(), here == there);
    XDP_DROP
}
