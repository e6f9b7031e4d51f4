//! Packets with other addresses, and who asks an uplink for a PA.
//!
//! Checksums are updated word by word for every word that changed (RFC 1624, equation 3), for the
//! programs do so for the sum of all changes.

use dataplane_common::{
    abi::rewrite::RewriteEntry,
    forward::{
        self, Tables,
        neighbour::NeighbourReply,
        outer,
        parse::{self, Headers, Kind},
        rewrite::{Back, Pair},
    },
    id::Address,
    reason::DropReason,
    wire::{
        ether::{self, EthHeader},
        icmp::{self, Advertisement},
        ipv6::{self, Ipv6Header},
    },
};

use super::{
    Ends, Said, bytes,
    bytes::{Bytes, bytes_of, edited},
};
use crate::{policy::SENDER, want::Want};

/// What became of the packet, and whether XDP leaves it to TC.
type Fate = Result<Said, Ends>;

/// What an uplink got that is no NVGRE packet for this host.
pub(super) fn ingress(tables: &impl Tables, frame: &[u8]) -> Fate {
    let Some(config) = tables.config().filter(|config| config.rewrites != 0) else {
        return Ok(Want::Passed.into());
    };
    debug_assert_eq!(config.rewrites, 1);
    let seen = Bytes(frame);
    if forward::rewrite::is_question(&seen) {
        return Ok(Said {
            want: asked(tables, frame),
            left_by_xdp: true,
        });
    }
    let to = outer::ip(&seen).and_then(|ip| forward::rewrite::receiver(tables, &seen, &ip));
    match to {
        Some(to) => back(tables, to, frame),
        None => Ok(Want::Passed.into()),
    }
}

/// For the PA of a port here.
fn back(tables: &impl Tables, to: &RewriteEntry, frame: &[u8]) -> Fate {
    let headers = parse::headers(&Bytes(frame), 0)?;
    let decided = forward::rewrite::ingress(tables, to, &headers);
    let decided = decided.map_err(|halt| Ends(halt, frame.to_vec()));
    let fate = decided.and_then(|Back { deliver, pair }| {
        let frame = edited(frame, &headers, &deliver.edit);
        let frame = readdressed(frame, &headers, &pair)?;
        Ok(Want::Delivered(0, deliver.slot, frame))
    });
    let left_by_xdp = headers.is_error();
    match fate {
        Ok(want) => Ok(Said { want, left_by_xdp }),
        Err(Ends(halt, _)) if left_by_xdp && halt.punt.is_none() => Ok(Said {
            want: Want::Dropped(0, halt.reason),
            left_by_xdp,
        }),
        Err(ends) => Err(ends),
    }
}

fn asked(tables: &impl Tables, frame: &[u8]) -> Want {
    let Ok(headers) = parse::headers(&Bytes(frame), 0) else {
        return Want::Passed;
    };
    let Some(mac) = forward::rewrite::answer(tables, SENDER, &headers) else {
        return Want::Passed;
    };
    let router = false;
    if headers.kind == Kind::ArpRequest {
        let reply = NeighbourReply { mac, router };
        return Want::Replied(0, bytes::replied(frame, &headers, reply));
    }
    let (target, asker) = (headers.target, headers.src);
    let (to, told, message) = if asker.is_unspecified() {
        let message = Advertisement::to_all(target, mac);
        (icmp::ALL_NODES_MAC, icmp::ALL_NODES, message)
    } else {
        let message = Advertisement::solicited(target, mac, router, asker);
        (headers.eth.src, asker, message)
    };
    let message = bytes_of(&message);
    let len = u16::try_from(message.len()).expect("short");
    let eth = EthHeader::new(to, mac, ether::IPV6);
    let ip = Ipv6Header::new((0, 0), (ipv6::ICMP, 255), len, target, told);
    Want::Replied(0, [bytes_of(&eth), bytes_of(&ip), message].concat())
}

/// The frame with these addresses.
pub(super) fn readdressed(
    mut frame: Vec<u8>,
    headers: &Headers,
    pair: &Pair,
) -> Result<Vec<u8>, DropReason> {
    let old = octets(headers.src, headers.dst);
    let new = octets(pair.src, pair.dst);
    let v4 = old.len() == 8;
    put_addresses(&mut frame, ether::LEN, &new);
    let upper = headers.l4 as usize;
    if let Some(at) = checksum(v4, headers.protocol).filter(|_| !headers.later) {
        let at = upper + at;
        if end(&frame, v4) < at + 2 {
            return Err(DropReason::Truncated);
        }
        resum(&mut frame, at, headers.protocol, (&old, &new));
    }
    if headers.is_error() {
        requote(&mut frame, upper, v4, (&old, &new)).ok_or(DropReason::NatNotCarried)?;
    }
    Ok(frame)
}

/// The quoted packet went the other way. The error's checksum covers every byte of it that changes.
fn requote(frame: &mut [u8], upper: usize, v4: bool, (old, new): (&[u8], &[u8])) -> Option<()> {
    let (quote, end) = (upper + 8, end(frame, v4));
    let half = old.len() / 2;
    let turned = |pair: &[u8]| [&pair[half..], &pair[..half]].concat();
    let (old, new) = (turned(old), turned(new));
    let at = addresses_at(v4);
    if frame.get(quote + at..quote + at + old.len())? != old {
        return None;
    }
    if v4 && frame[quote] & 15 < 5 {
        return None;
    }
    let before = frame[quote..].to_vec();
    put_addresses(frame, quote, &new);
    let (len, protocol) = if v4 {
        let later = u16::from_be_bytes([before[6], before[7]]) & 0x1FFF != 0;
        let protocol = if later { 0 } else { before[9] };
        (usize::from(before[0] & 15) * 4, protocol)
    } else {
        (40, before[6])
    };
    if let Some(at) = checksum(v4, protocol)
        && end >= quote + len + at + 2
    {
        resum(frame, quote + len + at, protocol, (&old, &new));
    }
    let after = frame[quote..].to_vec();
    resum(frame, upper + 2, icmp::V4, (&before, &after));
    Some(())
}

/// Where the packet ends: a frame may have padding behind it.
fn end(frame: &[u8], v4: bool) -> usize {
    let word = |at: usize| usize::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    if v4 { 14 + word(16) } else { 54 + word(18) }
}

/// Where the addresses of a header are.
const fn addresses_at(v4: bool) -> usize {
    if v4 { 12 } else { 8 }
}

/// Writes both addresses into the header at `at`, and makes the checksum of an IPv4 header right.
fn put_addresses(frame: &mut [u8], at: usize, new: &[u8]) {
    let v4 = new.len() == 8;
    let there = at + addresses_at(v4);
    let there = there..there + new.len();
    let old = frame[there.clone()].to_vec();
    frame[there].copy_from_slice(new);
    if v4 {
        resum(frame, at + 10, 0, (&old, new));
    }
}

/// Where the checksum is that covers addresses (RFC 9293, 768, 3828, 4340, 4443).
const fn checksum(v4: bool, protocol: u8) -> Option<usize> {
    match (protocol, v4) {
        (6, _) => Some(16),
        (17 | 33 | 136, _) => Some(6),
        (58, false) => Some(2),
        _ => None,
    }
}

/// Updates the checksum at `at`. Zero is none in UDP, and what comes out as zero is sent as its
/// complement.
fn resum(frame: &mut [u8], at: usize, protocol: u8, (old, new): (&[u8], &[u8])) {
    let optional = matches!(protocol, 17 | 136);
    let was = u16::from_be_bytes([frame[at], frame[at + 1]]);
    if optional && was == 0 {
        return;
    }
    let updated = match updated(was, old, new) {
        0 if optional => 0xFFFF,
        sum => sum,
    };
    frame[at..at + 2].copy_from_slice(&updated.to_be_bytes());
}

/// HC' = ~(~HC + ~m + m'), for each word that changed.
fn updated(sum: u16, old: &[u8], new: &[u8]) -> u16 {
    let words = |bytes: &[u8]| -> Vec<u16> {
        let words = bytes.chunks(2);
        words
            .map(|word| u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]))
            .collect()
    };
    let mut total = u64::from(!sum);
    for (old, new) in words(old).into_iter().zip(words(new)) {
        if old != new {
            total += u64::from(!old) + u64::from(new);
        }
    }
    while total > 0xFFFF {
        total = (total & 0xFFFF) + (total >> 16);
    }
    !u16::try_from(total).expect("folded")
}

fn octets(src: Address, dst: Address) -> Vec<u8> {
    let octets = |address: Address| {
        if address.is_v4() {
            address.to_v4().to_vec()
        } else {
            address.to_bytes().to_vec()
        }
    };
    [octets(src), octets(dst)].concat()
}
