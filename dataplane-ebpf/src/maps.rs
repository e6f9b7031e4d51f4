//! Every map, and the tables that the decision reads.

use aya_ebpf::{
    btf_maps::{Array, DevMapHash, HashMap, PerCpuArray, XskMap},
    helpers::generated::bpf_ktime_get_coarse_ns,
    macros::btf_map,
};
use dataplane_common::{
    abi::{
        self,
        bucket::BUCKETS_LEN,
        config::Config,
        lookup::{LookupEntry, LookupKey, LookupRecord},
        pa::PaKey,
        port_ca::PortCaKey,
        stats::{COUNTERS_LEN, Count, DROPS_LEN},
        underlay::NextHop,
        upcall::{UPLINKS_LEN, XSKS_LEN},
        vport::{LocalPortKey, Vport},
        vsid::VirtualSubnet,
    },
    forward::Tables,
    id::Mac,
};

#[btf_map]
static CONFIG: Array<Config, 1> = Array::new();
#[btf_map]
static VPORTS: HashMap<u32, Vport, 1024> = HashMap::new();
#[btf_map]
static PORT_CAS: HashMap<PortCaKey, u32, 16384> = HashMap::new();
#[btf_map]
static LOCAL_PORTS: HashMap<LocalPortKey, u32, 1024> = HashMap::new();
#[btf_map]
static LOOKUP: HashMap<LookupKey, LookupEntry, 65536> = HashMap::new();
#[btf_map]
static UNDERLAY: Array<NextHop, 65536> = Array::new();
#[btf_map]
static VSIDS: HashMap<u32, VirtualSubnet, 65536> = HashMap::new();
#[btf_map]
static LOCAL_PAS: HashMap<PaKey, u32, 64> = HashMap::new();

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

/// The maps as tables.
pub struct Maps;

impl Tables for Maps {
    #[inline(always)]
    fn config(&self) -> Option<&Config> {
        CONFIG
            .get(0)
            .filter(|config| config.abi_version == abi::VERSION)
    }
    #[inline(always)]
    fn vport(&self, ifindex: u32) -> Option<&Vport> {
        // SAFETY: hash elements are replaced under RCU and the program runs in one
        // RCU section, so the memory stays. A replaced element may be reused for
        // another key meanwhile; the values are plain data, so the worst is one
        // packet decided by a newer entry. The same holds for the other hashes.
        unsafe { VPORTS.get(ifindex) }
    }
    #[inline(always)]
    fn port_has_ca(&self, slot: u32, ca: [u8; 4]) -> bool {
        PORT_CAS.get_ptr(PortCaKey { slot, ca }).is_some()
    }
    #[inline(always)]
    fn local_port(&self, vsid: u32, mac: Mac) -> Option<u32> {
        // SAFETY: see `vport`.
        unsafe { LOCAL_PORTS.get(LocalPortKey::new(vsid, mac)) }.copied()
    }
    #[inline(always)]
    fn lookup(&self, rdid: u32, ca: [u8; 4]) -> Option<&LookupRecord> {
        let entry = LOOKUP.get_ptr_mut(LookupKey { rdid, ca })?;
        // SAFETY: see `vport`; the reference is to the record alone, which programs never write.
        let record = unsafe { &(*entry).record };
        if record.has(LookupRecord::ON_DEMAND) {
            note(entry);
        }
        Some(record)
    }
    #[inline(always)]
    fn next_hop(&self, pa_index: u32) -> Option<&NextHop> {
        UNDERLAY.get(pa_index)
    }
    #[inline(always)]
    fn subnet(&self, vsid: u32) -> Option<&VirtualSubnet> {
        // SAFETY: see `vport`.
        unsafe { VSIDS.get(vsid) }
    }
    #[inline(always)]
    fn is_local_pa(&self, pa: &PaKey) -> bool {
        LOCAL_PAS.get_ptr(pa).is_some()
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
