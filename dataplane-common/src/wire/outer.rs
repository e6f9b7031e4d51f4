//! What encapsulation puts in front of a tenant's frame: 42 bytes over IPv4, 62 over IPv6.

use super::{
    Wire, ether,
    ether::EthHeader,
    gre,
    gre::GreHeader,
    ipv4::{self, Ipv4Header},
    ipv6::{self, Ipv6Header},
};
use crate::id::{Address, Mac};

/// Bytes by which the tenant's MTU is smaller than that of the path to a PA: the IP header, GRE and
/// the inner Ethernet header.
#[inline(always)]
pub const fn mtu_cost(pa: &Address) -> u16 {
    const V4: u16 = (ipv4::LEN + gre::LEN + ether::LEN) as u16;
    const V6: u16 = (ipv6::LEN + gre::LEN + ether::LEN) as u16;
    if pa.is_v4() { V4 } else { V6 }
}

/// What the outer headers say, whatever family they are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnelled {
    /// MAC of the next hop.
    pub dst_mac: Mac,
    /// MAC of our interface.
    pub src_mac: Mac,
    /// Our PA.
    pub src: Address,
    /// The other host's PA, of the same family.
    pub dst: Address,
    /// TOS or traffic class.
    pub tos: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// VSID and `FlowID`.
    pub gre: GreHeader,
    /// Bytes of the inner frame, layer 2; at most what [`OuterHeaders::MOST`] allows.
    pub inner_len: u32,
}

/// Ethernet, IP and NVGRE headers, as they stand in front of the inner frame.
pub trait OuterHeaders: Wire {
    /// Bytes of all of them.
    const LEN: usize = size_of::<Self>();
    /// Largest inner frame that the length field of the IP header can count.
    const MOST: u32;
    /// Whether the underlay is IPv6.
    const V6: bool;
    /// The IP header.
    type Ip: Wire;
    /// The bytes.
    fn new(what: &Tunnelled) -> Self;
    /// The headers one by one: each is made of words, of which all together are not, for Ethernet's is 14
    /// bytes.
    fn parts(&self) -> (EthHeader, Self::Ip, GreHeader);
}

/// Over an IPv4 underlay.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverV4 {
    /// Towards the next hop.
    pub eth: EthHeader,
    /// From PA to PA.
    pub ip: Ipv4Header,
    /// VSID and `FlowID`.
    pub gre: GreHeader,
}

/// Over an IPv6 underlay.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverV6 {
    /// Towards the next hop.
    pub eth: EthHeader,
    /// From PA to PA.
    pub ip: Ipv6Header,
    /// VSID and `FlowID`.
    pub gre: GreHeader,
}

const _: () = assert!(size_of::<OverV4>() == 42 && size_of::<OverV6>() == 62);
// SAFETY: `repr(C)` of `Wire` types, so alignment one, no padding, any pattern valid.
unsafe impl Wire for OverV4 {}
// SAFETY: as above.
unsafe impl Wire for OverV6 {}

impl OuterHeaders for OverV4 {
    const MOST: u32 = u16::MAX as u32 - (ipv4::LEN + gre::LEN) as u32;
    const V6: bool = false;
    type Ip = Ipv4Header;
    #[inline(always)]
    fn parts(&self) -> (EthHeader, Ipv4Header, GreHeader) {
        (self.eth, self.ip, self.gre)
    }
    #[inline(always)]
    fn new(what: &Tunnelled) -> Self {
        let total = what.inner_len.wrapping_add((ipv4::LEN + gre::LEN) as u32);
        let (src, dst) = (what.src.to_v4(), what.dst.to_v4());
        Self {
            eth: EthHeader::new(what.dst_mac, what.src_mac, ether::IPV4),
            ip: Ipv4Header::outer(what.tos, what.ttl, total as u16, src, dst),
            gre: what.gre,
        }
    }
}

impl OuterHeaders for OverV6 {
    const MOST: u32 = u16::MAX as u32 - gre::LEN as u32;
    const V6: bool = true;
    type Ip = Ipv6Header;
    #[inline(always)]
    fn parts(&self) -> (EthHeader, Ipv6Header, GreHeader) {
        (self.eth, self.ip, self.gre)
    }
    /// The flow label is the `FlowID`, for routers that hash it (RFC 6438).
    #[inline(always)]
    fn new(what: &Tunnelled) -> Self {
        let payload = what.inner_len.wrapping_add(gre::LEN as u32);
        let class = (what.tos, u32::from(what.gre.flow_id()));
        let next = (ipv4::GRE, what.ttl);
        Self {
            eth: EthHeader::new(what.dst_mac, what.src_mac, ether::IPV6),
            ip: Ipv6Header::new(class, next, payload as u16, what.src, what.dst),
            gre: what.gre,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::testing::{bytes_of, pa6};

    fn tunnelled(src: Address, dst: Address, inner_len: u32) -> Tunnelled {
        Tunnelled {
            dst_mac: Mac([2, 0, 0, 0, 0, 2]),
            src_mac: Mac([2, 0, 0, 0, 0, 1]),
            src,
            dst,
            tos: 0xB9,
            ttl: 64,
            gre: GreHeader::nvgre(0x00AB_CDEF, 0x42),
            inner_len,
        }
    }

    /// RFC 7637, section 3.2: no checksum, no sequence number, VSID and `FlowID` in the key.
    const GRE: [u8; 8] = [0x20, 0, 0x65, 0x58, 0xAB, 0xCD, 0xEF, 0x42];

    #[test]
    fn over_ipv4() {
        let (src, dst) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        let outer = OverV4::new(&tunnelled(src.into(), dst.into(), 100));
        let bytes = bytes_of(&outer);
        assert_eq!(bytes[..14], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
        assert_eq!(bytes[14..24], [0x45, 0xB9, 0, 128, 0, 0, 0x40, 0, 64, 47]);
        assert!(outer.ip.checksum_ok());
        assert_eq!(bytes[26..34], [src, dst].concat());
        assert_eq!(bytes[34..], GRE);
        let most = OverV4::new(&tunnelled(src.into(), dst.into(), OverV4::MOST));
        assert_eq!(most.ip.total_len(), u16::MAX);
    }

    #[test]
    fn over_ipv6() {
        let outer = OverV6::new(&tunnelled(pa6(1), pa6(2), 100));
        let bytes = bytes_of(&outer);
        assert_eq!(
            bytes[..14],
            [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xDD]
        );
        // Class 0xB9, the FlowID as flow label, 108 bytes behind.
        assert_eq!(bytes[14..22], [0x6B, 0x90, 0, 0x42, 0, 108, 47, 64]);
        assert_eq!(
            bytes[22..54],
            [pa6(1).to_bytes(), pa6(2).to_bytes()].concat()
        );
        assert_eq!(bytes[54..], GRE);
        let most = OverV6::new(&tunnelled(pa6(1), pa6(2), OverV6::MOST));
        assert_eq!(most.ip.payload_len(), u16::MAX);
    }

    #[test]
    fn the_tenants_mtu_is_42_or_62_bytes_smaller() {
        assert_eq!(mtu_cost(&Address::v4([192, 0, 2, 1])), 42);
        assert_eq!(mtu_cost(&pa6(1)), 62);
    }
}
