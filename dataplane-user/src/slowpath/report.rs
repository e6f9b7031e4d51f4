//! What a router of the underlay reports of a packet whose addresses were rewritten, in the words of
//! its sender (RFC 792, RFC 4443; for NATs in general: RFC 5508, section 4).

use std::net::IpAddr;

use dataplane_common::{
    forward::rewrite::checksum_at,
    id::Address,
    wire::{checksum::Delta, icmp, ipv4, ipv6},
};
use etherparse::{icmpv4, icmpv6};

use super::packet::{Packet, Part, is_host};

/// Bytes of the upper layer that every report quotes (RFC 792).
const LEAST: usize = 8;
/// Offset of the checksum in an IPv4 header, of its protocol, and of its addresses.
const CHECKSUM_V4: usize = 10;
const PROTOCOL_V4: usize = 9;
const SRC_V4: usize = 12;
const DST_V4: usize = 16;

/// An ICMP error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report<'f> {
    /// Who reports.
    pub router: IpAddr,
    /// Type and code.
    pub kind: [u8; 2],
    /// What is behind the checksum: an MTU, or a pointer into the quoted packet.
    pub rest: [u8; 4],
    /// The PA that sent the packet; the report goes to it.
    pub own: IpAddr,
    /// The PA that the packet was sent to.
    pub far: IpAddr,
    packet: Packet<'f>,
}

/// Reads an untagged frame from the underlay.
///
/// `None`: it is no error, or a redirect, which is for hosts of the underlay; a fragment, or damaged;
/// or what it quotes is not a packet from whom it is sent to, with the first bytes of its upper layer.
/// Whose the addresses are is left to whoever knows.
pub fn read(frame: &[u8]) -> Option<Report<'_>> {
    let (_, error) = Packet::framed(frame)?;
    if !error.is_intact_icmp() || !is_host(error.source) {
        return None;
    }
    let ([kind, code, _, _, rest @ ..], quote) =
        error.payload.split_first_chunk::<{ icmp::ERROR_LEN }>()?;
    let v4 = error.source.is_ipv4();
    if !is_error(v4, *kind) {
        return None;
    }
    let (rest, quote) = without_extensions((v4, *kind), *rest, quote);
    let packet = Packet::read(quote)?;
    let enough = packet.complete || packet.payload.len() >= LEAST;
    (enough && packet.source == error.destination).then_some(Report {
        router: error.source,
        kind: [*kind, *code],
        rest,
        own: packet.source,
        far: packet.destination,
        packet,
    })
}

const fn is_error(v4: bool, kind: u8) -> bool {
    if v4 {
        matches!(
            kind,
            icmpv4::TYPE_DEST_UNREACH | icmpv4::TYPE_TIME_EXCEEDED | icmpv4::TYPE_PARAMETER_PROBLEM
        )
    } else {
        kind < icmp::INFORMATIONAL_V6
    }
}

/// The message without what its router says of itself behind the quote (RFC 4884): interfaces and
/// labels of the underlay are not for tenants.
fn without_extensions((v4, kind): (bool, u8), rest: [u8; 4], quote: &[u8]) -> ([u8; 4], &[u8]) {
    let [first, second, third, fourth] = rest;
    let is_structured = v4 || matches!(kind, icmpv6::TYPE_DST_UNREACH | icmpv6::TYPE_TIME_EXCEEDED);
    let (len, rest) = match (is_structured, v4) {
        (false, _) => return (rest, quote),
        (true, true) => (4 * usize::from(second), [first, 0, third, fourth]),
        (true, false) => (8 * usize::from(first), [0, second, third, fourth]),
    };
    let quoted = if len == 0 { None } else { quote.get(..len) };
    (rest, quoted.unwrap_or(quote))
}

impl Report<'_> {
    /// What is quoted, with these CAs in place of the PAs. Whatever covers the addresses is updated by
    /// what they changed by, as when the packet was sent (RFC 1624).
    ///
    /// `None`: the CAs are of the other family.
    pub fn quote(&self, own: Address, far: Address) -> Option<Vec<u8>> {
        let v4 = self.own.is_ipv4();
        if own.is_v4() != v4 || far.is_v4() != v4 {
            return None;
        }
        let change = Delta::of(self.own.into(), own).and(Delta::of(self.far.into(), far));
        let mut bytes = self.packet.bytes.to_vec();
        if v4 {
            put(&mut bytes, SRC_V4, &own.to_v4())?;
            put(&mut bytes, DST_V4, &far.to_v4())?;
            update(&mut bytes, CHECKSUM_V4, |old| change.update(old))?;
        } else {
            put(&mut bytes, ipv6::SRC, &own.to_bytes())?;
            put(&mut bytes, ipv6::DST, &far.to_bytes())?;
        }
        let protocol = self.protocol()?;
        let at = checksum_at(v4, protocol);
        if at != 0 && self.packet.part != Part::Later {
            let upper = bytes.len().checked_sub(self.packet.payload.len())?;
            let udp = matches!(protocol, ipv4::UDP | ipv4::UDP_LITE);
            // Where it is not quoted there is nothing to update.
            let _ = update(&mut bytes, upper + at, |old| {
                if udp {
                    change.update_udp(old)
                } else {
                    change.update(old)
                }
            });
        }
        Some(bytes)
    }

    /// What the programs took for the upper layer: over IPv4 an authentication header is one.
    fn protocol(&self) -> Option<u8> {
        match self.own {
            IpAddr::V4(_) => self.packet.bytes.get(PROTOCOL_V4).copied(),
            IpAddr::V6(_) => Some(self.packet.protocol.0),
        }
    }
}

fn put(bytes: &mut [u8], at: usize, address: &[u8]) -> Option<()> {
    let place = bytes.get_mut(at..at + address.len())?;
    place.copy_from_slice(address);
    Some(())
}

fn update(bytes: &mut [u8], at: usize, new: impl Fn([u8; 2]) -> [u8; 2]) -> Option<()> {
    let place: &mut [u8; 2] = bytes.get_mut(at..at + 2)?.try_into().ok()?;
    *place = new(*place);
    Some(())
}

#[cfg(test)]
mod tests;
