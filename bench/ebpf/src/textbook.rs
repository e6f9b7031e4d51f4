//! What a textbook has: parse, one look-up in a HASH map, push the outer headers or write other
//! addresses, redirect; and back. Nothing is checked but bounds, and nothing is counted.
//!
//! [`xdp`] and [`tc`] are the hooks; here is what both know.

use aya_ebpf::{Global, btf_maps::HashMap, macros::btf_map};

use crate::bytes::{Frame, load};

mod tc;
mod xdp;

const IPV4: u16 = 0x0800;
const GRE: u8 = 47;
const ETHER_TYPE: usize = 12;
const IP_TOTAL_LEN: usize = 16;
const IP_PROTOCOL: usize = 23;
const IP_CHECKSUM: usize = 24;
const IP_SRC: usize = 26;
const IP_DST: usize = 30;
/// Bytes of the outer headers without the inner Ethernet header.
const OUTER_LEN: usize = size_of::<Outer>();
/// What the outer IPv4 packet is longer than the inner one: IPv4, GRE and inner Ethernet header.
const LONGER: u16 = 42;

/// Where a destination is.
#[repr(C)]
#[derive(Clone, Copy)]
struct Remote {
    /// The address to send to: a provider address, or a customer address where packets come back from
    /// one.
    pa: [u8; 4],
    /// MAC of the next hop.
    mac: [u8; 6],
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

/// Address that packets get for a source: of this host, or of a tenant.
#[unsafe(no_mangle)]
static TEXTBOOK_PA: Global<[u8; 4]> = Global::new([0; 4]);
/// MAC that they get.
#[unsafe(no_mangle)]
static TEXTBOOK_MAC: Global<[u8; 6]> = Global::new([0; 6]);
/// GRE key of all packets, host order.
#[unsafe(no_mangle)]
static TEXTBOOK_KEY: Global<u32> = Global::new(0);

/// Destination address of a packet to where it is.
#[btf_map]
static TEXTBOOK_RECORDS: HashMap<[u8; 4], Remote, 1> = HashMap::new();

/// Whether it is IPv4; `None`: it is shorter than a header.
#[inline(always)]
fn is_ipv4(frame: &impl Frame) -> Option<bool> {
    Some(load::<u16>(frame, ETHER_TYPE)? == IPV4.to_be())
}

#[inline(always)]
fn is_gre(frame: &impl Frame) -> Option<bool> {
    Some(is_ipv4(frame)? && load::<u8>(frame, IP_PROTOCOL)? == GRE)
}

/// Where the packet's destination is; `None`: nobody knows.
#[inline(always)]
fn look(destination: [u8; 4]) -> Option<&'static Remote> {
    // SAFETY: elements are replaced under RCU, in which the program runs, so the memory stays; its
    // bytes are plain data, of which any mixture is a value.
    unsafe { TEXTBOOK_RECORDS.get(destination) }
}

/// The outer headers of a tenant's IPv4 packet.
#[inline(always)]
fn outer(frame: &impl Frame) -> Option<Outer> {
    let total_len = u16::from_be(load(frame, IP_TOTAL_LEN)?);
    let remote = look(load(frame, IP_DST)?)?;
    Some(headers(remote, total_len.wrapping_add(LONGER)))
}

#[inline(always)]
fn headers(remote: &Remote, total_len: u16) -> Outer {
    const VERSION: u16 = 0x4500;
    const DONT_FRAGMENT: u16 = 0x4000;
    const TTL_PROTOCOL: u16 = 0x4000 | GRE as u16;
    let (src, dst) = (TEXTBOOK_PA.load(), remote.pa);
    let sum = u32::from(VERSION) + u32::from(DONT_FRAGMENT) + u32::from(TTL_PROTOCOL);
    let sum = folded(sum + u32::from(total_len) + words(src) + words(dst));
    Outer {
        dst: remote.mac,
        src: TEXTBOOK_MAC.load(),
        ether_type: IPV4.to_be(),
        version: VERSION.to_be(),
        total_len: total_len.to_be(),
        id: 0,
        fragment: DONT_FRAGMENT.to_be(),
        ttl_protocol: TTL_PROTOCOL.to_be(),
        checksum: (!sum).to_be(),
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

/// A sum of few 16-bit words as one (RFC 1071).
#[inline(always)]
fn folded(sum: u32) -> u16 {
    let sum = (sum & 0xFFFF) + (sum >> 16);
    ((sum & 0xFFFF) + (sum >> 16)) as u16
}
