//! The decision run in user space over tables: what the programs must agree with.

use std::time::Duration;

use dataplane_common::{
    abi::{lookup::LookupEntry, stats::Direction},
    forward::{
        self, Egress, Halt, Tables, ingress,
        parse::{self, Frame},
    },
    reason::DropReason,
    wire::{
        Wire,
        ether::{self, EthHeader},
        gre::GreHeader,
        ipv4::{self, Ipv4Header},
        outer,
    },
};

use rustix::time::{ClockId, clock_gettime};

use crate::policy::SENDER;

/// What the decision says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Into the underlay, in this VSID.
    Encapped(u32),
    /// To the port in this slot.
    Delivered(u32),
    /// Answered.
    Replied,
    /// Not ours.
    Passed,
    /// Dropped.
    Dropped(DropReason),
}

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

/// Decides. `verify`: whether the outer checksum is looked at.
pub fn decide(tables: &impl Tables, direction: Direction, frame: &[u8], verify: bool) -> Fate {
    let fate = match direction {
        Direction::Egress => egress(tables, frame),
        Direction::Ingress => ingress(tables, frame, verify),
    };
    fate.unwrap_or_else(|halt| Fate::Dropped(halt.reason))
}

fn egress(tables: &impl Tables, frame: &[u8]) -> Result<Fate, Halt> {
    let Some(port) = tables.vport(SENDER) else {
        return Err(DropReason::PortUnknown.into());
    };
    let tags = count_tags(frame);
    forward::egress::strip_tags(port, tags)?;
    let behind = 12 + usize::from(tags) * ether::TAG_LEN;
    let rest = frame.get(behind..).ok_or(DropReason::InnerVlan)?;
    let untagged = [&frame[..12], rest].concat();
    let headers = parse::headers(&Bytes(&untagged), 0)?;
    Ok(match forward::egress(tables, port, &headers)? {
        Egress::Encap(encap) => Fate::Encapped(encap.outer.gre.vsid_bits()),
        Egress::Deliver(deliver) => Fate::Delivered(deliver.port.slot),
        Egress::Reply(_) => Fate::Replied,
    })
}

fn count_tags(frame: &[u8]) -> u8 {
    let is_tag = |at: usize| {
        let bytes = frame.get(at..at + 2);
        bytes.is_some_and(|b| ether::is_tag(u16::from_be_bytes([b[0], b[1]])))
    };
    match [12, 16, 20].map(is_tag) {
        [false, ..] => 0,
        [true, false, _] => 1,
        [true, true, false] => 2,
        [true, true, true] => 3,
    }
}

fn ingress(tables: &impl Tables, frame: &[u8], verify: bool) -> Result<Fate, Halt> {
    let frame = Bytes(frame);
    let eth: Option<EthHeader> = frame.load(0);
    let Some(ip) = frame.load::<Ipv4Header>(ether::LEN) else {
        return Ok(Fate::Passed);
    };
    if eth.map(|eth| eth.ethertype()) != Some(ether::IPV4) || !ingress::is_ours(tables, &ip) {
        return Ok(Fate::Passed);
    }
    let word = frame.load(ingress::gre_offset(&ip)?);
    let word: [u8; 4] = word.ok_or(DropReason::Truncated)?;
    if !ingress::is_nvgre(tables, &ip, &GreHeader::from_word(word))? {
        return Ok(Fate::Passed);
    }
    ingress::outer_valid(&ip, frame.len(), verify)?;
    let gre: GreHeader = frame
        .load(ether::LEN + ipv4::LEN)
        .ok_or(DropReason::Truncated)?;
    let tunnel = ingress::tunnel(tables, &ip, &gre, frame.load(outer::LEN))?;
    let headers = parse::headers(&frame, outer::LEN)?;
    let accepted = ingress::ingress(tables, &tunnel, &headers)?;
    Ok(Fate::Delivered(accepted.deliver.port.slot))
}

/// The time as programs stamp records with it.
pub fn second() -> u32 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    let nanos = Duration::new(now.tv_sec.unsigned_abs(), 0).as_nanos()
        + u128::from(now.tv_nsec.unsigned_abs());
    u32::try_from(nanos >> LookupEntry::SECOND_SHIFT).expect("a hundred years")
}
