//! Encapsulation as a textbook has it: parse, one look-up in a HASH map, push the outer headers,
//! redirect; and back. Nothing is checked but bounds.

use aya_ebpf::{
    Global,
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    btf_maps::{DevMap, HashMap},
    helpers::generated::bpf_xdp_adjust_head,
    macros::{btf_map, xdp},
    programs::XdpContext,
};

use crate::bytes::{load, store};

const IPV4: u16 = 0x0800;
const GRE: u8 = 47;
const ETHER_TYPE: usize = 12;
const IP_TOTAL_LEN: usize = 16;
const IP_PROTOCOL: usize = 23;
const IP_DST: usize = 30;
/// Bytes of the outer headers without the inner Ethernet header.
const OUTER_LEN: usize = size_of::<Outer>();
/// What the outer IPv4 packet is longer than the inner one: IPv4, GRE and inner Ethernet header.
const LONGER: u16 = 42;

/// Where a destination is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Remote {
    /// Provider address.
    pub pa: [u8; 4],
    /// MAC of the next hop.
    pub mac: [u8; 6],
    pad: [u8; 2],
}

/// Outer Ethernet, IPv4 and GRE headers.
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Outer {
    dst: [u8; 6],
    src: [u8; 6],
    ether_type: u16,
    version: u16,
    total_len: u16,
    id: u16,
    fragment: u16,
    ttl_protocol: u16,
    checksum: u16,
    src_pa: [u8; 4],
    dst_pa: [u8; 4],
    gre_flags: u16,
    gre_protocol: u16,
    key: u32,
}

/// Provider address of this host.
#[unsafe(no_mangle)]
static TEXTBOOK_PA: Global<[u8; 4]> = Global::new([0; 4]);
/// MAC of this host in the underlay.
#[unsafe(no_mangle)]
static TEXTBOOK_MAC: Global<[u8; 6]> = Global::new([0; 6]);
/// GRE key of all packets, host order.
#[unsafe(no_mangle)]
static TEXTBOOK_KEY: Global<u32> = Global::new(0);

/// Destination address of a tenant's packet to where it is.
#[btf_map]
static TEXTBOOK_RECORDS: HashMap<[u8; 4], Remote, 1> = HashMap::new();
/// The one device to send to.
#[btf_map]
static TEXTBOOK_DEVICE: DevMap<1> = DevMap::new();

/// From a tenant into the underlay.
#[xdp]
pub fn bench_textbook_encap(ctx: XdpContext) -> u32 {
    encap(&ctx).unwrap_or(XDP_DROP)
}

/// From the underlay to a tenant.
#[xdp]
pub fn bench_textbook_decap(ctx: XdpContext) -> u32 {
    decap(&ctx).unwrap_or(XDP_DROP)
}

#[inline(always)]
fn encap(ctx: &XdpContext) -> Option<u32> {
    if load::<u16>(ctx, ETHER_TYPE)? != IPV4.to_be() {
        return Some(XDP_PASS);
    }
    let total_len = u16::from_be(load(ctx, IP_TOTAL_LEN)?);
    let destination: [u8; 4] = load(ctx, IP_DST)?;
    // SAFETY: elements are replaced under RCU, in which the program runs, so the memory stays; its
    // bytes are plain data, of which any mixture is a value.
    let remote = unsafe { TEXTBOOK_RECORDS.get(destination) }?;
    let outer = headers(remote, total_len.wrapping_add(LONGER));
    // SAFETY: the context is the one that the kernel gave; packet pointers are taken anew after this.
    if unsafe { bpf_xdp_adjust_head(ctx.ctx, -(OUTER_LEN as i32)) } != 0 {
        return None;
    }
    store(ctx, 0, outer)?;
    Some(TEXTBOOK_DEVICE.redirect(0, 0).unwrap_or(XDP_DROP))
}

#[inline(always)]
fn decap(ctx: &XdpContext) -> Option<u32> {
    if load::<u16>(ctx, ETHER_TYPE)? != IPV4.to_be() || load::<u8>(ctx, IP_PROTOCOL)? != GRE {
        return Some(XDP_PASS);
    }
    // SAFETY: as in `encap`.
    if unsafe { bpf_xdp_adjust_head(ctx.ctx, OUTER_LEN as i32) } != 0 {
        return None;
    }
    Some(TEXTBOOK_DEVICE.redirect(0, 0).unwrap_or(XDP_DROP))
}

#[inline(always)]
fn headers(remote: &Remote, total_len: u16) -> Outer {
    const VERSION: u16 = 0x4500;
    const DONT_FRAGMENT: u16 = 0x4000;
    const TTL_PROTOCOL: u16 = 0x4000 | GRE as u16;
    let (src, dst) = (TEXTBOOK_PA.load(), remote.pa);
    let mut sum = u32::from(VERSION) + u32::from(DONT_FRAGMENT) + u32::from(TTL_PROTOCOL);
    sum += u32::from(total_len) + words(src) + words(dst);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    Outer {
        dst: remote.mac,
        src: TEXTBOOK_MAC.load(),
        ether_type: IPV4.to_be(),
        version: VERSION.to_be(),
        total_len: total_len.to_be(),
        id: 0,
        fragment: DONT_FRAGMENT.to_be(),
        ttl_protocol: TTL_PROTOCOL.to_be(),
        checksum: (!(sum as u16)).to_be(),
        src_pa: src,
        dst_pa: dst,
        gre_flags: 0x2000_u16.to_be(),
        gre_protocol: 0x6558_u16.to_be(),
        key: TEXTBOOK_KEY.load().to_be(),
    }
}

#[inline(always)]
fn words(address: [u8; 4]) -> u32 {
    let address = u32::from_be_bytes(address);
    (address >> 16) + (address & 0xFFFF)
}
