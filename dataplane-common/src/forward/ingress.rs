//! underlay -> vport (packet walk W9). Each function is one step of
//! `pipeline::ingress`, in its order.

use super::{
    Deliver, Halt, Tables, ecn, fits_port,
    parse::{Headers, Net},
};
use crate::{
    abi::{config::Config, lookup::LookupRecord, pa, vport::Vport, vsid::VirtualSubnet},
    id::Vsid,
    punt::Punt,
    reason::DropReason,
    wire::{
        ether::{self, EthHeader},
        gre::{self, GreHeader},
        ipv4::{self, Ipv4Header},
    },
};

/// What the outer headers of an NVGRE packet say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Outer source.
    pub pa: [u8; 4],
    /// Outer TOS.
    pub tos: u8,
    /// VSID, a tenant's.
    pub vsid: u32,
    /// Index of its routing domain.
    pub rdid: u32,
    /// Of its [`VirtualSubnet`].
    pub flags: u32,
}

/// A frame out of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingress<'t> {
    /// Where it goes.
    pub deliver: Deliver<'t>,
    /// The inner IPv4 header with congestion marks carried over, when that changed it.
    pub marked: Option<Ipv4Header>,
}

/// Whether the IPv4 packet is GRE to one of our PAs; anything else is the host's.
#[inline(always)]
pub fn is_ours<T: Tables>(tables: &T, ip: &Ipv4Header) -> bool {
    ip.version() == 4 && ip.protocol() == ipv4::GRE && tables.is_local_pa(&pa::from_v4(ip.dst))
}

/// Where the GRE header is. A later fragment has none, and does not say whose it is.
#[inline(always)]
pub fn gre_offset(ip: &Ipv4Header) -> Result<usize, DropReason> {
    if ip.is_later_fragment() {
        return Err(DropReason::OuterFrag);
    }
    if ip.header_len() < ipv4::LEN as u16 {
        return Err(DropReason::OuterMalformed);
    }
    Ok(ether::LEN.wrapping_add(ip.header_len() as usize))
}

/// The outer IPv4 header of an NVGRE packet is sound: no options, and as long as
/// the frame, so that nothing behind the packet is taken for the tenant's.
/// `len`: bytes of the frame. `verify`: whether the checksum is ours to check (at
/// XDP, before the stack).
#[inline(always)]
pub fn outer_valid(ip: &Ipv4Header, len: u32, verify: bool) -> Result<(), DropReason> {
    let total_len = u32::from(ip.total_len());
    if ip.header_len() != ipv4::LEN as u16 || total_len != len.wrapping_sub(ether::LEN as u32) {
        return Err(DropReason::OuterMalformed);
    }
    if verify && !ip.checksum_ok() {
        return Err(DropReason::OuterChecksum);
    }
    Ok(())
}

/// Whether the GRE packet is NVGRE; `false` is another protocol's, for the host.
#[inline(always)]
pub fn is_nvgre<T: Tables>(
    tables: &T,
    ip: &Ipv4Header,
    gre: &GreHeader,
) -> Result<bool, DropReason> {
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
    if ip.is_fragment() {
        return Err(DropReason::OuterFrag);
    }
    Ok(true)
}

/// The VSID is a tenant's, an inner Ethernet header is there and untagged, and
/// this host takes part in the subnet.
#[inline(always)]
pub fn tunnel<T: Tables>(
    tables: &T,
    ip: &Ipv4Header,
    gre: &GreHeader,
    inner: Option<EthHeader>,
) -> Result<Tunnel, DropReason> {
    let vsid = gre.vsid_bits();
    if vsid < Vsid::MIN {
        return Err(DropReason::VsidReserved);
    }
    if vsid == Vsid::VENDOR {
        return Err(DropReason::VsidVendor);
    }
    let inner_len = ip
        .total_len()
        .wrapping_sub((ipv4::LEN as u16).wrapping_add(gre::LEN as u16));
    let eth = match inner {
        Some(eth) if inner_len >= ether::LEN as u16 => eth,
        _ => return Err(DropReason::InnerShort),
    };
    if ether::is_tag(eth.ethertype()) {
        return Err(DropReason::InnerVlan);
    }
    let subnet = tables.subnet(vsid).ok_or(DropReason::VsidUnknown)?;
    Ok(Tunnel {
        pa: ip.src,
        tos: ip.tos(),
        vsid,
        rdid: subnet.rdid,
        flags: subnet.flags,
    })
}

/// Decides about the inner frame.
#[inline(always)]
pub fn ingress<'t, T: Tables>(
    tables: &'t T,
    tunnel: &Tunnel,
    headers: &Headers,
) -> Result<Ingress<'t>, Halt> {
    let (src, dst) = match &headers.net {
        Net::Ipv4 { header, .. } => (header.src, header.dst),
        Net::Arp(arp) if arp.is_valid() => (arp.sender, arp.target),
        Net::Arp(_) => return Err(DropReason::ArpMalformed.into()),
    };
    if headers.eth.dst.is_group() {
        return Err(DropReason::BcastDisabled.into());
    }
    let ifindex = tables
        .local_port(tunnel.vsid, headers.eth.dst)
        .ok_or(DropReason::NoLocalPort)?;
    let port = tables.vport(ifindex).ok_or(DropReason::NoLocalPort)?;
    has_ca(tables, port, dst)?;
    fits_port(port, headers.segment)?;
    // Last, for only a packet that somebody here would get is worth a question about its sender.
    pa_valid(tables, tunnel, src)?;
    Ok(Ingress {
        deliver: Deliver {
            ifindex,
            port,
            dst_mac: headers.eth.dst,
        },
        marked: carry_congestion(tunnel, headers)?,
    })
}

/// The outer source is the PA of the inner source's lookup record; a CA of this
/// host never comes from the wire.
#[inline(always)]
fn pa_valid<T: Tables>(tables: &T, tunnel: &Tunnel, src: [u8; 4]) -> Result<(), Halt> {
    let Some(record) = tables.lookup(tunnel.rdid, src) else {
        return Err(if tunnel.flags & VirtualSubnet::ON_DEMAND == 0 {
            DropReason::SrcUnknown.into()
        } else {
            Halt::ask(Punt::SourceMiss, DropReason::PuntFailed)
        });
    };
    if record.has(LookupRecord::NEGATIVE) {
        return Err(DropReason::SrcUnknown.into());
    }
    let hop = tables
        .next_hop(record.pa_index)
        .ok_or(DropReason::PaMismatch)?;
    if record.has(LookupRecord::LOCAL) || hop.pa != pa::from_v4(tunnel.pa) {
        return Err(DropReason::PaMismatch.into());
    }
    Ok(())
}

#[inline(always)]
fn has_ca<T: Tables>(tables: &T, port: &Vport, ca: [u8; 4]) -> Result<(), DropReason> {
    if super::egress::owns(tables, port, ca) {
        Ok(())
    } else {
        Err(DropReason::CaPortMismatch)
    }
}

#[inline(always)]
fn carry_congestion(tunnel: &Tunnel, headers: &Headers) -> Result<Option<Ipv4Header>, DropReason> {
    let Net::Ipv4 { header, .. } = &headers.net else {
        return Ok(None);
    };
    let tos = ecn::inner_tos(tunnel.tos, header.tos())?;
    Ok((tos != header.tos()).then(|| header.with_tos(tos)))
}

#[cfg(test)]
mod tests;
