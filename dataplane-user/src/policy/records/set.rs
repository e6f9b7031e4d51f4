//! The lookup records of stations that documents state, compactly: some twenty bytes each.

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use dataplane_common::id::Mac;

use super::{
    batch::{Batch, New},
    chunks::Chunks,
    entry::Entry,
    names::{Names, Octets, Sites},
    record::{Extra, Kind, Record},
};
use crate::policy::document::Rule;

/// Names a record.
pub type At = (u32, IpAddr);

/// All of them, by VSID and CA. Copies share what is alike.
#[derive(Clone, Debug, Default)]
pub struct Records {
    subnets: BTreeMap<u32, Cas>,
    names: Arc<Names>,
    extras: Arc<BTreeMap<At, Extra>>,
    len: usize,
    /// Known once somebody asked.
    places: OnceLock<Arc<Vec<Place>>>,
}

/// A PA of a subnet's records, and the rule of those that have it.
pub type Place = (u32, IpAddr, Option<Rule>);

/// The records of a subnet, by family.
#[derive(Clone, Debug, Default)]
struct Cas {
    v4: Chunks<Stated<[u8; 4]>>,
    v6: Chunks<Stated<[u8; 16]>>,
}

/// A record in a subnet, 14 bytes with an IPv4 CA; with the number of its PA and kind
/// ([`Names::sites`]).
type Stated<A> = Entry<A, [u8; 4]>;

const _: () = assert!(size_of::<Stated<[u8; 4]>>() == 14);

impl<A> Stated<A> {
    const fn number(&self) -> usize {
        u32::from_ne_bytes(self.site) as usize
    }
}

impl Records {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, by VSID and CA.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.subnets.keys().flat_map(|vsid| self.of(*vsid))
    }

    /// Those of a subnet.
    pub fn of(&self, vsid: u32) -> impl Iterator<Item = Record<'_>> {
        let cas = self.subnets.get(&vsid).into_iter();
        cas.flat_map(move |cas| {
            let v4 = cas.v4.iter().map(move |entry| self.record(vsid, entry));
            let v6 = cas.v6.iter().map(move |entry| self.record(vsid, entry));
            v4.chain(v6)
        })
    }

    /// Those of a subnet with one of some MACs.
    pub fn with_macs(
        &self,
        vsid: u32,
        wanted: impl Fn(Mac) -> bool + Copy,
    ) -> impl Iterator<Item = Record<'_>> {
        let cas = self.subnets.get(&vsid).into_iter();
        cas.flat_map(move |cas| {
            let v4 = cas.v4.iter().filter(move |entry| wanted(entry.mac));
            let v6 = cas.v6.iter().filter(move |entry| wanted(entry.mac));
            let v4 = v4.map(move |entry| self.record(vsid, entry));
            v4.chain(v6.map(move |entry| self.record(vsid, entry)))
        })
    }

    /// Those of a subnet from a CA on, of its family.
    pub fn from(&self, (vsid, ca): At) -> Box<dyn Iterator<Item = Record<'_>> + '_> {
        let Some(cas) = self.subnets.get(&vsid) else {
            return Box::new(std::iter::empty());
        };
        match ca {
            IpAddr::V4(ca) => {
                let found = cas.v4.from(ca.octets());
                Box::new(found.map(move |entry| self.record(vsid, entry)))
            }
            IpAddr::V6(ca) => {
                let found = cas.v6.from(ca.octets());
                Box::new(found.map(move |entry| self.record(vsid, entry)))
            }
        }
    }

    /// The subnets with records.
    pub fn subnets(&self) -> impl Iterator<Item = u32> {
        self.subnets.keys().copied()
    }

    /// Each PA of each subnet with each rule, once.
    pub fn places(&self) -> &[Place] {
        self.places.get_or_init(|| Arc::new(self.find_places()))
    }

    fn find_places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (vsid, cas) in &self.subnets {
            let mut seen = HashSet::new();
            let mut last = None;
            let v4 = cas.v4.iter().map(Stated::number);
            for site in v4.chain(cas.v6.iter().map(Stated::number)) {
                if last.replace(site) != Some(site) && seen.insert(site) {
                    let (pa, kind) = self.names.site(site);
                    places.push((*vsid, pa, kind.rule));
                }
            }
        }
        places
    }

    /// Those with something that few have.
    pub fn with_extras(&self) -> impl Iterator<Item = Record<'_>> {
        self.extras.keys().filter_map(|at| self.get(*at))
    }

    /// One of them.
    pub fn get(&self, (vsid, ca): At) -> Option<Record<'_>> {
        let cas = self.subnets.get(&vsid)?;
        match ca {
            IpAddr::V4(ca) => Some(self.record(vsid, cas.v4.get(ca.octets())?)),
            IpAddr::V6(ca) => Some(self.record(vsid, cas.v6.get(ca.octets())?)),
        }
    }

    /// Puts a record in place.
    pub fn put(&mut self, record: &Record<'_>) {
        let mut batch = Batch::default();
        batch.push(record);
        self.merge(&batch);
    }

    /// Removes one.
    pub fn remove(&mut self, (vsid, ca): At) -> bool {
        self.places.take();
        let Some(cas) = self.subnets.get_mut(&vsid) else {
            return false;
        };
        let removed = match ca {
            IpAddr::V4(ca) => cas.v4.remove(ca.octets()).is_some(),
            IpAddr::V6(ca) => cas.v6.remove(ca.octets()).is_some(),
        };
        if cas.v4.is_empty() && cas.v6.is_empty() {
            self.subnets.remove(&vsid);
        }
        if self.extras.contains_key(&(vsid, ca)) {
            Arc::make_mut(&mut self.extras).remove(&(vsid, ca));
        }
        self.len -= usize::from(removed);
        removed
    }

    /// Puts the records of a batch in place, the last of those of one CA.
    pub fn merge(&mut self, batch: &Batch) {
        self.places.take();
        let names = Arc::make_mut(&mut self.names);
        let mut sites = Sites::of(names, &batch.names);
        let mut order: Vec<u32> = (0..).take(batch.items.len()).collect();
        let items = &batch.items;
        let sorted = items.is_sorted_by(|one, two| one.at() < two.at());
        if !sorted {
            order.sort_by_key(|index| items[*index as usize].at());
        }
        let places = order.chunk_by(|one, two| {
            let (one, two) = (&items[*one as usize], &items[*two as usize]);
            one.vsid == two.vsid && one.ca.is_ipv4() == two.ca.is_ipv4()
        });
        for place in places {
            let items = place.iter().map(|index| &items[*index as usize]);
            let Some(first) = items.clone().next() else {
                continue;
            };
            let cas = self.subnets.entry(first.vsid).or_default();
            let before = cas.v4.len() + cas.v6.len();
            match first.ca {
                IpAddr::V4(_) => cas.v4.merge(entries(items, &mut sites)),
                IpAddr::V6(_) => cas.v6.merge(entries(items, &mut sites)),
            }
            self.len += cas.v4.len() + cas.v6.len() - before;
        }
        for (index, item) in items.iter().enumerate() {
            let extra = batch.extras.get(&index);
            if extra.is_none() && self.extras.is_empty() {
                continue;
            }
            let extras = Arc::make_mut(&mut self.extras);
            match extra {
                Some(extra) => drop(extras.insert(item.at(), extra.clone())),
                None => drop(extras.remove(&item.at())),
            }
        }
        self.tidy();
    }

    /// Writes the revision of what was being written.
    pub fn written(&mut self, revision: u64) {
        let fresh = |kind: &Kind| kind.revision == Kind::NOW;
        if self.names.kinds.values.iter().any(fresh) {
            Arc::make_mut(&mut self.names).written(revision);
        }
    }

    /// Forgets what no record says any more, once that is most of it.
    fn tidy(&mut self) {
        if self.names.len() < 4096 + 2 * self.len {
            return;
        }
        let mut batch = Batch::default();
        self.iter().for_each(|record| batch.push(&record));
        let mut fresh = Self::default();
        if !batch.is_empty() {
            fresh.merge(&batch);
        }
        *self = fresh;
    }

    fn record<A: Copy + Into<IpAddr>>(&self, vsid: u32, entry: &Stated<A>) -> Record<'_> {
        let ca = entry.ca.into();
        let extra = if self.extras.is_empty() {
            None
        } else {
            self.extras.get(&(vsid, ca))
        };
        let (pa, kind) = self.names.site(entry.number());
        Record {
            vsid,
            ca,
            mac: entry.mac,
            pa,
            kind,
            extra,
        }
    }
}

/// Items as entries; of the same CA the last.
fn entries<'b, A: Octets>(
    items: impl ExactSizeIterator<Item = &'b New>,
    sites: &mut Sites<'_>,
) -> Vec<Stated<A>> {
    let mut entries: Vec<Stated<A>> = Vec::with_capacity(items.len());
    for item in items {
        let Some(ca) = A::of(item.ca) else { continue };
        entries.pop_if(|last| last.ca == ca);
        let (mac, site) = (item.mac, sites.number(item.pa, item.kind).to_ne_bytes());
        entries.push(Entry { ca, mac, site });
    }
    entries
}

impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        if self.len != other.len || self.extras != other.extras {
            return false;
        }
        if Arc::ptr_eq(&self.names, &other.names) {
            let cas = self.subnets.iter().zip(&other.subnets);
            return cas.into_iter().all(|((one, own), (two, theirs))| {
                one == two && own.v4 == theirs.v4 && own.v6 == theirs.v6
            });
        }
        let same = |(one, two): (Record<'_>, Record<'_>)| one == two;
        self.iter().zip(other.iter()).all(same)
    }
}

impl Eq for Records {}
