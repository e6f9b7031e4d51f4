//! Frames as bytes.

use std::vec::Vec;

use super::{ca6, mac, pa6};
use crate::{
    forward::parse::Frame,
    id::{Address, Mac},
    wire::{
        Wire,
        ether::{self, EthHeader},
        gre::GreHeader,
        icmp,
        ipv4::{self, Ipv4Header},
        ipv6::{self, Ipv6Header},
        outer::{OuterHeaders as _, OverV4, OverV6, Tunnelled},
    },
};

/// A frame in a slice.
pub(crate) struct Bytes<'a> {
    bytes: &'a [u8],
    gso_size: u32,
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, gso_size: 0 }
    }
    pub(crate) fn gso(bytes: &'a [u8], gso_size: u32) -> Self {
        Self { bytes, gso_size }
    }
}

impl Frame for Bytes<'_> {
    fn len(&self) -> u32 {
        self.bytes.len() as u32
    }
    fn gso_size(&self) -> u32 {
        self.gso_size
    }
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        let bytes = self.bytes.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: the slice is as long as `T`, and any bytes are a valid `Wire`.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
}

pub(crate) fn bytes_of<T: Wire>(value: &T) -> Vec<u8> {
    // SAFETY: a `Wire` has no padding, so all of its bytes are initialised.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast::<u8>(), size_of::<T>()) }
        .to_vec()
}

/// The frame with some bytes changed.
pub(crate) fn set(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = frame.to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    changed
}

/// The frame with another destination MAC.
pub(crate) fn to(dst: Mac, frame: &[u8]) -> Vec<u8> {
    set(frame, 0, &dst.0)
}

/// The frame from another source MAC.
pub(crate) fn from(src: Mac, frame: &[u8]) -> Vec<u8> {
    set(frame, 6, &src.0)
}

pub(crate) fn ipv4(src: [u8; 4], dst: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let eth = EthHeader::new(mac(dst[3]), mac(src[3]), ether::IPV4);
    let mut frame = bytes_of(&eth);
    let header = Ipv4Header::outer(0, 64, (20 + payload.len()) as u16, src, dst);
    frame.extend(bytes_of(&header));
    frame[23] = protocol;
    frame.extend(payload);
    frame
}

pub(crate) fn ipv6(src: Address, dst: Address, (next, hops): (u8, u8), payload: &[u8]) -> Vec<u8> {
    let last = |ca: Address| mac(ca.to_bytes()[15]);
    let mut frame = bytes_of(&EthHeader::new(last(dst), last(src), ether::IPV6));
    let len = payload.len() as u16;
    frame.extend(bytes_of(&Ipv6Header::new(
        (0, 0),
        (next, hops),
        len,
        src,
        dst,
    )));
    frame.extend(payload);
    frame
}

/// A TCP or UDP header; the two agree in what is read.
fn segment(sport: u16, dport: u16) -> [u8; 20] {
    let mut header = [0; 20];
    header[..2].copy_from_slice(&sport.to_be_bytes());
    header[2..4].copy_from_slice(&dport.to_be_bytes());
    header[12] = 0x50;
    header
}

pub(crate) fn tcp_ports(src: [u8; 4], dst: [u8; 4], sport: u16, dport: u16) -> Vec<u8> {
    ipv4(src, dst, ipv4::TCP, &segment(sport, dport))
}

pub(crate) fn tcp(src: [u8; 4], dst: [u8; 4]) -> Vec<u8> {
    tcp_ports(src, dst, 40_000, 80)
}

pub(crate) fn udp(src: [u8; 4], dst: [u8; 4], sport: u16, dport: u16) -> Vec<u8> {
    ipv4(src, dst, ipv4::UDP, &segment(sport, dport))
}

pub(crate) fn tcp6(src: u8, dst: u8) -> Vec<u8> {
    tcp6_between(ca6(src), ca6(dst))
}

pub(crate) fn tcp6_between(src: Address, dst: Address) -> Vec<u8> {
    ipv6(src, dst, (ipv4::TCP, 64), &segment(40_000, 80))
}

/// Eight bytes of an echo or whatever the type says.
pub(crate) fn icmpv4(src: [u8; 4], dst: [u8; 4], kind: u8) -> Vec<u8> {
    ipv4(src, dst, icmp::V4, &[kind, 0, 0, 0, 0, 1, 0, 1])
}

pub(crate) fn icmpv6(src: Address, dst: Address, kind: u8) -> Vec<u8> {
    ipv6(src, dst, (ipv6::ICMP, 64), &[kind, 0, 0, 0, 0, 1, 0, 1])
}

/// A frame of an EtherType that is neither IP nor ARP.
pub(crate) fn lldp(dst: Mac, src: Mac) -> Vec<u8> {
    let mut frame = bytes_of(&EthHeader::new(dst, src, 0x88CC));
    frame.extend([0; 46]);
    frame
}

/// In a tunnel to this host, over the family of `from`.
pub(crate) fn nvgre(vsid: u32, from: impl Into<Address>, inner: &[u8]) -> Vec<u8> {
    let from = from.into();
    let v4 = from.is_v4();
    let what = Tunnelled {
        dst_mac: Mac([2, 0, 0, 0, 1, 1]),
        src_mac: Mac([2, 0, 0, 0, 1, 2]),
        src: from,
        dst: if v4 {
            Address::v4([192, 0, 2, 1])
        } else {
            pa6(1)
        },
        tos: 0,
        ttl: 64,
        gre: GreHeader::nvgre(vsid, 0x42),
        inner_len: inner.len() as u32,
    };
    let mut frame = if v4 {
        bytes_of(&OverV4::new(&what))
    } else {
        bytes_of(&OverV6::new(&what))
    };
    frame.extend(inner);
    frame
}

/// Sets bytes of a packet over IPv4, the outer checksum made right again.
pub(crate) fn set_outer(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let changed = set(&set(frame, at, bytes), 24, &[0; 2]);
    let words: Vec<u16> = changed[14..34]
        .chunks(2)
        .map(|w| u16::from_be_bytes([w[0], w[1]]))
        .collect();
    let words: [u16; 10] = words.try_into().expect("ten words");
    let sum = crate::wire::checksum::sum(words);
    set(&changed, 24, &(!sum).to_be_bytes())
}
