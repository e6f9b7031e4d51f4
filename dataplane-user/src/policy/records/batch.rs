//! Records of one request, in its order.

use std::{collections::BTreeMap, net::IpAddr};

use dataplane_common::id::Mac;

use super::{
    names::Names,
    record::{Extra, Kind, Record},
    set::At,
};
use crate::policy::{
    document::{Document, Envelope, LookupRecordSpec, RecordType},
    source::RecordLine,
};

/// Records that belong together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) names: Names,
    pub(super) items: Vec<New>,
    /// By place in `items`.
    pub(super) extras: BTreeMap<usize, Extra>,
    /// Of the last line.
    last: Option<Kind>,
}

/// A record of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct New {
    pub(super) vsid: u32,
    pub(super) ca: IpAddr,
    pub(super) mac: Mac,
    pub(super) pa: u32,
    pub(super) kind: u32,
}

impl New {
    pub(super) const fn at(&self) -> At {
        (self.vsid, self.ca)
    }
}

impl Batch {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds a record.
    pub fn push(&mut self, record: &Record<'_>) {
        if let Some(extra) = record.extra {
            self.extras.insert(self.items.len(), extra.clone());
        }
        self.items.push(New {
            vsid: record.vsid,
            ca: record.ca,
            mac: record.mac,
            pa: self.names.pas.of(&record.pa),
            kind: self.names.kinds.of(record.kind),
        });
    }

    /// Adds the record of a document, if it is one of a station; `kind` says when it was written.
    pub fn push_document(&mut self, document: &Document, (revision, apart): (u64, bool)) -> bool {
        let Some((document, network)) = station(document) else {
            return false;
        };
        let (metadata, spec) = (&document.metadata, &document.spec);
        let kind = Kind {
            network: network.into(),
            rule: spec.rule,
            use_vm_mac: spec.use_vm_mac_address,
            record_type: spec.record_type,
            revision,
            apart,
        };
        let extra = Extra {
            name: metadata.name.clone(),
            labels: metadata.labels.clone(),
            vm_name: spec.vm_name.clone(),
            context: spec.context.clone(),
        };
        self.push(&Record {
            vsid: spec.virtual_subnet_id,
            ca: spec.customer_address,
            mac: spec.mac_address.0,
            pa: spec.provider_address,
            kind: &kind,
            extra: Some(&extra).filter(|extra| **extra != Extra::default()),
        });
        true
    }

    /// Adds the record of a line.
    pub fn push_line(&mut self, line: &RecordLine<'_>) {
        if !self.last.as_ref().is_some_and(|kind| line.is_of(kind)) {
            self.last = Some(Kind {
                network: line.network.into(),
                rule: line.rule,
                use_vm_mac: line.use_vm_mac,
                record_type: line.record_type,
                revision: Kind::NOW,
                apart: false,
            });
        }
        let Some(kind) = self.last.take() else { return };
        let extra = line.vm_name.map(|name| Extra {
            vm_name: Some(name.to_owned()),
            ..Extra::default()
        });
        self.push(&Record {
            vsid: line.vsid,
            ca: line.ca,
            mac: line.mac,
            pa: line.pa,
            kind: &kind,
            extra: extra.as_ref(),
        });
        self.last = Some(kind);
    }

    /// The record at a place.
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        let item = self.items.get(index)?;
        Some(Record {
            vsid: item.vsid,
            ca: item.ca,
            mac: item.mac,
            pa: self.names.pas.values[item.pa as usize],
            kind: &self.names.kinds.values[item.kind as usize],
            extra: self.extras.get(&index),
        })
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.items.len()).filter_map(|index| self.get(index))
    }

    /// Whether two are of the same CA.
    pub fn has_twins(&self) -> bool {
        let key = |item: &New| item.at();
        if self.items.is_sorted_by(|one, two| key(one) < key(two)) {
            return false;
        }
        let mut keys: Vec<At> = self.items.iter().map(key).collect();
        keys.sort_unstable();
        keys.windows(2).any(|pair| pair[0] == pair[1])
    }
}

/// The record of a station with a CA, and its VM network.
fn station(document: &Document) -> Option<(&Envelope<LookupRecordSpec>, &str)> {
    let Document::LookupRecord(document) = document else {
        return None;
    };
    let (spec, ca) = (&document.spec, document.spec.customer_address);
    let station = matches!(spec.record_type, RecordType::Static | RecordType::Dynamic);
    let unicast = !ca.is_multicast() && !ca.is_unspecified();
    let network = document.metadata.vm_network.as_deref()?;
    (station && unicast).then_some((document, network))
}
