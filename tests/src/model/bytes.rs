//! Frames in memory, and what a verdict changes in them.

use dataplane_common::{
    forward::{
        Edit,
        neighbour::NeighbourReply,
        parse::{Frame, Headers, Kind},
    },
    wire::{
        Wire, checksum, ether,
        ether::EthHeader,
        icmp::IcmpHeader,
        ipv4::Ipv4Header,
        ipv6::{self, Ipv6Header},
    },
};

/// A frame in a slice.
pub struct Bytes<'a>(pub &'a [u8]);

impl Frame for Bytes<'_> {
    fn len(&self) -> u32 {
        u32::try_from(self.0.len()).expect("short")
    }
    fn gso_size(&self) -> u32 {
        0
    }
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        let bytes = self.0.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: the slice is as long as `T`, and any bytes are a valid `Wire`.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
}

/// The bytes of a header.
pub(super) fn bytes_of<T: Wire>(value: &T) -> Vec<u8> {
    let bytes = std::ptr::from_ref(value).cast::<u8>();
    // SAFETY: a `Wire` has no padding, so all of its bytes are written.
    unsafe { std::slice::from_raw_parts(bytes, size_of::<T>()) }.to_vec()
}

fn put<T: Wire>(frame: &mut [u8], at: usize, value: &T) {
    frame[at..at + size_of::<T>()].copy_from_slice(&bytes_of(value));
}

/// Changes the header at this offset.
fn change<T: Wire>(frame: &mut [u8], at: usize, change: impl FnOnce(T) -> T) {
    let value: T = Bytes(frame).load(at).expect("the decision has seen it");
    put(frame, at, &change(value));
}

/// The frame as the decision has it changed.
pub(super) fn edited(frame: &[u8], headers: &Headers, edit: &Edit) -> Vec<u8> {
    let mut frame = frame.to_vec();
    if edit.ttl != headers.ttl || edit.tos != headers.tos {
        if headers.eth.ethertype() == ether::IPV4 {
            change(&mut frame, ether::LEN, |ip: Ipv4Header| {
                ip.with_ttl(edit.ttl).with_tos(edit.tos)
            });
        } else {
            change(&mut frame, ether::LEN, |ip: Ipv6Header| {
                ip.with_hop_limit(edit.ttl).with_tos(edit.tos)
            });
        }
    }
    if edit.mss != 0 {
        clamp(&mut frame, headers.l4 as usize, edit.mss);
    }
    put::<EthHeader>(&mut frame, 0, &edit.eth);
    frame
}

/// Lowers the segment size of a SYN. Six options are looked at.
fn clamp(frame: &mut [u8], tcp: usize, most: u16) {
    let syn = frame.get(tcp + 13).is_some_and(|flags| flags & 2 != 0);
    let mut at = tcp + 20;
    for _ in 0..6 {
        let Some(&[kind, len, high, low]) = frame.get(at..at + 4) else {
            return;
        };
        match (kind, len) {
            _ if !syn => return,
            (1, _) => at += 1,
            (0, _) | (_, 0 | 1) => return,
            (2, 4) => {
                let was = u16::from_be_bytes([high, low]);
                if was > most {
                    let sum = u16::from_be_bytes([frame[tcp + 16], frame[tcp + 17]]);
                    let odd = at % 2 != tcp % 2;
                    let in_sum = |word: u16| if odd { word.swap_bytes() } else { word };
                    let sum = checksum::update(sum, in_sum(was), in_sum(most));
                    frame[tcp + 16..tcp + 18].copy_from_slice(&sum.to_be_bytes());
                    frame[at + 2..at + 4].copy_from_slice(&most.to_be_bytes());
                }
                return;
            }
            (_, len) => at += usize::from(len),
        }
    }
}

/// The answer in place of a question about a CA.
pub(super) fn replied(frame: &[u8], question: &Headers, reply: NeighbourReply) -> Vec<u8> {
    let mut frame = frame.to_vec();
    put(&mut frame, 0, &reply.eth(question));
    if question.kind == Kind::ArpRequest {
        put(&mut frame, ether::LEN, &reply.arp(question));
    } else {
        let (ip, message) = reply.advertisement(question);
        put(&mut frame, ether::LEN, &ip);
        put(&mut frame, ether::LEN + ipv6::LEN, &message);
    }
    frame
}

/// The gateway's answer to a ping.
pub(super) fn turned(frame: &[u8], headers: &Headers) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let eth = headers.eth;
    put(
        &mut frame,
        0,
        &EthHeader::new(eth.src, eth.dst, eth.ethertype()),
    );
    let kind = if headers.kind == Kind::Ipv4 {
        change(&mut frame, ether::LEN, |ip: Ipv4Header| {
            ip.turned().with_ttl(64)
        });
        0
    } else {
        change(&mut frame, ether::LEN, |ip: Ipv6Header| {
            ip.turned().with_hop_limit(64)
        });
        129
    };
    let l4 = headers.l4 as usize;
    change(&mut frame, l4, |icmp: IcmpHeader| icmp.with_kind(kind));
    frame
}
