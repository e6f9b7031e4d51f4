//! IP rewrite: a packet bears PAs in place of its CAs between hosts (packet walk W7).
//!
//! There is no outer header and no VSID: the destination PA alone tells the tenant, the CA and the
//! port, the source PA the source CA.

use super::{
    Answer, Deliver, Edit, Halt, Tables,
    egress::next_hop,
    fits_port, mss_of,
    outer::OuterIp,
    parse::{Frame, Headers},
};
use crate::{
    abi::{lookup::LookupRecord, rewrite::RewriteEntry, vport::Vport},
    id::{Address, Mac},
    punt::Punt,
    reason::DropReason,
    wire::{
        checksum,
        ether::{self, EthHeader},
        icmp, ipv4, ipv6,
    },
};

/// The addresses that a packet gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Source.
    pub src: Address,
    /// Destination.
    pub dst: Address,
}

/// A packet for another host, with PAs in place of its CAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The underlay interface.
    pub ifindex: u32,
    /// The PAs.
    pub pair: Pair,
    /// What else changes; the Ethernet header is the one on the wire.
    pub edit: Edit,
}

/// A packet for a port, with CAs in place of its PAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Back {
    /// The port, and what else changes.
    pub deliver: Deliver,
    /// The CAs.
    pub pair: Pair,
}

/// Whether a packet to the record's CA can be carried, where that has a PA of its own.
#[inline(always)]
pub(super) fn carries(headers: &Headers, record: &LookupRecord) -> Result<(), DropReason> {
    let through = record.has(LookupRecord::VIA) || record.has(LookupRecord::L2_ONLY);
    if !headers.kind.is_routable() || headers.dst.is_link_local() || through {
        return Err(DropReason::NatNotCarried);
    }
    Ok(())
}

/// Decides about the addresses of a packet of the port `from`, of which [`super::egress::decide`] says
/// that it gets others: to the PA with this index. A step of its own, for it takes room on the stack.
#[inline(always)]
pub fn egress<T: Tables>(
    tables: &T,
    from: &Vport,
    headers: &Headers,
    (pa_index, mut edit): (u32, Edit),
) -> Result<Rewrite, Halt> {
    let hop = next_hop(tables, pa_index)?;
    let src = own_pa(tables, from, headers.src)?;
    if src.is_v4() != hop.pa.is_v4() {
        return Err(DropReason::NatNoSrcPa.into());
    }
    let station = if from.has(Vport::VM_MAC) {
        from.mac
    } else {
        hop.src_mac
    };
    edit.eth = EthHeader::new(hop.dst_mac, station, headers.eth.ethertype());
    Ok(Rewrite {
        ifindex: hop.ifindex,
        pair: Pair { src, dst: hop.pa },
        edit,
    })
}

/// The PA that a CA of the port has of its own. Those of the first CAs are in the vport itself.
#[inline(always)]
fn own_pa<T: Tables>(tables: &T, from: &Vport, ca: Address) -> Result<Address, DropReason> {
    let [v4, v6] = from.cas;
    let pa = if ca == v4 {
        from.pas[0]
    } else if ca == v6 {
        from.pas[1]
    } else {
        let mut record = LookupRecord::NONE;
        match tables.lookup(from.rdid, ca, &mut record) {
            Answer::Busy => return Err(DropReason::LookupBusy),
            Answer::Found => {}
            Answer::Absent => return Err(DropReason::NatNoSrcPa),
        }
        if !record.has(LookupRecord::REWRITE) || record.mac != from.mac {
            return Err(DropReason::NatNoSrcPa);
        }
        let hop = tables.next_hop(record.pa_index);
        hop.ok_or(DropReason::NatNoSrcPa)?.pa
    };
    if pa.is_unspecified() {
        return Err(DropReason::NatNoSrcPa);
    }
    Ok(pa)
}

/// The port here that a packet which an uplink received is for, if it is for the PA of one; what is not
/// passes. A frame for all is not, whatever address is in it.
#[inline(always)]
pub fn receiver<'t, T: Tables, F: Frame>(
    tables: &'t T,
    frame: &F,
    ip: &OuterIp,
) -> Option<&'t RewriteEntry> {
    let eth: EthHeader = frame.load(0)?;
    if eth.dst.is_group() {
        return None;
    }
    let entry = tables.rewrite(ip.dst)?;
    entry.has(RewriteEntry::LOCAL).then_some(entry)
}

/// Decides about a packet for the PA of a port here.
#[inline(always)]
pub fn ingress<T: Tables>(tables: &T, to: &RewriteEntry, headers: &Headers) -> Result<Back, Halt> {
    if !headers.kind.is_routable() {
        return Err(DropReason::NatNotCarried.into());
    }
    let port = tables.vport(to.ifindex).ok_or(DropReason::NoLocalPort)?;
    // The device may be another port's by now, whose entry is still to come.
    if port.rdid != to.rdid || port.vsid != to.vsid || port.mac != to.mac {
        return Err(DropReason::NoLocalPort.into());
    }
    let from = sender(tables, to, headers)?;
    if from.vsid != to.vsid && port.has(Vport::EXTERNAL_ROUTER) {
        return Err(DropReason::NatSrcUnknown.into());
    }
    fits_port(port, headers.segment)?;
    let mac = if from.vsid == to.vsid {
        from.mac
    } else {
        port.gateway_mac
    };
    let mut edit = Edit::to(headers, to.mac, mac);
    edit.mss = mss_of(port, headers);
    Ok(Back {
        deliver: Deliver {
            ifindex: to.ifindex,
            slot: port.slot,
            peer: port.has(Vport::PEER),
            edit,
        },
        pair: Pair {
            src: from.ca,
            dst: to.ca,
        },
    })
}

/// Whose the source PA is. A station of this host never speaks from the wire. What is no PA of a CA
/// has nothing to say to tenants, but of their packets: its routers' ICMP errors are translated.
#[inline(always)]
fn sender<'t, T: Tables>(
    tables: &'t T,
    to: &RewriteEntry,
    headers: &Headers,
) -> Result<&'t RewriteEntry, Halt> {
    match tables.rewrite(headers.src) {
        Some(from) if from.rdid != to.rdid => Err(DropReason::NatSrcUnknown.into()),
        Some(from) if from.has(RewriteEntry::LOCAL) => Err(DropReason::PaMismatch.into()),
        Some(from) => Ok(from),
        None if headers.is_error() => Err(Halt::ask(Punt::RewriteError, DropReason::NatSrcUnknown)),
        None => Err(DropReason::NatSrcUnknown.into()),
    }
}

/// Whether the host is asked on an uplink who has an address, perhaps a PA of a port here.
#[inline(always)]
pub fn is_question<F: Frame>(frame: &F) -> bool {
    let Some(eth) = frame.load::<EthHeader>(0) else {
        return false;
    };
    if eth.ethertype() != ether::IPV6 {
        return eth.ethertype() == ether::ARP;
    }
    let Some([protocol]) = frame.load::<[u8; 1]>(ether::LEN + 6) else {
        return false;
    };
    if protocol != ipv6::ICMP {
        return false;
    }
    match frame.load::<[u8; 1]>(ether::LEN + ipv6::LEN) {
        Some([kind]) => kind == icmp::SOLICITATION,
        None => false,
    }
}

/// The MAC that the PA has on the wire which is asked about, if it is of a port here and reached by
/// the interface that the question came by.
#[inline(always)]
pub fn answer<T: Tables>(tables: &T, ifindex: u32, headers: &Headers) -> Option<Mac> {
    if !headers.kind.asks() || headers.src == headers.target {
        return None;
    }
    let entry = tables.rewrite(headers.target)?;
    let hop = tables.next_hop(entry.pa_index)?;
    if !entry.has(RewriteEntry::LOCAL) || hop.ifindex != ifindex || entry.ifindex == 0 {
        return None;
    }
    Some(if entry.has(RewriteEntry::VM_MAC) {
        entry.mac
    } else {
        hop.src_mac
    })
}

/// Offset of the checksum that covers the packet's addresses, from its upper-layer header; 0: there
/// is none, as in a later fragment, and of ICMP over IPv4 and SCTP.
#[inline(always)]
pub const fn checksum_at(v4: bool, protocol: u8) -> usize {
    match protocol {
        ipv4::TCP => 16,
        ipv4::UDP | ipv4::UDP_LITE | ipv4::DCCP => 6,
        ipv6::ICMP if !v4 => 2,
        _ => 0,
    }
}

/// What a checksum field holds that is only begun: the sum of the pseudo-header (RFC 768, RFC 8200,
/// section 8.1), which a device is to complete. `len`: bytes of the upper-layer header and what is
/// behind it.
#[inline(always)]
pub fn begun(headers: &Headers, len: u16) -> [u8; 2] {
    let [src, dst] = [headers.src, headers.dst].map(|address| checksum::of_address(&address));
    let protocol = u32::from(headers.protocol);
    checksum::sum_of_words([src, dst, protocol, len.into()]).to_be_bytes()
}

#[cfg(test)]
mod tests;
