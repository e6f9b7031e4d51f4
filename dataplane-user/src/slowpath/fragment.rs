//! Inner fragmentation (RFC 791, section 3.2): a tenant's packet without DF is cut before it is
//! encapsulated, because an NVE never fragments what is encapsulated (RFC 7637, section 4.4).

use dataplane_common::wire::ether;
use etherparse::{IpFragOffset, Ipv4Header, Ipv4Options};

/// Fragments begin at multiples of this.
const UNIT: usize = 8;

/// Whether the frame's packet may not be cut: its sender forbids it, or it is no IPv4. An IPv6 packet
/// is cut by nobody but its source (RFC 8200, section 5).
pub fn forbidden(frame: &[u8]) -> bool {
    let header = frame.get(ether::LEN..).map(Ipv4Header::from_slice);
    !matches!(header, Some(Ok((header, _))) if !header.dont_fragment)
}

/// The frames that the packet in `frame` is cut into, each packet at most `mtu` bytes.
///
/// `None`: no whole IPv4 packet, DF is set, or `mtu` leaves no room behind the header.
pub fn cut(frame: &[u8], mtu: u16) -> Option<Vec<Vec<u8>>> {
    let (eth, packet) = frame.split_at_checked(ether::LEN)?;
    let (header, rest) = Ipv4Header::from_slice(packet).ok()?;
    if header.dont_fragment {
        return None;
    }
    let payload = rest.get(..usize::from(header.payload_len().ok()?))?;
    let room = usize::from(mtu).checked_sub(header.header_len())? / UNIT * UNIT;
    if room == 0 {
        return None;
    }
    let parts = payload.chunks(room).enumerate().map(|(index, part)| {
        let at = index * room;
        let last = at + part.len() == payload.len();
        let header = part_header(&header, at, last, part.len())?;
        Some([eth, &header.to_bytes(), part].concat())
    });
    parts.collect()
}

/// The header of the part that begins `at` bytes into the payload.
fn part_header(whole: &Ipv4Header, at: usize, last: bool, len: usize) -> Option<Ipv4Header> {
    let units = u16::try_from(at / UNIT).ok()?;
    let offset = whole.fragment_offset.value().checked_add(units)?;
    let mut header = whole.clone();
    header.fragment_offset = IpFragOffset::try_new(offset).ok()?;
    header.more_fragments = !last || whole.more_fragments;
    if at > 0 {
        header.options = later(&whole.options)?;
    }
    header.set_payload_len(len).ok()?;
    header.header_checksum = header.calc_header_checksum();
    Some(header)
}

/// The options of a later fragment: those without the copied flag become no-operations, so that
/// the others do not move.
fn later(options: &Ipv4Options) -> Option<Ipv4Options> {
    const END: u8 = 0;
    const NOP: u8 = 1;
    const COPIED: u8 = 0x80;
    let mut bytes = options.as_slice().to_vec();
    let mut at = 0;
    while let Some(kind) = bytes.get(at).copied().filter(|kind| *kind != END) {
        let len = match kind {
            NOP => 1,
            _ => usize::from(bytes.get(at + 1).copied().unwrap_or(0)).max(2),
        };
        if kind & COPIED == 0 {
            let end = (at + len).min(bytes.len());
            bytes.get_mut(at..end)?.fill(NOP);
        }
        at += len;
    }
    Ipv4Options::try_from(&bytes[..]).ok()
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
        let (mut header, _) = Ipv4Header::from_slice(&frame[14..]).unwrap();
        header.dont_fragment = false;
        header.header_checksum = header.calc_header_checksum();
        frame[14..34].copy_from_slice(&header.to_bytes());
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
        let ipv6 = crate::slowpath::testing::udp("2001:db8::5", "2001:db8::7", 1400);
        assert!(forbidden(&ipv6) && cut(&ipv6, 1280).is_none());
        assert!(forbidden(&[]) && forbidden(&ipv6[..20]));
    }

    #[test]
    fn only_copied_options_are_repeated() {
        // Record route (7, not copied), then router alert (148, copied).
        let options = Ipv4Options::from([7, 3, 4, 148, 4, 0, 0, 0]);
        let repeated = later(&options).unwrap();
        assert_eq!(repeated.as_slice(), [1, 1, 1, 148, 4, 0, 0, 0]);
        // An end, an option without its length, and one that is longer than the header.
        for odd in [[0, 7, 7, 7], [148, 4, 0, 7], [7, 200, 0, 0]] {
            assert_eq!(later(&Ipv4Options::from(odd)).unwrap().len(), 4);
        }
    }
}
