//! The frames that generators send, for all paths.

use std::net::Ipv4Addr;

use dataplane_common::{
    id::Mac,
    wire::{
        checksum, ether, gre, ipv4,
        outer::{OuterHeaders as _, OverV4},
    },
};

use super::{
    Frames,
    topology::{FIRST_KEY, HOST_A, HOST_B, MAC_A, MAC_B, MAC_HOST_A, MAC_HOST_B, TENANT_A},
};

pub use crate::tables::VSID;

/// UDP ports of all frames: discard (RFC 863), which nobody asks for.
const PORT: u16 = 9;
const ETHER_LEN: u16 = 14;
const IPV4_LEN: u16 = 20;
const OUTER_LEN: u16 = 42;
const CHECKSUM: usize = ether::LEN + 10;
const SRC: usize = ether::LEN + 12;
const DST: usize = ether::LEN + 16;

/// Which address the key is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAt {
    /// The source: frames come from many.
    Src,
    /// The destination: frames go to many.
    Dst,
}

/// A tenant's UDP datagram without a UDP checksum.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// Source MAC.
    pub src_mac: Mac,
    /// Destination MAC.
    pub dst_mac: Mac,
    /// Source address; key 0 takes its place with [`KeyAt::Src`].
    pub src: [u8; 4],
    /// Destination address; key 0 takes its place with [`KeyAt::Dst`].
    pub dst: [u8; 4],
    /// Where the key is.
    pub key_at: KeyAt,
    /// The value of key 0, host order.
    pub first_key: u32,
    /// Bytes of the frame without FCS, 60 or more.
    pub length: u16,
}

impl Datagram {
    /// From `tenant-a` to the many addresses of `tenant-b`.
    pub fn to_b(length: u16) -> Self {
        Self {
            src_mac: MAC_A,
            dst_mac: MAC_B,
            src: octets(TENANT_A),
            dst: FIRST_KEY.to_be_bytes(),
            key_at: KeyAt::Dst,
            first_key: FIRST_KEY,
            length,
        }
    }

    /// The frames.
    pub fn frames(mut self) -> Frames {
        let key_offset = match self.key_at {
            KeyAt::Src => {
                self.src = self.first_key.to_be_bytes();
                SRC
            }
            KeyAt::Dst => {
                self.dst = self.first_key.to_be_bytes();
                DST
            }
        };
        Frames {
            head: self.head(),
            key_offset,
            first_key: self.first_key,
            checksum_offset: Some(CHECKSUM),
            length: self.length,
        }
    }

    fn head(&self) -> Vec<u8> {
        let l3_len = self.length - ETHER_LEN;
        let mut head = ethernet(self.src_mac, self.dst_mac);
        head.extend(ip_header(ipv4::UDP, l3_len, self.src, self.dst));
        head.extend(PORT.to_be_bytes());
        head.extend(PORT.to_be_bytes());
        head.extend((l3_len - IPV4_LEN).to_be_bytes());
        head.extend([0, 0]);
        head
    }
}

/// The frames in NVGRE, as `host-a` sends them to `host-b`.
pub fn encapsulated(inner: Frames) -> Frames {
    let length = inner.length + OUTER_LEN;
    let mut head = ethernet(MAC_HOST_A, MAC_HOST_B);
    let (from, to) = (octets(HOST_A), octets(HOST_B));
    head.extend(ip_header(ipv4::GRE, length - ETHER_LEN, from, to));
    head.extend(gre::FLAGS.to_be_bytes());
    head.extend(gre::PROTOCOL.to_be_bytes());
    head.extend((VSID << 8).to_be_bytes());
    head.extend(inner.head);
    Frames {
        head,
        key_offset: inner.key_offset + OverV4::LEN,
        checksum_offset: inner.checksum_offset.map(|offset| offset + OverV4::LEN),
        length,
        ..inner
    }
}

fn ethernet(src: Mac, dst: Mac) -> Vec<u8> {
    [&dst.0[..], &src.0, &ether::IPV4.to_be_bytes()].concat()
}

fn ip_header(protocol: u8, total_len: u16, src: [u8; 4], dst: [u8; 4]) -> [u8; ipv4::LEN] {
    const DONT_FRAGMENT: u8 = 0x40;
    let [high, low] = total_len.to_be_bytes();
    let [s0, s1, s2, s3] = src;
    let [d0, d1, d2, d3] = dst;
    let mut header = [
        0x45,
        0,
        high,
        low,
        0,
        0,
        DONT_FRAGMENT,
        0,
        64,
        protocol,
        0,
        0,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ];
    let mut words = [0; ipv4::LEN / 2];
    for (word, pair) in words.iter_mut().zip(header.chunks_exact(2)) {
        *word = u16::from_be_bytes([pair[0], pair[1]]);
    }
    header[10..12].copy_from_slice(&(!checksum::sum(words)).to_be_bytes());
    header
}

/// The bytes of an address that this program wrote itself.
pub fn octets(address: &str) -> [u8; 4] {
    let address: Ipv4Addr = address.parse().expect("an IPv4 address");
    address.octets()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_sound_and_the_key_is_where_it_is_said_to_be() {
        for key_at in [KeyAt::Src, KeyAt::Dst] {
            let plain = Datagram {
                key_at,
                ..Datagram::to_b(100)
            }
            .frames();
            for (frames, at) in [(encapsulated(plain.clone()), OverV4::LEN), (plain, 0)] {
                let ip = &frames.head[at + ether::LEN..][..ipv4::LEN];
                let words: Vec<u16> = ip
                    .chunks(2)
                    .map(|w| u16::from_be_bytes([w[0], w[1]]))
                    .collect();
                assert_eq!(checksum::sum::<10>(words.try_into().expect("ten")), 0xFFFF);
                let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
                assert_eq!(total + ether::LEN + at, usize::from(frames.length));
                let key = &frames.head[frames.key_offset..][..4];
                assert_eq!(key, frames.first_key.to_be_bytes());
                assert_eq!(frames.checksum_offset, Some(at + ether::LEN + 10));
            }
        }
    }
}
