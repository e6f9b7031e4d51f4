//! Packets at random, each as its tenant sees it and as the underlay is to see it, made from nothing but
//! the RFCs: the two differ in their addresses, and in the checksums that cover those.

use crate::sums::{ICMP, ICMPV6, Pair, TCP, UDP, added, checksum_at, covered, octets, sum};
use dataplane_tests::{net::Frame, random::Dice};

/// The two addresses of each end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// Its CAs.
    pub(crate) tenants: Pair,
    /// Its PAs.
    pub(crate) underlay: Pair,
}

/// Checksums that a packet is made to have, by one pair of addresses or the other: near the two zeroes.
const AIMS: [u16; 6] = [0x0000, 0xFFFF, 0x0001, 0xFFFE, 0x0002, 0x8000];

pub(crate) const FRAGMENT: u8 = 44;
const OPTIONS: u8 = 60;
const SCTP: u8 = 132;

/// A packet in the making. The dice fall the same way whichever addresses are shown.
struct Recipe {
    dice: Dice,
    ends: Ends,
    shown: Pair,
    number: u16,
}

/// The IP packets of a number, without Ethernet headers; more than one are fragments of one.
pub(crate) fn packets(number: u16, ends: &Ends, shown: Pair) -> Vec<Frame> {
    let mut recipe = Recipe {
        dice: Dice::new(u64::from(number) + 1),
        ends: *ends,
        shown,
        number,
    };
    recipe.any()
}

impl Recipe {
    fn any(&mut self) -> Vec<Frame> {
        if self.dice.one_in(6) {
            let (protocol, message) = self.error();
            return vec![self.whole(protocol, &message)];
        }
        if self.dice.one_in(6) {
            return self.fragments();
        }
        let (protocol, upper) = self.upper(1300);
        vec![self.whole(protocol, &upper)]
    }

    /// A segment, datagram or message of some protocol.
    fn upper(&mut self, most: u16) -> (u8, Vec<u8>) {
        let v4 = self.shown[0].is_ipv4();
        let payload = self.noise(most);
        match self.dice.below(5) {
            0 => self.tcp(&payload),
            1 => self.udp(&payload, true),
            // Only IPv4 knows datagrams without a checksum.
            2 => self.udp(&payload, !v4),
            3 => self.echo(&payload),
            _ => sctp(&payload),
        }
    }

    fn noise(&mut self, most: u16) -> Vec<u8> {
        let len = self.dice.below(most);
        let len = if self.dice.one_in(4) { len % 9 } else { len };
        (0..len)
            .map(|_| self.dice.below(256).to_le_bytes()[0])
            .collect()
    }

    fn tcp(&mut self, payload: &[u8]) -> (u8, Vec<u8>) {
        let words = self.dice.of(&[5_u8, 5, 8]);
        let mut upper = [40_000_u16, 40_001].map(u16::to_be_bytes).concat();
        upper.extend([0, 0, 0, self.dice.below(256).to_le_bytes()[0]]);
        upper.extend([0, 0, 0, 7, words << 4, 0x18, 1, 0, 0, 0, 0, 0]);
        upper.resize(usize::from(words) * 4, 1);
        upper.extend(payload);
        (TCP, self.summed(TCP, 16, upper))
    }

    fn udp(&mut self, payload: &[u8], sums: bool) -> (u8, Vec<u8>) {
        let len = u16::try_from(8 + payload.len()).expect("short");
        let mut upper = [40_000, 40_001, len, 0].map(u16::to_be_bytes).concat();
        upper.extend(payload);
        let mut upper = self.summed(UDP, 6, upper);
        if !sums {
            upper[6..8].fill(0);
        } else if upper[6..8] == [0; 2] {
            upper[6..8].fill(0xFF);
        }
        (UDP, upper)
    }

    fn echo(&mut self, payload: &[u8]) -> (u8, Vec<u8>) {
        let v4 = self.shown[0].is_ipv4();
        let (protocol, kind) = if v4 { (ICMP, 8) } else { (ICMPV6, 128) };
        let upper = [&[kind, 0, 0, 0, 1, 2, 0, 3], payload].concat();
        (protocol, self.summed(protocol, 2, upper))
    }

    /// An ICMP error about a packet of the other end, quoted whole or in part.
    fn error(&mut self) -> (u8, Vec<u8>) {
        let v4 = self.shown[0].is_ipv4();
        self.turn();
        let (inner, upper) = self.upper(400);
        let quoted = self.bare(inner, &upper);
        self.turn();
        let start = quoted.len() - upper.len();
        let mut len = quoted.len();
        if self.dice.one_in(2) {
            len = len.min(start + 4 + usize::from(self.dice.below(40)));
        }
        // Of half a checksum nobody can tell what it becomes.
        if checksum_at(inner).is_some_and(|at| len == start + at + 1) {
            len -= 1;
        }
        let (protocol, kinds) = if v4 {
            (ICMP, [[3, 3], [3, 4], [11, 0]])
        } else {
            (ICMPV6, [[1, 4], [2, 0], [3, 0]])
        };
        let kind = self.dice.of(&kinds);
        let mut message = [&kind[..], &[0, 0, 0, 0, 5, 0x78]].concat();
        message.extend(&quoted[..len]);
        let sum = covered(self.shown, protocol, &message);
        message[2..4].copy_from_slice(&(!sum).to_be_bytes());
        (protocol, message)
    }

    fn turn(&mut self) {
        self.ends.tenants.reverse();
        self.ends.underlay.reverse();
        self.shown.reverse();
    }

    /// Makes the checksum at `at` right; perhaps the first word of the payload sees to what it is.
    fn summed(&mut self, protocol: u8, at: usize, mut upper: Vec<u8>) -> Vec<u8> {
        let aim = self.dice.of(&AIMS);
        let by = self.dice.of(&[self.ends.tenants, self.ends.underlay]);
        let payload = match protocol {
            TCP => usize::from(upper[12] >> 4) * 4,
            _ => 8,
        };
        if self.dice.one_in(2) && upper.len() >= payload + 2 {
            upper[payload..payload + 2].fill(0);
            let sum = covered(by, protocol, &upper);
            let word = added(!aim, !sum);
            upper[payload..payload + 2].copy_from_slice(&word.to_be_bytes());
        }
        let sum = covered(self.shown, protocol, &upper);
        upper[at..at + 2].copy_from_slice(&(!sum).to_be_bytes());
        upper
    }

    fn whole(&mut self, protocol: u8, upper: &[u8]) -> Frame {
        if !self.shown[0].is_ipv4() && self.dice.one_in(8) {
            let options = [&[protocol, 0, 1, 4, 0, 0, 0, 0], upper].concat();
            return self.v6(OPTIONS, &options);
        }
        self.bare(protocol, upper)
    }

    /// Without extension headers.
    fn bare(&mut self, protocol: u8, upper: &[u8]) -> Frame {
        if self.shown[0].is_ipv4() {
            let df = self.dice.of(&[0x4000, 0]);
            return self.v4(protocol, df, upper);
        }
        self.v6(protocol, upper)
    }

    fn fragments(&mut self) -> Vec<Frame> {
        let (protocol, upper) = self.upper(3000);
        let piece = usize::from(self.dice.of(&[64_u16, 512, 1024]));
        let mut frames = Vec::new();
        for (index, part) in upper.chunks(piece).enumerate() {
            let at = u16::try_from(index * piece / 8).expect("short");
            let more = (index + 1) * piece < upper.len();
            frames.push(if self.shown[0].is_ipv4() {
                let word = if more { 0x2000 | at } else { at };
                self.v4(protocol, word, part)
            } else {
                let word = (at * 8 + u16::from(more)).to_be_bytes();
                let id = u32::from(self.number).to_be_bytes();
                self.v6(FRAGMENT, &[&[protocol, 0], &word[..], &id, part].concat())
            });
        }
        frames
    }

    fn v4(&mut self, protocol: u8, fragment: u16, upper: &[u8]) -> Frame {
        let options: &[u8] = if self.dice.one_in(8) {
            &[1, 1, 1, 0]
        } else {
            &[]
        };
        let header = 20 + options.len();
        let [number, fragment] = [self.number, fragment].map(u16::to_be_bytes);
        let len = u16::try_from(header + upper.len()).expect("short");
        let words = u8::try_from(header / 4).expect("short");
        let mut packet = vec![0x40 | words, self.dice.below(256).to_le_bytes()[0]];
        packet.extend([len.to_be_bytes(), number, fragment].concat());
        packet.extend([64, protocol, 0, 0]);
        packet.extend(self.shown.map(octets).concat());
        packet.extend(options);
        let checksum = !sum(&packet);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet.extend(upper);
        packet
    }

    /// The flow label is the packet's number.
    fn v6(&mut self, next: u8, upper: &[u8]) -> Frame {
        let len = u16::try_from(upper.len()).expect("short");
        let mut packet = vec![0x60, 0];
        packet.extend([self.number.to_be_bytes(), len.to_be_bytes()].concat());
        packet.extend([next, 64]);
        packet.extend(self.shown.map(octets).concat());
        packet.extend(upper);
        packet
    }
}

/// One chunk of data. Its checksum covers no addresses, so any number does.
fn sctp(payload: &[u8]) -> (u8, Vec<u8>) {
    let len = u16::try_from(16 + payload.len()).expect("short");
    let mut upper = [40_000_u16, 40_001].map(u16::to_be_bytes).concat();
    upper.extend([0, 0, 0, 9, 0xC0, 0xFF, 0xEE, 0x11, 0, 3]);
    upper.extend(len.to_be_bytes());
    upper.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    upper.extend(payload);
    upper.resize(upper.len().next_multiple_of(4), 0);
    (SCTP, upper)
}
