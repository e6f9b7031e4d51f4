//! "Fragmentation needed" (RFC 792, RFC 1191): what a tenant is told whose packet does not fit.

use dataplane_common::{
    id::Mac,
    wire::{ether, ipv4},
};
use etherparse::{
    Icmpv4Type, IpDscp, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, PacketBuilder, icmpv4,
    icmpv4::DestUnreachableHeader,
};

/// What of the packet is quoted: an answer of 576 bytes in all (RFC 1812, section 4.3.2.3).
const QUOTED: usize = 576 - ipv4::LEN - 8;
const TTL: u8 = 64;
/// Precedence of network control (RFC 1812, section 4.3.2.5): DSCP CS6.
const DSCP: u8 = 48;

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
    let (eth, packet) = frame.split_at_checked(ether::LEN)?;
    let (header, payload) = Ipv4Header::from_slice(packet).ok()?;
    if !may_be_answered(&header, payload) || eth.first()? & 1 == 1 {
        return None;
    }
    let sender = eth.get(6..12)?.try_into().ok()?;
    let total = usize::from(header.total_len);
    let quoted = packet.get(..total.min(packet.len()).min(QUOTED))?;
    let told = DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: mtu };
    let answer = PacketBuilder::ethernet2(gateway.mac.0, sender)
        .ip(IpHeaders::Ipv4(
            to(header.source, gateway)?,
            Ipv4Extensions::default(),
        ))
        .icmpv4(Icmpv4Type::DestinationUnreachable(told));
    let mut bytes = Vec::with_capacity(answer.size(quoted.len()));
    answer.write(&mut bytes, quoted).ok()?;
    Some(bytes)
}

fn may_be_answered(header: &Ipv4Header, payload: &[u8]) -> bool {
    let first = header.fragment_offset.value() == 0;
    let error = header.protocol == IpNumber::ICMP && payload.first().copied().is_none_or(is_error);
    let [from, ..] = header.source;
    let [to, ..] = header.destination;
    let nobody = from == 0 || from == 127 || from >= 224;
    first && !error && !nobody && to < 224
}

/// Query messages may be answered.
const fn is_error(kind: u8) -> bool {
    matches!(
        kind,
        icmpv4::TYPE_DEST_UNREACH
            | icmpv4::TYPE_SOURCE_QUENCH
            | icmpv4::TYPE_REDIRECT
            | icmpv4::TYPE_TIME_EXCEEDED
            | icmpv4::TYPE_PARAMETER_PROBLEM
    )
}

fn to(sender: [u8; 4], gateway: Gateway) -> Option<Ipv4Header> {
    let mut header = Ipv4Header::new(0, TTL, IpNumber::ICMP, gateway.ca, sender).ok()?;
    header.dscp = IpDscp::try_new(DSCP).ok()?;
    header.dont_fragment = false;
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

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
