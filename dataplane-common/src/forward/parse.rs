//! Bytes -> header values. The only reader of packets; it never trusts a length.

mod kind;
mod six;

use core::hint::black_box;

use crate::{
    id::{Address, Mac},
    reason::DropReason,
    wire::{
        Wire, arp,
        arp::ArpPacket,
        ether,
        ether::EthHeader,
        icmp::{self, IcmpHeader},
        ipv4::{self, Ipv4Header},
        ipv6,
    },
};

pub use kind::Kind;

/// A packet that can be read.
#[allow(
    clippy::len_without_is_empty,
    reason = "a frame without bytes does not exist"
)]
pub trait Frame {
    /// Bytes of the whole frame, layer 2.
    fn len(&self) -> u32;
    /// Payload bytes of each segment of a GSO super-packet; 0 for any other frame.
    fn gso_size(&self) -> u32;
    /// A copy of the bytes at `offset`, `None` when the frame is shorter.
    fn load<T: Wire>(&self, offset: usize) -> Option<T>;
    /// The same, copied to where the caller wants it: what goes over the stack the kernel's verifier
    /// remembers.
    #[inline(always)]
    fn load_to<T: Wire>(&self, offset: usize, to: &mut T) -> Option<()> {
        *to = self.load(offset)?;
        Some(())
    }
}

/// Bits that the offset of an upper-layer header has: IPv6 and [`six::EXTENSIONS`] headers of 2 KiB.
const UPPER: u32 = 0x3FFF;

/// The headers of a tenant's frame. Flat: the kernel's verifier refuses a copy of a half-written enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Ethernet, untagged.
    pub eth: EthHeader,
    /// Bytes of the frame, layer 2.
    pub len: u32,
    /// Bytes of the largest layer-3 packet that the frame becomes on the wire.
    pub segment: u32,
    /// What it is.
    pub kind: Kind,
    /// Upper-layer protocol; 0 for what is not IP.
    pub protocol: u8,
    /// TTL or hop limit; 0 for what is not IP.
    pub ttl: u8,
    /// TOS or traffic class; 0 for what is not IP.
    pub tos: u8,
    /// Whether the IP packet is a fragment.
    pub fragment: bool,
    /// Whether it is one that does not begin the datagram, so that there is no upper-layer header.
    pub later: bool,
    /// Type of an ICMP or `ICMPv6` message; 0 for anything else and for fragments.
    pub icmp: u8,
    /// Offset of the upper-layer header from the Ethernet header.
    pub l4: u32,
    /// Source CA; ARP's sender.
    pub src: Address,
    /// Destination CA; ARP's target.
    pub dst: Address,
    /// Of a neighbour message: the CA that is asked about or told of. Of an IPv4 packet, whatever was
    /// there before.
    pub target: Address,
    /// Of a neighbour message: the MAC that its sender says it has. As [`Headers::target`].
    pub station: Mac,
    /// Source and destination port in wire order; zero for fragments and
    /// for protocols without ports.
    pub ports: [u8; 4],
}

impl Headers {
    /// Nothing was read.
    pub const NONE: Self = Self {
        eth: EthHeader::new(Mac([0; 6]), Mac([0; 6]), 0),
        len: 0,
        segment: 0,
        kind: Kind::NonIp,
        protocol: 0,
        ttl: 0,
        tos: 0,
        fragment: false,
        later: false,
        icmp: 0,
        l4: 0,
        src: Address::UNSPECIFIED,
        dst: Address::UNSPECIFIED,
        target: Address::UNSPECIFIED,
        station: Mac([0; 6]),
        ports: [0; 4],
    };

    /// Whatever the Ethernet header does not tell. Field by field: the whole at once would be copied
    /// from a constant, by way of the stack, and zeroes that the compiler knows are written by a call.
    #[inline(always)]
    fn clear(&mut self) {
        let zero = black_box(0_u32);
        let nobody = Address::repeated(zero);
        let [a, b, c, d] = zero.to_ne_bytes();
        self.kind = Kind::NonIp;
        self.protocol = 0;
        self.ttl = 0;
        self.tos = 0;
        self.fragment = false;
        self.later = false;
        self.icmp = 0;
        self.l4 = 0;
        self.src = nobody;
        self.dst = nobody;
        self.target = nobody;
        self.station = Mac([a, b, c, d, a, b]);
        self.ports = [a, b, c, d];
    }

    /// Where the upper-layer header of a frame at `offset` is. Bounded here, where the verifier sees
    /// it: it knows nothing of a value that was in memory.
    #[inline(always)]
    pub const fn upper(&self, offset: usize) -> usize {
        offset.wrapping_add((self.l4 & UPPER) as usize)
    }

    /// Whether it is an echo request.
    #[inline(always)]
    pub const fn is_echo_request(&self) -> bool {
        match self.kind {
            Kind::Ipv4 => self.protocol == icmp::V4 && self.icmp == icmp::ECHO_V4,
            Kind::Ipv6 => self.protocol == ipv6::ICMP && self.icmp == icmp::ECHO_V6,
            Kind::ArpRequest
            | Kind::ArpReply
            | Kind::Solicitation
            | Kind::Advertisement
            | Kind::NonIp => false,
        }
    }

    /// Whether it is an ICMP error, which quotes the packet that it is about.
    #[inline(always)]
    pub const fn is_error(&self) -> bool {
        let [a, b, c, d] = icmp::ERRORS_V4;
        match self.kind {
            Kind::Ipv4 => {
                self.protocol == icmp::V4
                    && (self.icmp == a || self.icmp == b || self.icmp == c || self.icmp == d)
            }
            Kind::Ipv6 => {
                self.protocol == ipv6::ICMP && !self.fragment && self.icmp < icmp::INFORMATIONAL_V6
            }
            Kind::ArpRequest
            | Kind::ArpReply
            | Kind::Solicitation
            | Kind::Advertisement
            | Kind::NonIp => false,
        }
    }

    /// Whether it asks for routers.
    #[inline(always)]
    pub fn is_router_solicitation(&self) -> bool {
        self.kind == Kind::Ipv6
            && self.protocol == ipv6::ICMP
            && self.icmp == icmp::ROUTER_SOLICITATION
    }

    /// Whether it comes from a DHCP server.
    #[inline(always)]
    pub fn is_from_dhcp_server(&self) -> bool {
        const SERVER_TO_CLIENT: [u8; 4] = [0, 67, 0, 68];
        self.kind == Kind::Ipv4 && self.protocol == ipv4::UDP && self.ports == SERVER_TO_CLIENT
    }
}

/// Reads the frame that begins at `offset`: the tenant's own frame at 0, the
/// inner frame of a tunnelled packet behind the outer headers.
#[inline(always)]
pub fn headers<F: Frame>(frame: &F, offset: usize) -> Result<Headers, DropReason> {
    let mut headers = Headers::NONE;
    read(frame, offset, &mut headers)?;
    Ok(headers)
}

/// The same, into a place that the caller has: programs have little room on the stack. What is there
/// after an error means nothing.
#[inline(always)]
pub fn read<F: Frame>(frame: &F, offset: usize, headers: &mut Headers) -> Result<(), DropReason> {
    let loaded = frame.load_to(offset, &mut headers.eth);
    loaded.ok_or(DropReason::Truncated)?;
    let len = frame.len().wrapping_sub(offset as u32);
    headers.len = len;
    headers.segment = len.wrapping_sub(ether::LEN as u32);
    let ethertype = headers.eth.ethertype();
    if ethertype == ether::IPV4 {
        return ipv4(frame, offset, headers);
    }
    headers.clear();
    match ethertype {
        ether::IPV6 => six::ipv6(frame, offset, headers),
        ether::ARP => arp(frame, offset, headers),
        tag if ether::is_tag(tag) => Err(DropReason::InnerVlan),
        _ => Ok(()),
    }
}

#[inline(always)]
fn arp<F: Frame>(frame: &F, offset: usize, headers: &mut Headers) -> Result<(), DropReason> {
    let at = offset.wrapping_add(ether::LEN);
    let arp: ArpPacket = frame.load(at).ok_or(DropReason::Truncated)?;
    if !arp.is_valid() {
        return Err(DropReason::ArpMalformed);
    }
    headers.kind = if arp.is_request() {
        Kind::ArpRequest
    } else {
        Kind::ArpReply
    };
    headers.segment = arp::LEN as u32;
    headers.src = Address::v4(arp.sender);
    headers.dst = Address::v4(arp.target);
    headers.target = headers.dst;
    headers.station = arp.sender_mac;
    Ok(())
}

#[inline(always)]
fn ipv4<F: Frame>(frame: &F, offset: usize, headers: &mut Headers) -> Result<(), DropReason> {
    let at = offset.wrapping_add(ether::LEN);
    let header: Ipv4Header = frame.load(at).ok_or(DropReason::Truncated)?;
    let header_len = header.header_len();
    if header.version() != 4 || header_len < ipv4::LEN as u16 || header.total_len() < header_len {
        return Err(DropReason::IpMalformed);
    }
    if u32::from(header.total_len()) > headers.segment {
        return Err(DropReason::Truncated);
    }
    headers.kind = Kind::Ipv4;
    headers.protocol = header.protocol();
    headers.ttl = header.ttl();
    headers.tos = header.tos();
    headers.fragment = header.is_fragment();
    headers.later = header.is_later_fragment();
    headers.icmp = 0;
    headers.ports = [0; 4];
    headers.src = Address::v4(header.src);
    headers.dst = Address::v4(header.dst);
    headers.l4 = (ether::LEN as u32).wrapping_add(u32::from(header_len));
    upper(frame, offset, headers)
}

/// Ports or ICMP type, and how large the segments of a super-packet are.
#[inline(always)]
fn upper<F: Frame>(frame: &F, offset: usize, headers: &mut Headers) -> Result<(), DropReason> {
    let at = headers.upper(offset);
    if !headers.fragment {
        match headers.protocol {
            ipv4::TCP | ipv4::UDP => {
                headers.ports = frame.load(at).ok_or(DropReason::Truncated)?;
            }
            icmp::V4 | ipv6::ICMP => {
                let icmp: IcmpHeader = frame.load(at).ok_or(DropReason::Truncated)?;
                headers.icmp = icmp.kind;
            }
            _ => {}
        }
    }
    let payload = frame.gso_size();
    if payload != 0 {
        headers.segment = headers
            .l4
            .wrapping_sub(ether::LEN as u32)
            .wrapping_add(l4_header_len(frame, at, headers.protocol)?)
            .wrapping_add(payload);
    }
    Ok(())
}

/// Bytes of the header that every segment of a super-packet repeats.
#[inline(always)]
fn l4_header_len<F: Frame>(frame: &F, l4: usize, protocol: u8) -> Result<u32, DropReason> {
    if protocol != ipv4::TCP {
        return Ok(8);
    }
    let [offset]: [u8; 1] = frame
        .load(l4.wrapping_add(12))
        .ok_or(DropReason::Truncated)?;
    Ok(u32::from(offset >> 4) << 2)
}

#[cfg(test)]
mod tests;
