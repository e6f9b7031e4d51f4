//! What `LOOKUP` and `LOOKUP6` shall hold, or hold: 16 bytes a record with an IPv4 CA.

use std::{collections::BTreeMap, fmt, sync::Arc};

use dataplane_common::{
    abi::lookup::{LookupKey, LookupRecord},
    id::Address,
};

use super::{
    chunks::{Changed, Chunks},
    entry::Entry,
    sites::{Alike, Placed, Sites},
};

/// Sites without a record that a table may have whatever its size.
const SPARE: usize = 4096;

/// Lookup records by routing domain and CA. Copies share what is alike.
#[derive(Clone, Default)]
pub struct RecordTable {
    /// None is empty.
    domains: BTreeMap<u32, Domain>,
    sites: Arc<Sites>,
    len: usize,
}

/// The records of a routing domain, by family.
#[derive(Clone, Default)]
struct Domain {
    v4: Chunks<Placed<[u8; 4]>>,
    v6: Chunks<Placed<[u8; 16]>>,
    /// One of them may be [`LookupRecord::ON_DEMAND`].
    fetched: bool,
}

/// A change of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordChange {
    /// This record.
    Put(LookupKey, LookupRecord),
    /// None.
    Delete(LookupKey),
}

impl RecordTable {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The record of a key.
    pub fn get(&self, key: &LookupKey) -> Option<LookupRecord> {
        let domain = self.domains.get(&key.rdid)?;
        if key.ca.is_v4() {
            let entry = domain.v4.get(key.ca.to_v4())?;
            Some(self.sites.record(entry))
        } else {
            let entry = domain.v6.get(key.ca.to_bytes())?;
            Some(self.sites.record(entry))
        }
    }

    /// Whether there is a record of a key.
    pub fn contains_key(&self, key: &LookupKey) -> bool {
        self.get(key).is_some()
    }

    /// Puts a record in place; returns the former one.
    pub fn insert(&mut self, key: LookupKey, record: LookupRecord) -> Option<LookupRecord> {
        let (site, mac) = (self.sites.spot(&record), record.mac);
        let domain = self.domains.entry(key.rdid).or_default();
        domain.fetched |= record.has(LookupRecord::ON_DEMAND);
        let before = if key.ca.is_v4() {
            let ca = key.ca.to_v4();
            let before = domain.v4.insert(Entry { ca, mac, site });
            before.map(|entry| self.sites.record(&entry))
        } else {
            let ca = key.ca.to_bytes();
            let before = domain.v6.insert(Entry { ca, mac, site });
            before.map(|entry| self.sites.record(&entry))
        };
        self.len += usize::from(before.is_none());
        self.tidy();
        before
    }

    /// Removes the record of a key.
    pub fn remove(&mut self, key: &LookupKey) -> Option<LookupRecord> {
        let domain = self.domains.get_mut(&key.rdid)?;
        let removed = if key.ca.is_v4() {
            let removed = domain.v4.remove(key.ca.to_v4())?;
            self.sites.record(&removed)
        } else {
            let removed = domain.v6.remove(key.ca.to_bytes())?;
            self.sites.record(&removed)
        };
        if domain.len() == 0 {
            self.domains.remove(&key.rdid);
        }
        self.len -= 1;
        self.tidy();
        Some(removed)
    }

    /// Forgets the sites that no record is at any more, once that is most of them: a table that the
    /// kernel refuses changes of lives through many policies.
    fn tidy(&mut self) {
        if self.sites.len() >= SPARE + 2 * self.len {
            *self = self.iter().collect();
        }
    }

    /// All records, by routing domain.
    pub fn iter(&self) -> impl Iterator<Item = (LookupKey, LookupRecord)> {
        let domains = self.domains.iter();
        domains.flat_map(|(rdid, domain)| domain.iter(*rdid, &self.sites))
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = LookupKey> {
        self.iter().map(|(key, _)| key)
    }

    /// All records without their keys.
    pub fn values(&self) -> impl Iterator<Item = LookupRecord> {
        self.iter().map(|(_, record)| record)
    }

    /// Takes at most so many of the records out that `which` says.
    pub fn take(
        &mut self,
        most: usize,
        which: impl Fn(&LookupKey, &LookupRecord) -> bool,
    ) -> Vec<(LookupKey, LookupRecord)> {
        let found = self.iter().filter(|(key, record)| which(key, record));
        let found: Vec<_> = found.take(most).collect();
        for (key, _) in &found {
            self.remove(key);
        }
        found
    }

    /// What has to be done to a table that holds `old` so that it holds this, except for the records
    /// that it has only while they are in use ([`LookupRecord::ON_DEMAND`]). What both tables share
    /// costs nothing.
    pub fn each_change(&self, old: &Self, mut each: impl FnMut(RecordChange)) {
        let alike = Alike::of(&self.sites, &old.sites);
        let empty = Domain::default();
        for (rdid, domain) in &self.domains {
            let before = old.domains.get(rdid).unwrap_or(&empty);
            // What both have may have to go because it is on demand now.
            let lasting = domain.lasting(&self.sites);
            lasting.each_change(before, (*rdid, &alike, &self.sites), &mut each);
        }
        for (rdid, before) in &old.domains {
            if !self.domains.contains_key(rdid) {
                empty.each_change(before, (*rdid, &alike, &self.sites), &mut each);
            }
        }
    }

    /// The records that a table always has: shared as far as none is on demand.
    #[must_use]
    pub fn lasting(&self) -> Self {
        let domains = self.domains.iter();
        let domains = domains.map(|(rdid, domain)| (*rdid, domain.lasting(&self.sites)));
        let domains: BTreeMap<_, _> = domains.filter(|(_, domain)| domain.len() != 0).collect();
        Self {
            len: domains.values().map(Domain::len).sum(),
            domains,
            sites: Arc::clone(&self.sites),
        }
    }
}

impl Domain {
    const fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    fn iter(&self, rdid: u32, sites: &Sites) -> impl Iterator<Item = (LookupKey, LookupRecord)> {
        let v4 = self.v4.iter();
        let v4 = v4.map(move |entry| (v4_key(rdid, entry.ca), sites.record(entry)));
        let v6 = self.v6.iter();
        v4.chain(v6.map(move |entry| (v6_key(rdid, entry.ca), sites.record(entry))))
    }

    fn each_change(
        &self,
        old: &Self,
        (rdid, alike, sites): (u32, &Alike, &Sites),
        each: &mut impl FnMut(RecordChange),
    ) {
        let says = |new: &_, old: &_| alike.says(new, old);
        self.v4.each_change(&old.v4, says, |change| {
            each(of(change, sites, |ca| v4_key(rdid, ca)));
        });
        let says = |new: &_, old: &_| alike.says(new, old);
        self.v6.each_change(&old.v6, says, |change| {
            each(of(change, sites, |ca| v6_key(rdid, ca)));
        });
    }

    fn lasting(&self, sites: &Sites) -> Self {
        let mut lasting = self.clone();
        if self.fetched {
            let v4 = self.v4.iter().filter(|entry| !sites.is_on_demand(entry));
            let v6 = self.v6.iter().filter(|entry| !sites.is_on_demand(entry));
            // What stays as it is stays shared.
            if v4.clone().count() + v6.clone().count() != self.len() {
                lasting.v4 = v4.copied().collect();
                lasting.v6 = v6.copied().collect();
            }
        }
        lasting.fetched = false;
        lasting
    }
}

fn of<A: Copy>(
    change: Changed<'_, Placed<A>>,
    sites: &Sites,
    key: impl Fn(A) -> LookupKey,
) -> RecordChange {
    match change {
        Changed::Put(entry) => RecordChange::Put(key(entry.ca), sites.record(entry)),
        Changed::Gone(entry) => RecordChange::Delete(key(entry.ca)),
    }
}

const fn v4_key(rdid: u32, ca: [u8; 4]) -> LookupKey {
    let ca = Address::v4(ca);
    LookupKey { rdid, ca }
}

const fn v6_key(rdid: u32, ca: [u8; 16]) -> LookupKey {
    let ca = Address::v6(ca);
    LookupKey { rdid, ca }
}

impl PartialEq for RecordTable {
    fn eq(&self, other: &Self) -> bool {
        let alike = Alike::of(&self.sites, &other.sites);
        let mut domains = self.domains.iter().zip(&other.domains);
        self.len == other.len
            && self.domains.len() == other.domains.len()
            && domains.all(|((one, own), (two, theirs))| {
                one == two
                    && own.v4.is_like(&theirs.v4, |a, b| alike.says(a, b))
                    && own.v6.is_like(&theirs.v6, |a, b| alike.says(a, b))
            })
    }
}

impl Eq for RecordTable {}

impl fmt::Debug for RecordTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Extend<(LookupKey, LookupRecord)> for RecordTable {
    fn extend<I: IntoIterator<Item = (LookupKey, LookupRecord)>>(&mut self, records: I) {
        for (key, record) in records {
            self.insert(key, record);
        }
    }
}

impl FromIterator<(LookupKey, LookupRecord)> for RecordTable {
    fn from_iter<I: IntoIterator<Item = (LookupKey, LookupRecord)>>(records: I) -> Self {
        let mut table = Self::default();
        table.extend(records);
        table
    }
}

#[cfg(test)]
mod tests;
