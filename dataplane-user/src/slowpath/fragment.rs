//! Inner fragmentation (RFC 791, section 3.2): a tenant's packet without DF is cut before it is
//! encapsulated, because an NVE never fragments what is encapsulated (RFC 7637, section 4.4).

use dataplane_common::wire::{ether, ipv4};

use super::icmp::checksum_of;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1FFF;
/// Fragments begin at multiples of this.
const UNIT: usize = 8;

/// Whether the sender forbids to cut the frame's packet.
pub fn forbidden(frame: &[u8]) -> bool {
    let word = frame.get(ether::LEN + 6..ether::LEN + 8);
    word.is_none_or(|word| word.first().is_some_and(|high| high & 0x40 != 0))
}

/// The frames that the packet in `frame` is cut into, each packet at most `mtu` bytes.
///
/// `None`: no whole IPv4 packet, DF is set, or `mtu` leaves no room behind the header.
pub fn cut(frame: &[u8], mtu: u16) -> Option<Vec<Vec<u8>>> {
    let eth = frame.get(..ether::LEN)?;
    let packet = frame.get(ether::LEN..)?;
    let first = packet.first()?;
    let header = packet.get(..usize::from(first & 0xF) * 4)?;
    let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
    if first >> 4 != 4 || header.len() < ipv4::LEN || forbidden(frame) {
        return None;
    }
    let payload = packet.get(header.len()..total)?;
    let room = usize::from(mtu).checked_sub(header.len())? / UNIT * UNIT;
    if room == 0 {
        return None;
    }
    let word = u16::from_be_bytes(header.get(6..8)?.try_into().ok()?);
    let mut frames = Vec::new();
    for (index, part) in payload.chunks(room).enumerate() {
        let at = index * room;
        let last = at + part.len() == payload.len();
        let offset = (word & OFFSET).checked_add(u16::try_from(at / UNIT).ok()?)?;
        if offset > OFFSET {
            return None;
        }
        let more = if last {
            word & MORE_FRAGMENTS
        } else {
            MORE_FRAGMENTS
        };
        // Options that are not to be copied stay with the first fragment; the others are kept as
        // no-operations, so that offsets of what follows do not move.
        let mut head = if at == 0 {
            header.to_vec()
        } else {
            later(header)
        };
        let length = u16::try_from(head.len() + part.len()).ok()?;
        head.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
        let flags = (word & !(DONT_FRAGMENT | MORE_FRAGMENTS | OFFSET)) | more | offset;
        head.get_mut(6..8)?.copy_from_slice(&flags.to_be_bytes());
        head.get_mut(10..12)?.fill(0);
        let sum = !checksum_of(&head);
        head.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
        frames.push([eth, &head, part].concat());
    }
    Some(frames)
}

/// The header of a later fragment: options without the copied flag become no-operations.
fn later(header: &[u8]) -> Vec<u8> {
    const END: u8 = 0;
    const NOP: u8 = 1;
    const COPIED: u8 = 0x80;
    let mut head = header.to_vec();
    let mut at = ipv4::LEN;
    while let Some(kind) = head.get(at).copied() {
        let len = match kind {
            END => return head,
            NOP => 1,
            _ => usize::from(head.get(at + 1).copied().unwrap_or(0)).max(2),
        };
        if kind & COPIED == 0 {
            let end = (at + len).min(head.len());
            head.get_mut(at..end).unwrap_or_default().fill(NOP);
        }
        at += len;
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{NetSlice, PacketBuilder, SlicedPacket};

    fn udp(payload: usize) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 5], [2, 0, 0, 0, 0, 7])
            .ipv4([10, 0, 0, 5], [10, 0, 0, 7], 64)
            .udp(1000, 2000);
        let data: Vec<u8> = (0..payload)
            .map(|i| u8::try_from(i % 251).unwrap())
            .collect();
        let mut frame = Vec::new();
        builder.write(&mut frame, &data).unwrap();
        // etherparse sets DF.
        frame[14 + 6] &= !0x40;
        frame[24..26].fill(0);
        let sum = !checksum_of(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    /// Puts fragments together by what their headers say.
    fn together(frames: &[Vec<u8>]) -> (Vec<u8>, bool) {
        let mut payload = Vec::new();
        let mut complete = false;
        for frame in frames {
            let sliced = SlicedPacket::from_ethernet(frame).unwrap();
            let Some(NetSlice::Ipv4(ip)) = &sliced.net else {
                panic!("no IPv4")
            };
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!(
                usize::from(header.fragment_offset.value()) * 8,
                payload.len()
            );
            payload.extend(ip.payload().payload);
            complete = !header.more_fragments;
        }
        (payload, complete)
    }

    #[test]
    fn the_parts_are_the_whole_and_fit() {
        for size in [1, 600, 1300, 1473, 4000, 60_000] {
            for mtu in [68, 576, 1358] {
                let frame = udp(size);
                let frames = cut(&frame, mtu).unwrap();
                assert!(frames.iter().all(|f| f.len() <= 14 + usize::from(mtu)));
                let (payload, complete) = together(&frames);
                assert!(complete && payload == frame[34..], "{size} {mtu}");
            }
        }
    }

    #[test]
    fn a_fragment_may_be_cut_again() {
        let frames = cut(&udp(4000), 1300).unwrap();
        let again: Vec<_> = frames.iter().flat_map(|f| cut(f, 500).unwrap()).collect();
        let (payload, complete) = together(&again);
        assert!(complete && payload == udp(4000)[34..]);
    }

    #[test]
    fn what_cannot_be_cut_is_not() {
        let mut frame = udp(1000);
        assert!(cut(&frame, 27).is_none(), "no room for eight bytes");
        assert!(cut(&frame[..100], 576).is_none(), "not whole");
        frame[14 + 6] |= 0x40;
        assert!(forbidden(&frame) && cut(&frame, 576).is_none());
    }

    #[test]
    fn only_copied_options_are_repeated() {
        let mut header = vec![0x47; 20];
        // Record route (7, not copied), then router alert (148, copied).
        header.extend([7, 3, 4, 148, 4, 0, 0, 0]);
        let head = later(&header);
        assert_eq!(head[20..], [1, 1, 1, 148, 4, 0, 0, 0]);
    }
}
