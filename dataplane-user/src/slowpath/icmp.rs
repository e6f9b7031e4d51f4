//! "Fragmentation needed" (RFC 792, RFC 1191): what a tenant is told whose packet does not fit.

use dataplane_common::{
    id::Mac,
    wire::{checksum, ether, ipv4},
};

/// What of the packet is quoted: an answer of 576 bytes in all (RFC 1812, section 4.3.2.3).
const QUOTED: usize = 576 - ipv4::LEN - ICMP_LEN;
const ICMP_LEN: usize = 8;
const PROTOCOL: u8 = 1;
const DESTINATION_UNREACHABLE: u8 = 3;
const FRAGMENTATION_NEEDED: u8 = 4;
const TTL: u8 = 64;

/// Who answers a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its MAC in the routing domain.
    pub mac: Mac,
    /// Its CA in the tenant's subnet.
    pub ca: [u8; 4],
}

/// The answer to `frame`, a tenant's IPv4 frame with DF: the largest packet that fits is `mtu` bytes.
///
/// `None` where RFC 1122, section 3.2.2 forbids one: to an ICMP error, to a later fragment, to or
/// from a group or nobody; and where the frame is no IPv4 packet.
pub fn fragmentation_needed(frame: &[u8], gateway: Gateway, mtu: u16) -> Option<Vec<u8>> {
    let eth = frame.get(..ether::LEN)?;
    let packet = frame.get(ether::LEN..)?;
    let header = header(packet)?;
    if !may_be_answered(packet, header) || eth.first()? & 1 == 1 {
        return None;
    }
    let src: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let sender = Mac(eth.get(6..12)?.try_into().ok()?);
    let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    let quoted = packet.get(..total.min(packet.len()).min(QUOTED))?;

    let mut icmp = vec![DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED, 0, 0, 0, 0];
    icmp.extend(mtu.to_be_bytes());
    icmp.extend(quoted);
    let sum = !checksum_of(&icmp);
    icmp.get_mut(2..4)?.copy_from_slice(&sum.to_be_bytes());

    let mut answer = Vec::with_capacity(ether::LEN + ipv4::LEN + icmp.len());
    answer.extend(sender.0);
    answer.extend(gateway.mac.0);
    answer.extend(ether::IPV4.to_be_bytes());
    answer.extend(ip(icmp.len(), gateway.ca, src)?);
    answer.extend(icmp);
    Some(answer)
}

/// The header of a packet that is whole, options included.
fn header(packet: &[u8]) -> Option<&[u8]> {
    let len = usize::from(packet.first()? & 0xF) * 4;
    let header = packet.get(..len)?;
    (packet.first()? >> 4 == 4 && len >= ipv4::LEN).then_some(header)
}

fn may_be_answered(packet: &[u8], header: &[u8]) -> bool {
    let byte = |at: usize| header.get(at).copied().unwrap_or(0);
    let later = u16::from_be_bytes([byte(6), byte(7)]) & 0x1FFF != 0;
    // Query messages may be answered, errors may not (types 3, 4, 5, 11, 12).
    let error = byte(9) == PROTOCOL
        && packet
            .get(header.len())
            .is_none_or(|kind| matches!(kind, 3 | 4 | 5 | 11 | 12));
    let nobody = byte(12) == 0 || byte(12) == 127 || byte(12) >= 224;
    !later && !error && !nobody && byte(16) < 224
}

fn ip(payload: usize, src: [u8; 4], dst: [u8; 4]) -> Option<[u8; ipv4::LEN]> {
    let mut header = [0; ipv4::LEN];
    let total = u16::try_from(ipv4::LEN + payload).ok()?;
    header[0] = 0x45;
    // Precedence of network control (RFC 1812, section 4.3.2.5).
    header[1] = 0xC0;
    header[2..4].copy_from_slice(&total.to_be_bytes());
    header[8] = TTL;
    header[9] = PROTOCOL;
    header[12..16].copy_from_slice(&src);
    header[16..20].copy_from_slice(&dst);
    let sum = !checksum_of(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    Some(header)
}

/// The ones-complement sum of any bytes (RFC 1071).
pub(super) fn checksum_of(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u16::from_be_bytes([*high, *low]),
        [high] => u16::from_be_bytes([*high, 0]),
        _ => 0,
    });
    words.fold(0, |total, word| checksum::sum([total, word]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{Icmpv4Type, NetSlice, PacketBuilder, SlicedPacket, TransportSlice, icmpv4};

    const GATEWAY: Gateway = Gateway {
        mac: Mac([2, 0xEE, 0, 0, 0, 1]),
        ca: [10, 0, 0, 1],
    };

    fn udp(payload: usize) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 5], [2, 0, 0, 0, 0, 7])
            .ipv4([10, 0, 0, 5], [10, 0, 0, 7], 64)
            .udp(1000, 2000);
        let mut frame = Vec::new();
        builder.write(&mut frame, &vec![7; payload]).unwrap();
        frame
    }

    #[test]
    fn an_independent_decoder_reads_it() {
        let frame = udp(1400);
        let answer = fragmentation_needed(&frame, GATEWAY, 1358).unwrap();
        assert_eq!(answer.len(), ether::LEN + 576);
        let sliced = SlicedPacket::from_ethernet(&answer).unwrap();
        let Some(NetSlice::Ipv4(ip)) = &sliced.net else {
            panic!("no IPv4")
        };
        let header = ip.header().to_header();
        assert_eq!(
            (header.source, header.destination),
            ([10, 0, 0, 1], [10, 0, 0, 5])
        );
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        let Some(TransportSlice::Icmpv4(icmp)) = &sliced.transport else {
            panic!("no ICMP")
        };
        assert_eq!(
            icmp.icmp_type(),
            Icmpv4Type::DestinationUnreachable(
                icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1358 }
            )
        );
        assert_eq!(
            icmp.checksum(),
            icmp.icmp_type().calc_checksum(icmp.payload())
        );
        assert_eq!(icmp.payload(), &frame[14..14 + 548]);
        assert_eq!(&answer[..6], &[2, 0, 0, 0, 0, 5]);
    }

    #[test]
    fn what_must_not_be_answered_is_not() {
        let frame = udp(1400);
        let changed = |at: usize, byte: u8| {
            let mut frame = frame.clone();
            frame[at] = byte;
            fragmentation_needed(&frame, GATEWAY, 1358)
        };
        assert!(changed(14 + 7, 1).is_none(), "later fragment");
        assert!(changed(14 + 16, 224).is_none(), "to a group");
        assert!(changed(14 + 12, 0).is_none(), "from nobody");
        assert!(changed(0, 0xFF).is_none(), "broadcast frame");
        assert!(changed(14, 0x65).is_none(), "no IPv4");
        let mut icmp = frame.clone();
        icmp[14 + 9] = 1;
        icmp[34] = 3;
        assert!(
            fragmentation_needed(&icmp, GATEWAY, 1358).is_none(),
            "an error"
        );
        icmp[34] = 8;
        assert!(
            fragmentation_needed(&icmp, GATEWAY, 1358).is_some(),
            "a ping"
        );
        for len in 0..34 {
            assert!(fragmentation_needed(&frame[..len], GATEWAY, 1358).is_none());
        }
    }
}
