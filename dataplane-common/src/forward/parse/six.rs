//! The part of the parser that is IPv6's: extension headers and neighbour messages.

use super::{Frame, Headers, Kind, upper};
use crate::{
    id::Address,
    reason::DropReason,
    wire::{
        ether,
        icmp::{self, IcmpHeader, LinkLayerOption, NeighbourMessage},
        ipv6::{self, FragmentHeader, Ipv6Start},
    },
};

/// Extension headers that are read, one behind the other; more are refused, lest a neighbour
/// message hides behind them.
pub(super) const EXTENSIONS: u32 = 4;

#[inline(always)]
pub(super) fn ipv6<F: Frame>(
    frame: &F,
    offset: usize,
    headers: &mut Headers,
) -> Result<(), DropReason> {
    let at = offset.wrapping_add(ether::LEN);
    let header: Ipv6Start = frame.load(at).ok_or(DropReason::Truncated)?;
    headers.ttl = header.hop_limit();
    headers.tos = header.tos();
    headers.protocol = header.next_header();
    let whole = u32::from(header.payload_len()).wrapping_add(ipv6::LEN as u32);
    let version = header.version();
    // One after the other: a program has no room for a whole header on its stack.
    headers.src = address(frame, at.wrapping_add(ipv6::SRC))?;
    headers.dst = address(frame, at.wrapping_add(ipv6::DST))?;
    if version != 6 || headers.src.is_v4() || headers.dst.is_v4() {
        return Err(DropReason::IpMalformed);
    }
    if whole > headers.segment {
        return Err(DropReason::Truncated);
    }
    headers.kind = Kind::Ipv6;
    headers.l4 = (ether::LEN + ipv6::LEN) as u32;
    for _ in 0..EXTENSIONS {
        let l4 = headers.upper(offset);
        let shift = match headers.protocol {
            ipv6::FRAGMENT => 3,
            ipv6::HOP_BY_HOP | ipv6::ROUTING | ipv6::DESTINATION => 0,
            ipv6::AUTHENTICATION => 2,
            _ => break,
        };
        let extension: FragmentHeader = frame.load(l4).ok_or(DropReason::Truncated)?;
        headers.protocol = extension.next_header;
        let units = u32::from(extension.units());
        headers.l4 = headers.l4.wrapping_add(match shift {
            3 => 8,
            2 => units.wrapping_add(2) << 2,
            _ => units.wrapping_add(1) << 3,
        });
        if shift == 3 {
            headers.fragment = true;
            headers.later = extension.is_later();
            if headers.later {
                break;
            }
        }
    }
    if headers.later {
        return Ok(());
    }
    if is_extension(headers.protocol) {
        return Err(DropReason::ExtensionHeaders);
    }
    if headers.protocol == ipv6::ICMP {
        let end = (ether::LEN as u32).wrapping_add(whole);
        neighbour(frame, offset, headers, end)?;
    }
    upper(frame, offset, headers)
}

#[inline(always)]
fn address<F: Frame>(frame: &F, at: usize) -> Result<Address, DropReason> {
    let bytes: [u8; 16] = frame.load(at).ok_or(DropReason::Truncated)?;
    Ok(Address::v6(bytes))
}

#[inline(always)]
const fn is_extension(next: u8) -> bool {
    matches!(
        next,
        ipv6::FRAGMENT
            | ipv6::HOP_BY_HOP
            | ipv6::ROUTING
            | ipv6::DESTINATION
            | ipv6::AUTHENTICATION
    )
}

/// Reads a neighbour message, if it is one (RFC 4861, section 7.1; never in fragments: RFC 6980).
/// `end`: of the packet, from the Ethernet header. One option is all that it may have, lest another
/// MAC hides behind it.
#[inline(always)]
fn neighbour<F: Frame>(
    frame: &F,
    offset: usize,
    headers: &mut Headers,
    end: u32,
) -> Result<(), DropReason> {
    let at = headers.upper(offset);
    let icmp: IcmpHeader = frame.load(at).ok_or(DropReason::Truncated)?;
    let kind = match icmp.kind {
        icmp::SOLICITATION => Kind::Solicitation,
        icmp::ADVERTISEMENT => Kind::Advertisement,
        _ => return Ok(()),
    };
    let message: NeighbourMessage = frame.load(at).ok_or(DropReason::Truncated)?;
    let target = message.target();
    if headers.fragment
        || headers.ttl != 255
        || icmp.code != 0
        || target.is_group()
        || target.is_v4()
        || target.is_unspecified()
    {
        return Err(DropReason::NeighbourMalformed);
    }
    headers.kind = kind;
    headers.target = target;
    headers.station = headers.eth.src;
    let options = headers.l4.wrapping_add(icmp::NEIGHBOUR_LEN as u32);
    if end == options {
        return Ok(());
    }
    let option = at.wrapping_add(icmp::NEIGHBOUR_LEN);
    let option: LinkLayerOption = frame.load(option).ok_or(DropReason::Truncated)?;
    if end != options.wrapping_add(option.size()) {
        return Err(DropReason::NeighbourMalformed);
    }
    if option.is_valid() {
        headers.station = option.mac;
    }
    Ok(())
}
