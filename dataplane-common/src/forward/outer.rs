//! The outer headers of what an uplink received (packet walk W9). Each function is one step of
//! `pipeline::ingress`, in its order.

use super::{Tables, parse::Frame};
use crate::{
    abi::config::Config,
    id::{Address, Mac, Vsid},
    reason::DropReason,
    wire::{
        ether::{self, EthHeader},
        gre::{self, GreHeader},
        icmp::{self, IcmpHeader},
        ipv4::{self, Ipv4Header},
        ipv6::{self, FragmentHeader, Ipv6Header},
        outer::{OverV4, OverV6},
    },
};

/// What the outer IP header says, whatever family it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OuterIp {
    /// Source.
    pub src: Address,
    /// Destination.
    pub dst: Address,
    /// TOS or traffic class.
    pub tos: u8,
    /// What it carries.
    pub protocol: u8,
    /// Whether it is a fragment.
    pub fragment: bool,
    /// Whether it is one that does not begin the datagram.
    pub later: bool,
    /// Bytes of the header, options included; without the fragment header.
    pub header_len: u32,
    /// Bytes of the packet.
    pub total_len: u32,
}

/// What the outer headers of an NVGRE packet say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Outer source.
    pub pa: Address,
    /// Outer TOS or traffic class.
    pub tos: u8,
    /// VSID, a tenant's.
    pub vsid: u32,
    /// Index of its routing domain.
    pub rdid: u32,
    /// Of its [`crate::abi::vsid::VirtualSubnet`].
    pub flags: u32,
    /// Scope of its routes.
    pub routes: u32,
    /// Device of the local port that has the inner destination MAC; 0: none has.
    pub port: u32,
}

impl Tunnel {
    /// Bytes in front of the inner frame.
    #[inline(always)]
    pub const fn outer_len(&self) -> usize {
        if self.pa.is_v4() {
            size_of::<OverV4>()
        } else {
            size_of::<OverV6>()
        }
    }
}

/// The outer IP header; `None`: there is none.
#[inline(always)]
pub fn ip<F: Frame>(frame: &F) -> Option<OuterIp> {
    let eth: EthHeader = frame.load(0)?;
    match eth.ethertype() {
        ether::IPV4 => {
            let ip: Ipv4Header = frame.load(ether::LEN)?;
            let found = OuterIp {
                src: Address::v4(ip.src),
                dst: Address::v4(ip.dst),
                tos: ip.tos(),
                protocol: ip.protocol(),
                fragment: ip.is_fragment(),
                later: ip.is_later_fragment(),
                header_len: u32::from(ip.header_len()),
                total_len: u32::from(ip.total_len()),
            };
            (ip.version() == 4).then_some(found)
        }
        ether::IPV6 => {
            let ip: Ipv6Header = frame.load(ether::LEN)?;
            let mut found = OuterIp {
                src: ip.src(),
                dst: ip.dst(),
                tos: ip.tos(),
                protocol: ip.next_header(),
                fragment: false,
                later: false,
                header_len: ipv6::LEN as u32,
                total_len: u32::from(ip.payload_len()).wrapping_add(ipv6::LEN as u32),
            };
            if found.protocol == ipv6::FRAGMENT {
                let fragment: FragmentHeader = frame.load(ether::LEN + ipv6::LEN)?;
                found.protocol = fragment.next_header;
                found.fragment = true;
                found.later = fragment.is_later();
            }
            let mapped = found.src.is_v4() || found.dst.is_v4();
            (ip.version() == 6 && !mapped).then_some(found)
        }
        _ => None,
    }
}

/// Whether the packet is GRE to one of our PAs; anything else is the host's.
#[inline(always)]
pub fn is_ours<T: Tables>(tables: &T, ip: &OuterIp) -> bool {
    ip.protocol == ipv4::GRE && tables.is_local_pa(ip.dst)
}

/// Whether the packet tells one of our PAs that GRE was too big for the path (RFC 1191, RFC 8201).
#[inline(always)]
pub fn is_too_big<T: Tables, F: Frame>(tables: &T, frame: &F, ip: &OuterIp) -> bool {
    let (kind, code, protocol) = if ip.dst.is_v4() { (3, 4, 9) } else { (2, 0, 6) };
    let icmp = if ip.dst.is_v4() { icmp::V4 } else { ipv6::ICMP };
    if ip.protocol != icmp || ip.fragment || ip.header_len < ipv4::LEN as u32 {
        return false;
    }
    let at = ether::LEN.wrapping_add(ip.header_len as usize);
    let told = match frame.load::<IcmpHeader>(at) {
        Some(message) => message.kind == kind && message.code == code,
        None => false,
    };
    let quoted: Option<[u8; 1]> = frame.load(at.wrapping_add(8).wrapping_add(protocol));
    told && quoted == Some([ipv4::GRE]) && tables.is_local_pa(ip.dst)
}

/// Where the GRE header is. A later fragment has none, and does not say whose it is.
#[inline(always)]
pub fn gre_offset(ip: &OuterIp) -> Result<usize, DropReason> {
    if ip.later {
        return Err(DropReason::OuterFrag);
    }
    if ip.header_len < ipv4::LEN as u32 {
        return Err(DropReason::OuterMalformed);
    }
    let fragment = if ip.fragment && !ip.dst.is_v4() {
        size_of::<FragmentHeader>()
    } else {
        0
    };
    Ok(ether::LEN
        .wrapping_add(ip.header_len as usize)
        .wrapping_add(fragment))
}

/// Whether the GRE packet is NVGRE; `false` is another protocol's, for the host.
#[inline(always)]
pub fn is_nvgre<T: Tables>(tables: &T, ip: &OuterIp, gre: &GreHeader) -> Result<bool, DropReason> {
    if gre.protocol() != gre::PROTOCOL {
        let config = tables.config().unwrap_or(&Config::DEFAULT);
        return if config.drop_foreign_gre == 0 {
            Ok(false)
        } else {
            Err(DropReason::ForeignGre)
        };
    }
    if gre.flags() != gre::FLAGS {
        return Err(DropReason::DecapBadGre);
    }
    if ip.fragment {
        return Err(DropReason::OuterFrag);
    }
    Ok(true)
}

/// The outer header of an NVGRE packet is sound: no options, and as long as
/// the frame, so that nothing behind the packet is taken for the tenant's.
/// `verify`: whether the IPv4 checksum is ours to check (at XDP, before the stack).
#[inline(always)]
pub fn valid<F: Frame>(frame: &F, ip: &OuterIp, verify: bool) -> Result<(), DropReason> {
    let v4 = ip.dst.is_v4();
    let header = if v4 { ipv4::LEN } else { ipv6::LEN } as u32;
    if ip.header_len != header || ip.total_len != frame.len().wrapping_sub(ether::LEN as u32) {
        return Err(DropReason::OuterMalformed);
    }
    if verify && v4 {
        let ip: Ipv4Header = frame.load(ether::LEN).ok_or(DropReason::Truncated)?;
        if !ip.checksum_ok() {
            return Err(DropReason::OuterChecksum);
        }
    }
    Ok(())
}

/// What the inner Ethernet header says, as far as it matters before the inner frame is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// A word that is always written, for the verifier refuses a guess at the value of an absent header.
    ethertype: u32,
    /// Destination.
    dst: Mac,
}

/// No inner Ethernet header.
const NO_INNER: u32 = u32::MAX;

/// What the Ethernet header says that stands behind the GRE header at `gre`.
#[inline(always)]
pub fn inner<F: Frame>(frame: &F, gre: usize) -> Inner {
    let inner: Option<EthHeader> = frame.load(gre.wrapping_add(gre::LEN));
    let (ethertype, dst) = match inner {
        Some(eth) => (u32::from(eth.ethertype()), eth.dst),
        None => (NO_INNER, Mac([0; 6])),
    };
    Inner {
        ethertype: core::hint::black_box(ethertype),
        dst,
    }
}

/// The VSID is a tenant's, an inner Ethernet header is there and untagged, and
/// this host takes part in the subnet. What there is to know of that is in the port, too, that the
/// frame is for; only of a frame that is for none, the subnet is looked up.
#[inline(always)]
pub fn tunnel<T: Tables>(
    tables: &T,
    ip: &OuterIp,
    gre: &GreHeader,
    inner: &Inner,
) -> Result<Tunnel, DropReason> {
    let vsid = gre.vsid_bits();
    if vsid < Vsid::MIN {
        return Err(DropReason::VsidReserved);
    }
    if vsid == Vsid::VENDOR {
        return Err(DropReason::VsidVendor);
    }
    let inner_len = ip
        .total_len
        .wrapping_sub(ip.header_len)
        .wrapping_sub(gre::LEN as u32);
    if inner.ethertype == NO_INNER || inner_len < ether::LEN as u32 || inner_len > ip.total_len {
        return Err(DropReason::InnerShort);
    }
    if ether::is_tag(inner.ethertype as u16) {
        return Err(DropReason::InnerVlan);
    }
    let mut tunnel = Tunnel {
        pa: ip.src,
        tos: ip.tos,
        vsid,
        rdid: 0,
        flags: 0,
        routes: 0,
        port: 0,
    };
    if !inner.dst.is_group()
        && let Some(ifindex) = tables.local_port(vsid, inner.dst)
        && let Some(port) = tables.vport(ifindex)
        && port.vsid == vsid
    {
        tunnel.rdid = port.rdid;
        tunnel.flags = port.of_subnet();
        tunnel.routes = port.routes;
        tunnel.port = ifindex;
        return Ok(tunnel);
    }
    let subnet = tables.subnet(vsid).ok_or(DropReason::VsidUnknown)?;
    tunnel.rdid = subnet.rdid;
    tunnel.flags = subnet.flags;
    tunnel.routes = subnet.routes;
    Ok(tunnel)
}

#[cfg(test)]
mod tests;
