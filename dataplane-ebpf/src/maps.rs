//! Every map, and the tables that the decision reads.

use core::{cell::Cell, hint::black_box, mem::MaybeUninit};

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{
        Array, ArrayOfMaps, DevMapHash, HashMap, LpmTrie, PerCpuArray, ProgramArray, XskMap,
        lpm_trie::Key,
    },
    helpers::generated::bpf_ktime_get_coarse_ns,
    macros::btf_map,
};
use dataplane_common::{
    abi::{
        self,
        bucket::BUCKETS_LEN,
        config::Config,
        flood::Flood,
        lookup::{LookupEntry, LookupKey, LookupRecord},
        port_ca::PortCaKey,
        rewrite::RewriteEntry,
        route::RouteKey,
        stats::{COUNTERS_LEN, Count, DROPS_LEN},
        underlay::NextHop,
        upcall::{UPLINKS_LEN, XSKS_LEN},
        vport::{self, LocalPortKey, NEAR_IFINDEXES, PLACES_OF_VPORTS, Vport},
        vsid::VirtualSubnet,
    },
    forward::{Answer, Tables},
    id::{Address, Mac},
    reason::DropReason,
};

use crate::{plain::Whole, records};

/// Of a map that takes memory for what it holds, not for what it has room for: few use it.
const GROWS: usize = BPF_F_NO_PREALLOC as usize;

#[btf_map]
static CONFIG: Array<Config, 1> = Array::new();
/// By place, which `PLACES` has by ifindex, and `FAR_PLACES` for the ifindexes that it has no room for.
#[btf_map]
static VPORTS: Array<Vport, { PLACES_OF_VPORTS as usize }> = Array::new();
#[btf_map]
static PLACES: Array<u32, { NEAR_IFINDEXES as usize }> = Array::new();
#[btf_map]
static FAR_PLACES: HashMap<u32, u32, 1024> = HashMap::new();
#[btf_map]
static PORT_CAS: HashMap<PortCaKey, u32, 16384> = HashMap::new();
#[btf_map]
static NEAR_PORTS: Array<u32, { vport::NEAR_PORTS as usize }> = Array::new();
#[btf_map]
static LOCAL_PORTS: HashMap<LocalPortKey, u32, 1024> = HashMap::new();
/// Its only element is the current hash, of `LookupEntry`: user space puts a larger one in its place.
///
/// Values are words: Linux 6.1 tells a hash whose values BTF calls a structure from one without BTF,
/// and would not take the latter (`timer_off` in `bpf_map_meta_equal`).
#[btf_map]
static LOOKUP6: ArrayOfMaps<HashMap<LookupKey, [u32; 6], 1024, GROWS>, 1> = ArrayOfMaps::new();
#[btf_map]
static ROUTES: LpmTrie<RouteKey, LookupRecord, 65536> = LpmTrie::new();
/// As `LOOKUP6`, of `LookupRecord`.
#[btf_map]
static MACS: ArrayOfMaps<HashMap<LocalPortKey, [u32; 5], 1024, GROWS>, 1> = ArrayOfMaps::new();

const _: () = assert!(size_of::<LookupEntry>() == 24 && align_of::<LookupEntry>() == 4);
const _: () = assert!(size_of::<LookupRecord>() == 20 && align_of::<LookupRecord>() == 4);
#[btf_map]
static FLOODS: HashMap<u32, Flood, 65536, GROWS> = HashMap::new();
#[btf_map]
static UNDERLAY: Array<NextHop, 65536> = Array::new();
#[btf_map]
static VSIDS: HashMap<u32, VirtualSubnet, 65536> = HashMap::new();
#[btf_map]
static LOCAL_PAS: HashMap<Address, u32, 1024> = HashMap::new();
#[btf_map]
static REWRITES: HashMap<Address, RewriteEntry, 65536, GROWS> = HashMap::new();

/// Packets by slot and outcome.
#[btf_map]
pub static COUNTERS: PerCpuArray<Count, { COUNTERS_LEN as usize }> = PerCpuArray::new();
/// Packets by slot, direction and drop reason.
#[btf_map]
pub static DROPS: PerCpuArray<Count, { DROPS_LEN as usize }> = PerCpuArray::new();
/// Devices that XDP may send to, by ifindex.
#[btf_map]
pub static TX_PORTS: DevMapHash<2048> = DevMapHash::new();

/// Token buckets of ports and subnets.
#[btf_map]
pub static BUCKETS: Array<u64, { BUCKETS_LEN as usize }> = Array::new();
/// First index in `XSKS` of an uplink's queues, by ifindex.
#[btf_map]
pub static UPLINKS: HashMap<u32, u32, { UPLINKS_LEN as usize }> = HashMap::new();
/// `AF_XDP` sockets by uplink and queue.
#[btf_map]
pub static XSKS: XskMap<{ XSKS_LEN as usize }> = XskMap::new();

/// The programs that others go on in, by the places of [`abi::programs`].
#[btf_map]
pub static PROGS: ProgramArray<{ abi::programs::PROGS_LEN as usize }> = ProgramArray::new();

/// The headers of this CPU's frame that is not virtualized: as `SCRATCH` in `scan`.
#[btf_map]
static PLAIN: PerCpuArray<Whole, 1> = PerCpuArray::new();

/// The maps as tables, and the room for the key of a look-up: one for all, because a program has 512
/// bytes of stack, and each key that a helper is given a pointer to would take its own.
pub struct Maps {
    key: Cell<MaybeUninit<[u64; 3]>>,
}

impl Maps {
    /// The maps.
    #[inline(always)]
    pub const fn new() -> Self {
        Self {
            // Zeroes would be written by a function, with a frame of its own on the stack.
            key: Cell::new(MaybeUninit::uninit()),
        }
    }

    /// Puts them where the verifier forgets what it knew, and does not go through the loop
    /// of copies once for each kind of frame.
    #[inline(always)]
    pub fn keep_whole(&self, whole: Whole) -> Result<&Cell<Whole>, DropReason> {
        let kept = PLAIN.get_ptr_mut(0).ok_or(DropReason::Truncated)?;
        // SAFETY: the element lives as long as the map and is this program's alone, as in `scan`; a cell is laid out as what it holds.
        unsafe {
            kept.write(whole);
            Ok(&*black_box(kept).cast::<Cell<Whole>>())
        }
    }

    /// Writes a key of 32-bit words where the helper reads it: by 64 bits, for the verifier takes what was
    /// in half of a place on the stack before for something that may still be read, and tells ways
    /// apart by it that are one.
    #[inline(always)]
    fn key<K>(&self, key: K) -> &K {
        const { assert!(size_of::<K>() <= 24 && align_of::<K>() <= 4) };
        let mut words = [0_u64; 3];
        let room = self.key.as_ptr().cast::<u64>();
        // SAFETY: the cell is as large and as aligned as any `K`, seen at compile time; whoever got a
        // key before has used it up, for each look-up reads it at once.
        unsafe {
            words.as_mut_ptr().cast::<K>().write(key);
            for (number, word) in words.into_iter().enumerate() {
                if 8 * number < size_of::<K>() {
                    room.add(number).write_volatile(word);
                }
            }
            &*room.cast::<K>()
        }
    }
}

impl Tables for Maps {
    #[inline(always)]
    fn config(&self) -> Option<&Config> {
        CONFIG
            .get(0)
            .filter(|config| config.abi_version == abi::VERSION)
    }
    #[inline(always)]
    fn vport(&self, ifindex: u32) -> Option<&Vport> {
        // A place that is nobody's, or another's by now, is seen by the device in it.
        let near = *PLACES.get(ifindex & (NEAR_IFINDEXES - 1))?;
        let mut vport = VPORTS.get_ptr(near)?;
        // SAFETY: an element of an array lives as long as the map; the word is written before anybody is led here.
        if unsafe { (*vport).ifindex } != ifindex || ifindex == 0 {
            // SAFETY: hash elements are replaced under RCU and the program runs in one
            // RCU section, so the memory stays. A replaced element may be reused for
            // another key meanwhile; the values are plain data, so the worst is one
            // packet decided by a newer entry. The same holds for the other hashes.
            let far = unsafe { *FAR_PLACES.get(self.key(ifindex))? };
            vport = VPORTS.get_ptr(far)?;
            // SAFETY: as above.
            if unsafe { (*vport).ifindex } != ifindex {
                return None;
            }
        }
        // SAFETY: as above. One pointer, whatever it came from: else the verifier goes both ways to the end.
        let vport = unsafe { &*black_box(vport) };
        Some(vport)
    }
    #[inline(always)]
    fn port_has_ca(&self, slot: u32, ca: Address) -> bool {
        PORT_CAS.get_ptr(self.key(PortCaKey { slot, ca })).is_some()
    }
    #[inline(always)]
    fn local_port(&self, vsid: u32, mac: Mac) -> Option<u32> {
        let key = LocalPortKey::new(vsid, mac);
        let near = NEAR_PORTS.get(key.near()).copied().unwrap_or(0);
        if near != 0
            && let Some(port) = self.vport(near)
            && port.vsid == vsid
            && port.mac == mac
        {
            return Some(near);
        }
        // SAFETY: see `vport`.
        unsafe { LOCAL_PORTS.get(self.key(key)) }.copied()
    }
    #[inline(always)]
    fn lookup(&self, rdid: u32, ca: Address, record: &mut LookupRecord) -> Answer {
        let key = LookupKey { rdid, ca };
        if let Some(key) = key.v4() {
            return records::look(key, record);
        }
        let hash = LOOKUP6.get(0);
        let Some(entry) = hash.and_then(|hash| hash.get_ptr_mut(self.key(key))) else {
            return Answer::Absent;
        };
        let entry = entry.cast::<LookupEntry>();
        // SAFETY: see `vport`; the record alone is read, which programs never write.
        *record = unsafe { (*entry).record };
        if record.has(LookupRecord::ON_DEMAND) {
            note(entry);
        }
        Answer::Found
    }
    #[inline(always)]
    fn route(&self, scope: u32, ca: Address) -> Option<&LookupRecord> {
        let key = Key::new(RouteKey::BITS, RouteKey::new(scope, ca));
        ROUTES.get(self.key(key))
    }
    #[inline(always)]
    fn station(&self, vsid: u32, mac: Mac) -> Option<&LookupRecord> {
        let hash = MACS.get(0)?;
        let record = hash.get_ptr(self.key(LocalPortKey::new(vsid, mac)))?;
        // SAFETY: see `vport`; its words are a record.
        Some(unsafe { &*record.cast::<LookupRecord>() })
    }
    #[inline(always)]
    fn flood(&self, vsid: u32) -> Option<&Flood> {
        // SAFETY: see `vport`.
        unsafe { FLOODS.get(self.key(vsid)) }
    }
    #[inline(always)]
    fn next_hop(&self, pa_index: u32) -> Option<&NextHop> {
        UNDERLAY.get(pa_index)
    }
    #[inline(always)]
    fn subnet(&self, vsid: u32) -> Option<&VirtualSubnet> {
        // SAFETY: see `vport`.
        unsafe { VSIDS.get(self.key(vsid)) }
    }
    #[inline(always)]
    fn is_local_pa(&self, pa: Address) -> bool {
        let mut found = 0_u32;
        if let Some(config) = CONFIG.get(0) {
            let [v4, v6] = config.pas;
            found = u32::from((pa == v4 || pa == v6) && !pa.is_unspecified());
        }
        if found == 0 {
            found = u32::from(LOCAL_PAS.get_ptr(self.key(pa)).is_some());
        }
        // As in `vport`.
        black_box(found) != 0
    }
    #[inline(always)]
    fn rewrite(&self, pa: Address) -> Option<&RewriteEntry> {
        // SAFETY: see `vport`.
        unsafe { REWRITES.get(self.key(pa)) }
    }
}

/// Notes that a record is in use; once a second at most, so that CPUs do not take the cache line
/// from each other.
#[inline(always)]
fn note(entry: *mut LookupEntry) {
    // SAFETY: the helper reads a clock.
    let now = (unsafe { bpf_ktime_get_coarse_ns() } >> LookupEntry::SECOND_SHIFT) as u32;
    // SAFETY: the entry is an element of the hash, which lives as long as the map: see `vport`. The
    // stamp is an aligned word outside of any reference; CPUs and user space write it without order,
    // and a stamp on an element that is another key's by now keeps that one a while longer.
    unsafe {
        let stamp = &raw mut (*entry).stamp;
        if stamp.read_volatile() != now {
            stamp.write_volatile(now);
        }
    }
}
