//! Lookup records of stations in the store: those of 256 neighbouring CAs together, nine bytes each.
//!
//! A block has the key `lookuprecords/VSID/FAMILY/PREFIX`, the numbers in hexadecimal. All numbers
//! in its value are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version of the form |
//! | 2 | number of kinds, then each: flags (1), revision (8; 0: the block's), VM network (1 + so many) |
//! | 2 | number of PAs, then each: 4 or 16, and so many |
//! | 2 | number of records, then each: last byte of the CA, MAC (6), kind (1), PA (1) |
//! | 2 | number of extras, then each: last byte of the CA, length (4), JSON |

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use dataplane_common::id::Mac;
use serde::de::Error as _;

use super::ROOT;
use crate::{
    policy::{
        document::{RecordType, Rule},
        records::{At, Batch, Extra, Kind, Record, Records},
    },
    store::{Op, StoreError},
};

/// Prefix of the blocks, behind [`ROOT`].
const BLOCKS: &str = "lookuprecords/";
const VERSION: u8 = 1;

const USE_VM_MAC: u8 = 4;
const LEARNED: u8 = 8;

/// A block: VSID, and the first of its CAs.
pub(super) type Block = (u32, IpAddr);

/// The block of a record.
pub(super) fn block_of((vsid, ca): At) -> Block {
    let first = match ca {
        IpAddr::V4(ca) => Ipv4Addr::from_bits(ca.to_bits() & !0xff).into(),
        IpAddr::V6(ca) => Ipv6Addr::from_bits(ca.to_bits() & !0xff).into(),
    };
    (vsid, first)
}

fn key_of((vsid, first): Block) -> String {
    match first {
        IpAddr::V4(first) => format!("{ROOT}{BLOCKS}{vsid:08x}/4/{:06x}", first.to_bits() >> 8),
        IpAddr::V6(first) => format!("{ROOT}{BLOCKS}{vsid:08x}/6/{:030x}", first.to_bits() >> 8),
    }
}

/// The block of what is behind [`BLOCKS`] in a key.
fn block_at(rest: &str) -> Option<Block> {
    let (vsid, rest) = rest.split_once('/')?;
    let vsid = u32::from_str_radix(vsid, 16).ok()?;
    let first = match rest.split_once('/')? {
        ("4", prefix) => Ipv4Addr::from_bits(u32::from_str_radix(prefix, 16).ok()? << 8).into(),
        ("6", prefix) => Ipv6Addr::from_bits(u128::from_str_radix(prefix, 16).ok()? << 8).into(),
        _ => return None,
    };
    Some((vsid, first))
}

/// What has to be written so that the store has these blocks as `records` has them.
pub(super) fn ops(blocks: &BTreeSet<Block>, records: &Records) -> Vec<Op> {
    let op = |block: &Block| {
        let key = key_of(*block);
        let found = records.from(*block);
        let found: Vec<Record<'_>> = found
            .take_while(|record| block_of((record.vsid, record.ca)) == *block)
            .filter(|record| !record.kind.apart)
            .collect();
        if found.is_empty() {
            return Op::Delete { key };
        }
        let value = encode(&found);
        Op::Put { key, value }
    };
    blocks.iter().map(op).collect()
}

fn encode(records: &[Record<'_>]) -> Vec<u8> {
    let (mut kinds, mut pas): (Vec<&Kind>, Vec<IpAddr>) = (Vec::new(), Vec::new());
    let (mut items, mut extras) = (Vec::with_capacity(9 * records.len()), Vec::new());
    let mut extra_count = 0;
    for record in records {
        let last = last_byte(record.ca);
        items.push(last);
        items.extend(record.mac.0);
        items.push(number(&mut kinds, record.kind));
        items.push(number(&mut pas, record.pa));
        if let Some(extra) = record.extra {
            let json = serde_json::to_vec(extra).expect("names and labels are plain data");
            extra_count += 1;
            extras.push(last);
            extras.extend(u32::try_from(json.len()).unwrap_or(u32::MAX).to_le_bytes());
            extras.extend(json);
        }
    }
    let mut value = vec![VERSION];
    value.extend(count(kinds.len()));
    for kind in kinds {
        value.push(flags(kind));
        value.extend(kind.revision.to_le_bytes());
        value.push(u8::try_from(kind.network.len()).unwrap_or(u8::MAX));
        value.extend(kind.network.bytes());
    }
    value.extend(count(pas.len()));
    for pa in pas {
        match pa {
            IpAddr::V4(pa) => value.extend([&[4], &pa.octets()[..]].concat()),
            IpAddr::V6(pa) => value.extend([&[16], &pa.octets()[..]].concat()),
        }
    }
    value.extend(count(records.len()));
    value.extend(items);
    value.extend(count(extra_count));
    value.extend(extras);
    value
}

/// The place of a value in a list, which gets it if it has not; a block has 256 records at most.
fn number<T: PartialEq>(list: &mut Vec<T>, value: T) -> u8 {
    let found = list.iter().rposition(|known| *known == value);
    let place = found.unwrap_or_else(|| {
        list.push(value);
        list.len() - 1
    });
    u8::try_from(place).expect("a block has 256 records at most")
}

fn count(count: usize) -> [u8; 2] {
    let count = u16::try_from(count).expect("a block has 256 records at most");
    count.to_le_bytes()
}

const fn last_byte(ca: IpAddr) -> u8 {
    match ca {
        IpAddr::V4(ca) => ca.octets()[3],
        IpAddr::V6(ca) => ca.octets()[15],
    }
}

fn flags(kind: &Kind) -> u8 {
    let rule = match kind.rule {
        None => 0,
        Some(Rule::TranslationMethodEncap) => 1,
        Some(Rule::TranslationMethodNat) => 2,
        Some(Rule::TranslationMethodNone) => 3,
    };
    let learned = kind.record_type == RecordType::Dynamic;
    rule | if kind.use_vm_mac { USE_VM_MAC } else { 0 } | if learned { LEARNED } else { 0 }
}

/// Adds the records of a block to a batch; `false`: the key is that of something else.
pub(super) fn read(
    (key, value): (&str, &[u8]),
    revision: u64,
    batch: &mut Batch,
) -> Result<bool, StoreError> {
    let rest = key.strip_prefix(ROOT);
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix(BLOCKS)) else {
        return Ok(false);
    };
    let decoded = block_at(rest).and_then(|block| decode(block, value, revision, batch));
    let bad = || StoreError::BadValue {
        key: key.to_owned(),
        source: serde_json::Error::custom("it is no block of lookup records"),
    };
    decoded.map(|()| true).ok_or_else(bad)
}

fn decode(block: Block, value: &[u8], revision: u64, batch: &mut Batch) -> Option<()> {
    let mut rest = Reader(value);
    if rest.array()? != [VERSION] {
        return None;
    }
    let kinds = rest.list(|rest| {
        let [flags] = rest.array()?;
        let written = u64::from_le_bytes(rest.array()?);
        let [length] = rest.array()?;
        let network = std::str::from_utf8(rest.take(length.into())?).ok()?;
        let revision = if written == Kind::NOW {
            revision
        } else {
            written
        };
        kind(flags, network, revision)
    })?;
    let pas = rest.list(|rest| match rest.array()? {
        [4] => rest.array::<4>().map(IpAddr::from),
        [16] => rest.array::<16>().map(IpAddr::from),
        _ => None,
    })?;
    let count = rest.count()?;
    let items = rest.take(9 * count)?;
    let extras = rest.list(|rest| {
        let [last] = rest.array()?;
        let length = usize::try_from(u32::from_le_bytes(rest.array()?)).ok()?;
        let extra: Extra = serde_json::from_slice(rest.take(length)?).ok()?;
        Some((last, extra))
    })?;
    for item in items.as_chunks::<9>().0 {
        let [last, mac @ .., kind, pa] = *item;
        let mac: [u8; 6] = mac;
        let extra = extras.iter().find(|(of, _)| *of == last);
        batch.push(&Record {
            vsid: block.0,
            ca: with_last(block.1, last),
            mac: Mac(mac),
            pa: *pas.get(usize::from(pa))?,
            kind: kinds.get(usize::from(kind))?,
            extra: extra.map(|(_, extra)| extra),
        });
    }
    rest.0.is_empty().then_some(())
}

fn kind(flags: u8, network: &str, revision: u64) -> Option<Kind> {
    Some(Kind {
        network: network.into(),
        rule: match flags & 3 {
            0 => None,
            1 => Some(Rule::TranslationMethodEncap),
            2 => Some(Rule::TranslationMethodNat),
            _ => Some(Rule::TranslationMethodNone),
        },
        use_vm_mac: flags & USE_VM_MAC != 0,
        record_type: if flags & LEARNED == 0 {
            RecordType::Static
        } else {
            RecordType::Dynamic
        },
        revision,
        apart: false,
    })
    .filter(|_| flags & !(3 | USE_VM_MAC | LEARNED) == 0)
}

const fn with_last(first: IpAddr, last: u8) -> IpAddr {
    match first {
        IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() | last as u32)),
        IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from_bits(first.to_bits() | last as u128)),
    }
}

/// Bytes that are still to be read.
struct Reader<'v>(&'v [u8]);

impl<'v> Reader<'v> {
    fn take(&mut self, count: usize) -> Option<&'v [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A number of items, and they.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.count()?).map(|_| item(self)).collect()
    }

    fn count(&mut self) -> Option<usize> {
        Some(u16::from_le_bytes(self.array()?).into())
    }
}

#[cfg(test)]
mod tests;
